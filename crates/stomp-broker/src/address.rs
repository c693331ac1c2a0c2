//! The destinations of a broker.

use crate::{
    Config,
    syntax::{self, prefix},
};
use bytestring::ByteString;
use std::fmt;
use stomp_session::{ClientError, Destination, DestinationSyntax, Message, Principal};

/// A destination of a broker as its [`Engine`](crate::Engine) sees it: a scope and the parsed destination.
///
/// Addresses are equal if their scopes are, and the [segments](Address::segments) of their paths, however these were
/// spelled: the queues `a.b` and `a/b` are the same queue.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    scope: Scope,
    /// With the prefix of the scope. The destination of a temporary queue has its public name.
    destination: Destination,
}

/// The kind of a destination, and its owner.
///
/// The scope is not part of the name: no text that another client could send means a destination of a principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// A topic of all clients. Each subscriber gets each message.
    Topic,
    /// A queue of all clients. One consumer gets each message.
    Queue,
    /// A topic of this principal.
    User(Principal),
    /// A queue of one session. It exists while the session is subscribed to it. Messages to it are dropped at other
    /// times, without an error.
    Temporary,
}

/// Constructors, for engines and their tests. They never fail: a path with an invalid syntax, such as an empty segment,
/// becomes a literal address that no client can reach.
impl Address {
    /// Creates a topic or pattern: clients write `/topic/PATH`.
    pub fn topic(path: impl AsRef<str>) -> Address {
        Address::parse(Scope::Topic, path.as_ref())
    }

    /// Creates a queue: clients write `/queue/PATH`.
    pub fn queue(path: impl AsRef<str>) -> Address {
        Address::parse(Scope::Queue, path.as_ref())
    }

    /// Creates a topic or pattern of a principal: its clients write `/user/PATH`.
    pub fn user(principal: Principal, path: impl AsRef<str>) -> Address {
        Address::parse(Scope::User(principal), path.as_ref())
    }

    /// Creates a temporary queue from its public name, which is random.
    pub fn temporary(name: impl AsRef<str>) -> Address {
        Address::parse(Scope::Temporary, name.as_ref())
    }

    fn parse(scope: Scope, path: &str) -> Address {
        let text = ByteString::from(format!("{}{path}", scope.prefix()));
        let parsed = syntax::shared_syntax().parse(text.clone());
        // The default syntax accepts every text.
        let destination = parsed.or_else(|_| DestinationSyntax::default().parse(text));
        Address::new(scope, destination.unwrap_or_default())
    }
}

impl Address {
    /// Creates an address from a destination that the broker's syntax has parsed, and that is below the prefix of the
    /// scope.
    pub(crate) fn new(scope: Scope, destination: Destination) -> Address {
        Address { scope, destination }
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The destination, with the prefix of the scope.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The canonical text after the prefix of the scope, such as `a/b` in `/topic/a.b`: the same for all spellings.
    #[must_use]
    pub fn path(&self) -> &str {
        let canonical = self.destination.canonical();
        let path = canonical.strip_prefix(self.scope.prefix());
        path.unwrap_or(canonical)
    }

    /// The principal that owns the destination.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        if let Scope::User(principal) = &self.scope {
            Some(principal)
        } else {
            None
        }
    }

    /// True if each message goes to one consumer.
    #[must_use]
    pub fn is_queue(&self) -> bool {
        matches!(self.scope, Scope::Queue | Scope::Temporary)
    }

    /// The segments of the [path](Address::path). In a [pattern](Address::is_pattern), `*` matches any one segment, and
    /// `>` as the last segment matches any number of segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.path().split('/')
    }

    /// True if the destination is a pattern, which allows only subscriptions.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.destination.is_pattern()
    }

    /// Returns true if the pattern matches another address. An address that is no pattern matches itself.
    pub(crate) fn matches(&self, other: &Address) -> bool {
        self.scope == other.scope && self.destination.contains(&other.destination)
    }

    /// Adds the destination to a message for a topic, since the subscribers of a pattern need it. The consumers of a
    /// queue know its only name already, and the public name of a temporary queue is not for its consumer.
    pub(crate) fn stamp(&self, message: Message) -> Message {
        if self.is_queue() {
            message
        } else {
            message.with_destination(&self.destination)
        }
    }

    /// Checks that the destination has not too many segments and wildcards. They bound the cost of the tree of topics,
    /// which queues are not part of.
    pub(crate) fn check(&self, config: &Config) -> Result<(), ClientError> {
        if self.is_queue() {
            return Ok(());
        }
        let wildcards = self.segments().filter(|it| syntax::is_wildcard(it));
        let wildcards = if self.is_pattern() {
            wildcards.count()
        } else {
            0
        };
        let (count, max_segments) = (self.segments().count(), config.max_segments);
        if count > max_segments {
            return Err(self.bad(&format!(
                "has {count} segments, but a topic has at most {max_segments} (max_segments)"
            )));
        }
        let max_wildcards = config.max_wildcards;
        if wildcards > max_wildcards {
            return Err(self.bad(&format!(
                "has {wildcards} wildcards, but a pattern has at most {max_wildcards} (max_wildcards)"
            )));
        }
        Ok(())
    }

    /// Checks that a message may be sent to the destination.
    pub(crate) fn check_for_sending(&self, config: &Config) -> Result<(), ClientError> {
        self.check(config)?;
        if self.is_pattern() {
            Err(self.bad("is a pattern, but a message goes to one topic"))
        } else {
            Ok(())
        }
    }

    /// Creates the error `bad-destination`. `problem` completes a sentence that begins with the destination.
    fn bad(&self, problem: &str) -> ClientError {
        let destination = self.to_string();
        let text = format!("The destination {destination:?} {problem}.");
        ClientError::new("bad-destination", text)
    }
}

