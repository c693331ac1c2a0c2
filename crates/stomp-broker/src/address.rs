//! The destinations of a broker.

use crate::Config;
use bytestring::ByteString;
use std::fmt;
use stomp_session::{ClientError, Message, Principal};

/// A destination of a broker as its [`Engine`](crate::Engine) sees it: a scope and a path, which the broker has
/// checked.
///
/// Two destinations are equal if their paths are spelled the same. Two topics are the same if their
/// [segments](Address::segments) are.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    scope: Scope,
    path: ByteString,
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

/// The prefixes of destinations by scope.
pub(crate) mod prefix {
    pub(crate) const TOPIC: &str = "/topic/";
    pub(crate) const QUEUE: &str = "/queue/";
    pub(crate) const USER: &str = "/user/";
    pub(crate) const TEMPORARY: &str = "/temp-queue/";
}

impl Address {
    /// Creates a topic or pattern: clients write `/topic/PATH`.
    pub fn topic(path: impl Into<ByteString>) -> Address {
        Address::new(Scope::Topic, path)
    }

    /// Creates a queue: clients write `/queue/PATH`.
    pub fn queue(path: impl Into<ByteString>) -> Address {
        Address::new(Scope::Queue, path)
    }

    /// Creates a topic or pattern of a principal: its clients write `/user/PATH`.
    pub fn user(principal: Principal, path: impl Into<ByteString>) -> Address {
        Address::new(Scope::User(principal), path)
    }

    /// Creates a temporary queue from its public name, which is random.
    pub fn temporary(name: impl Into<ByteString>) -> Address {
        Address::new(Scope::Temporary, name)
    }

    fn new(scope: Scope, path: impl Into<ByteString>) -> Address {
        Address {
            scope,
            path: path.into(),
        }
    }

    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The part after the prefix of the scope, such as `a.b` in `/topic/a.b`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
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

    /// The segments of the path, which `/` and `.` separate. In a pattern, `*` matches any one segment, and `>` or
    /// `#` as the last segment matches any number of segments.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        segments(&self.path)
    }

    /// True if the destination is a pattern, which allows only subscriptions.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        !self.is_queue() && self.segments().any(is_wildcard)
    }

    /// Adds the destination to a message for a topic, since the subscribers of a pattern need it. The consumers of a
    /// queue know its only name already, and the public name of a temporary queue is not for its consumer.
    pub(crate) fn stamp(&self, message: Message) -> Message {
        if self.is_queue() {
            message
        } else {
            message.with_destination(self.to_string())
        }
    }

    /// The same spelling for all destinations with the same segments.
    pub(crate) fn canonical(&self) -> Address {
        Address::new(self.scope.clone(), self.path.replace('/', "."))
    }

    /// Checks that a client may subscribe to the destination.
    pub(crate) fn check(&self, config: &Config) -> Result<(), ClientError> {
        self.check_path()?;
        if self.is_queue() {
            return Ok(());
        }
        let (count, wildcards) = (
            self.segments().count(),
            self.segments().filter(|it| is_wildcard(it)).count(),
        );
        let Config {
            max_segments,
            max_wildcards,
            ..
        } = *config;
        if count > max_segments {
            return Err(self.bad(&format!(
                "has {count} segments, but a topic has at most {max_segments} (max_segments)"
            )));
        }
        if wildcards > max_wildcards {
            return Err(self.bad(&format!(
                "has {wildcards} wildcards, but a pattern has at most {max_wildcards} (max_wildcards)"
            )));
        }
        Ok(())
    }

    /// Checks everything that does not depend on settings.
    pub(crate) fn check_path(&self) -> Result<(), ClientError> {
        if self.path.is_empty() {
            return Err(self.bad("has no name after its prefix"));
        }
        if self.path.contains(char::is_control) {
            return Err(self.bad("contains a control character"));
        }
        if self.is_queue() {
            return if self.segments().any(is_wildcard) {
                Err(self.bad("contains a wildcard, but queues have no patterns"))
            } else {
                Ok(())
            };
        }
        let mut segments = self.segments();
        if segments.any(is_rest_wildcard) && segments.next().is_some() {
            return Err(self.bad("has `>` or `#` before its last segment"));
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

/// Writes the destination as clients write it.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.scope {
            Scope::Topic => prefix::TOPIC,
            Scope::Queue => prefix::QUEUE,
            Scope::User(_) => prefix::USER,
            Scope::Temporary => prefix::TEMPORARY,
        })?;
        f.write_str(&self.path)
    }
}

/// Hides the names of temporary queues, since a client that knows a name may send there.
impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.scope == Scope::Temporary {
            "(hidden)"
        } else {
            &*self.path
        };
        f.debug_struct("Address")
            .field("scope", &self.scope)
            .field("path", &path)
            .finish()
    }
}

pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split(['/', '.'])
}

/// Returns true for the wildcard that matches any one segment.
pub(crate) fn is_single_wildcard(segment: &str) -> bool {
    segment == "*"
}

/// Returns true for a wildcard that matches all remaining segments.
pub(crate) fn is_rest_wildcard(segment: &str) -> bool {
    matches!(segment, ">" | "#")
}

fn is_wildcard(segment: &str) -> bool {
    is_single_wildcard(segment) || is_rest_wildcard(segment)
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
            ("a..b/", true, true),
            ("", false, false),
            ("a\nb", false, false),
            ("*", true, false),
            (">", true, false),
            ("a.#", true, false),
            ("a.#.b", false, false),
            (">.>", false, false),
            ("a*.b>", true, true),
            (&long("*", 3), true, false),
            (&long("*", 4), false, false),
            (&long("a", 16), true, true),
            (&long("a", 17), false, false),
        ];
        for (path, may_subscribe, may_send) in table {
            let topic = Address::topic(path);
            assert_eq!(
                (can_subscribe(&topic), can_send(&topic)),
                (may_subscribe, may_send),
                "{path:?}"
            );
            let users = Address::user(Principal::new("ann"), path);
            assert_eq!(
                (can_subscribe(&users), can_send(&users)),
                (may_subscribe, may_send),
                "{path:?}"
            );
        }
    }

    #[test]
    fn queues_allow_no_wildcards() {
        for (path, is_valid) in [
            ("a.b", true),
            ("a*", true),
            ("a.*", false),
            (">", false),
            ("", false),
        ] {
            assert_eq!(can_subscribe(&Address::queue(path)), is_valid, "{path:?}");
            assert_eq!(can_send(&Address::queue(path)), is_valid, "{path:?}");
        }
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
                Address::topic("a\nb"),
                r#"The destination "/topic/a\nb" contains a control character."#,
            ),
            (
                Address::topic("*.*.*.*"),
                r#"The destination "/topic/*.*.*.*" has 4 wildcards, but a pattern has at most 3 (max_wildcards)."#,
            ),
            (
                Address::topic("a.*"),
                r#"The destination "/topic/a.*" is a pattern, but a message goes to one topic."#,
            ),
            (
                Address::queue(""),
                r#"The destination "/queue/" has no name after its prefix."#,
            ),
        ] {
            let error = destination
                .check_for_sending(&Config::default())
                .unwrap_err();
            assert_eq!(error.to_string(), format!("bad-destination: {text}"));
        }
    }
}
