//! The destinations of a broker.

use crate::{
    Config,
    syntax::{self, prefix},
};
use bytestring::ByteString;
use std::fmt;
use stomp_session::{ClientError, Destination, DestinationSyntax, Message, Principal};

/// A destination of a broker, as it is given to an [`Engine`](crate::Engine): a scope and the parsed destination.
///
/// Two addresses are equal if their scopes and the [segments](Address::segments) of their paths are equal. Spelling
/// does not matter: the queues `a.b` and `a/b` are the same queue.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    scope: Scope,
    /// The destination, with the prefix of the scope. For a temporary queue, it contains the public name.
    destination: Destination,
}

/// The kind of a destination, and its owner.
///
/// The scope is not part of the destination's text. So no client can name a destination of another principal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// A topic that all clients share. Each subscriber gets each message.
    Topic,
    /// A queue that all clients share. One consumer gets each message.
    Queue,
    /// A topic that belongs to this principal.
    User(Principal),
    /// A queue that belongs to one session. It exists while it has a subscriber. At other times, messages to it are
    /// dropped without an error.
    Temporary,
}

/// Constructors, for engines and their tests. They never fail. A path with an invalid syntax, such as an empty segment,
/// becomes a literal address that no client can reach.
impl Address {
    /// Creates the address of a topic or of a pattern of topics. Clients write it as `/topic/PATH`.
    pub fn topic(path: impl AsRef<str>) -> Address {
        Address::parse(Scope::Topic, path.as_ref())
    }

    /// Creates the address of a queue. Clients write it as `/queue/PATH`.
    pub fn queue(path: impl AsRef<str>) -> Address {
        Address::parse(Scope::Queue, path.as_ref())
    }

    /// Creates the address of a principal's topic, or of a pattern of them. The principal's clients write it as
    /// `/user/PATH`.
    pub fn user(principal: Principal, path: impl AsRef<str>) -> Address {
        Address::parse(Scope::User(principal), path.as_ref())
    }

    /// Creates the address of a temporary queue. `name` is its public name, which is random.
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
    /// Creates an address. The broker's syntax has parsed `destination`, which begins with the prefix of the scope.
    ///
    /// It keeps only the name of a principal. Engines keep addresses for a long time, and under locks, where no value of
    /// the application may be dropped.
    pub(crate) fn new(scope: Scope, destination: Destination) -> Address {
        let scope = match scope {
            Scope::User(principal) => Scope::User(principal.name_only()),
            scope => scope,
        };
        Address { scope, destination }
    }

    /// The kind of the destination, and its owner.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The destination, with the prefix of the scope.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The canonical text after the prefix of the scope. It is the same for all spellings: `a/b` for `/topic/a.b`.
    #[must_use]
    pub fn path(&self) -> &str {
        let canonical = self.destination.canonical();
        let path = canonical.strip_prefix(self.scope.prefix());
        path.unwrap_or(canonical)
    }

    /// The principal that owns the destination, with its name alone. `None` unless the scope is [`Scope::User`].
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        if let Scope::User(principal) = &self.scope {
            Some(principal)
        } else {
            None
        }
    }

    /// True if the destination is a queue or a temporary queue: each message goes to one consumer.
    #[must_use]
    pub fn is_queue(&self) -> bool {
        matches!(self.scope, Scope::Queue | Scope::Temporary)
    }

    /// The segments of the [path](Address::path). In a [pattern](Address::is_pattern), `*` matches any one segment, and
    /// `>` as the last segment matches any number of segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        self.path().split('/')
    }

    /// True if the destination is a pattern. Clients may subscribe to a pattern, but not send to it.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        self.destination.is_pattern()
    }

    /// Returns true if this address covers all that `other` covers, in the same scope. An address that is no pattern
    /// covers only itself.
    pub(crate) fn matches(&self, other: &Address) -> bool {
        self.scope == other.scope && self.destination.contains(&other.destination)
    }

    /// Adds the destination to a message for a topic. Subscribers of a pattern need it to tell topics apart.
    ///
    /// A message for a queue is not changed. The consumers of a queue know its name, and the consumer of a temporary
    /// queue must see the local name, not the public one.
    pub(crate) fn stamp(&self, message: Message) -> Message {
        if self.is_queue() {
            message
        } else {
            message.with_destination(&self.destination)
        }
    }

    /// Checks the numbers of segments and wildcards of a topic or pattern against their limits. These bound the cost of
    /// a lookup in the trie of topics. Queues have no such limits, since they are not in the trie.
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

    /// Checks that a message can be sent to the destination: it is within the limits and no pattern.
    pub(crate) fn check_for_sending(&self, config: &Config) -> Result<(), ClientError> {
        self.check(config)?;
        if self.is_pattern() {
            Err(self.bad("is a pattern, but a message goes to one topic"))
        } else {
            Ok(())
        }
    }

    /// Creates the error `bad-destination`. `problem` completes the sentence "The destination … ".
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

/// Shows the destination as the client or the application wrote it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.destination.fmt(f)
    }
}

/// Hides the names of temporary queues. They are secrets: a client that knows a name may send to the queue.
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