impl Scope {
    /// The prefix of the destinations of this scope, as clients write them.
    fn prefix(&self) -> &'static str {
        match self {
            Scope::Topic => prefix::TOPIC,
            Scope::Queue => prefix::QUEUE,
            Scope::User(_) => prefix::USER,
            Scope::Temporary => prefix::TEMPORARY,
        }
    }
}

/// Writes the destination as the client or the application wrote it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.destination.fmt(f)
    }
}

/// Hides the names of temporary queues, since a client that knows a name may send there.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let destination = if self.scope == Scope::Temporary {
            "(hidden)"
        } else {
            self.destination.as_str()
        };
        f.debug_struct("Address")
            .field("scope", &self.scope)
            .field("destination", &destination)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn can_subscribe(destination: &Address) -> bool {
        destination.check(&Config::default()).is_ok()
    }

    fn can_send(destination: &Address) -> bool {
        destination.check_for_sending(&Config::default()).is_ok()
    }

    #[test]
    fn topics_allow_patterns_for_subscriptions_within_the_limits() {
        let long = |segment: &str, count: usize| vec![segment; count].join(".");
        let table = [
            ("a", true, true),
            ("a.b/c", true, true),
            ("*", true, false),
            (">", true, false),
            ("a.#", true, false),
            ("a*.b>", true, true),
            (&long("*", 3), true, false),
            (&long("*", 4), false, false),
            (&long("a", 16), true, true),
            (&long("a", 17), false, false),
        ];
        for (path, may_subscribe, may_send) in table {
            for topic in [
                Address::topic(path),
                Address::user(Principal::new("ann"), path),
            ] {
                assert_eq!(
                    (can_subscribe(&topic), can_send(&topic)),
                    (may_subscribe, may_send),
                    "{topic:?}"
                );
            }
        }
        assert!(can_send(&Address::queue(long("a", 17))));
    }

    #[test]
    fn addresses_are_equal_by_scope_and_segments() {
        let of = |name| move |path| Address::user(Principal::new(name), path);
        let scopes: [&dyn Fn(&'static str) -> Address; 5] = [
            &Address::topic,
            &Address::queue,
            &Address::temporary,
            &of("ann"),
            &of("bob"),
        ];
        for (at, one) in scopes.iter().enumerate() {
            assert_eq!(one("a.b/c"), one("a/b.c"));
            assert_ne!(one("a.b"), one("a.b.c"));
            assert_eq!(one("a.b").path(), "a/b");
            assert!(one("a.b").segments().eq(["a", "b"]));
            assert!(one("a.b").to_string().ends_with("/a.b"));
            for other in &scopes[at + 1..] {
                assert_ne!(one("a"), other("a"));
            }
        }
        assert_eq!(Address::topic("a.#"), Address::topic("a/>"));
    }

    #[test]
    fn a_pattern_matches_addresses_of_its_scope_only() {
        let pattern = Address::topic("a.>");
        assert!(pattern.matches(&Address::topic("a/b.c")));
        assert!(!pattern.matches(&Address::topic("b")));
        assert!(!pattern.matches(&Address::user(Principal::new("ann"), "a.b")));
    }

    #[test]
    fn an_invalid_path_is_a_literal_address_of_its_own() {
        for path in ["", "a..b", "a.", ">.a", "a\nb"] {
            let address = Address::topic(path);
            assert!(!address.is_pattern(), "{path:?}");
            assert_eq!(address.path(), path);
        }
        assert!(!Address::queue("a.*").is_pattern());
        assert_ne!(Address::queue("a.*"), Address::queue("a/*"));
    }

    #[test]
    fn debug_output_hides_the_names_of_temporary_queues() {
        let output = format!("{:?}", Address::temporary("c0ffee"));
        assert!(!output.contains("c0ffee"), "{output}");
    }

    #[test]
    fn an_error_names_the_destination_and_the_limit() {
        for (destination, text) in [
            (
                Address::topic("*.*.*.*"),
                r#"The destination "/topic/*.*.*.*" has 4 wildcards, but a pattern has at most 3 (max_wildcards)."#,
            ),
            (
                Address::topic("a.*"),
                r#"The destination "/topic/a.*" is a pattern, but a message goes to one topic."#,
            ),
        ] {
            let error = destination
                .check_for_sending(&Config::default())
                .unwrap_err();
            assert_eq!(error.to_string(), format!("bad-destination: {text}"));
        }
    }
}
