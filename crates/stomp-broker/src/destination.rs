//! Where messages go.

use crate::Config;
use bytestring::ByteString;
use std::fmt;
use stomp_session::{ClientError, Message, Principal};

/// A destination of a broker's, as its [`Engine`](crate::Engine) gets it: checked, and no longer as a client names it.
///
/// Two are equal if they are written equally; whether topics are the same is told by their
/// [segments](Destination::segments).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Destination {
    scope: Scope,
    path: ByteString,
}

/// What kind a destination is of, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Scope {
    /// Everybody's topic: each subscriber gets what is published.
    Topic,
    /// Everybody's queue: one consumer gets it.
    Queue,
    /// A topic of this principal's.
    User(Principal),
    /// A queue of one session's, which is there while somebody is subscribed to it. What is published there otherwise is
    /// dropped, and that is no error.
    Temporary,
}

/// How the destinations of each scope begin.
pub(crate) mod prefix {
    pub(crate) const TOPIC: &str = "/topic/";
    pub(crate) const QUEUE: &str = "/queue/";
    pub(crate) const USER: &str = "/user/";
    pub(crate) const TEMPORARY: &str = "/temp-queue/";
}

impl Destination {
    /// The topic or pattern of this path: what clients call `/topic/PATH`.
    pub fn topic(path: impl Into<ByteString>) -> Destination {
        Destination::new(Scope::Topic, path)
    }

    /// The queue of this path: what clients call `/queue/PATH`.
    pub fn queue(path: impl Into<ByteString>) -> Destination {
        Destination::new(Scope::Queue, path)
    }

    /// A principal's own topic or pattern of this path: what its clients call `/user/PATH`.
    pub fn user(principal: Principal, path: impl Into<ByteString>) -> Destination {
        Destination::new(Scope::User(principal), path)
    }

    /// The queue of a session's with this name, which nobody can guess.
    pub fn temporary(name: impl Into<ByteString>) -> Destination {
        Destination::new(Scope::Temporary, name)
    }

    fn new(scope: Scope, path: impl Into<ByteString>) -> Destination {
        Destination {
            scope,
            path: path.into(),
        }
    }

    /// What kind it is of.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// What follows the beginning that tells its scope.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whose it is.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        if let Scope::User(principal) = &self.scope {
            Some(principal)
        } else {
            None
        }
    }

    /// Whether each message is for one consumer.
    #[must_use]
    pub fn is_queue(&self) -> bool {
        matches!(self.scope, Scope::Queue | Scope::Temporary)
    }

    /// The path's segments. In a pattern, `*` stands for any one, and `>` or `#`, which is the last, for any number.
    pub fn segments(&self) -> impl Iterator<Item = &str> + Clone {
        segments(&self.path)
    }

    /// Whether it is a pattern, for which there are only subscriptions.
    #[must_use]
    pub fn is_pattern(&self) -> bool {
        !self.is_queue() && self.segments().any(is_wildcard)
    }

    /// A message that was sent here. Subscribers of patterns are told; those of a queue know it by one name only, and that of
    /// a temporary queue is not for them.
    pub(crate) fn stamp(&self, message: Message) -> Message {
        if self.is_queue() {
            message
        } else {
            message.with_destination(self.to_string())
        }
    }

    /// The one of all that have the same segments.
    pub(crate) fn canonical(&self) -> Destination {
        Destination::new(self.scope.clone(), self.path.replace('/', "."))
    }

    /// Looks whether it may be subscribed to.
    pub(crate) fn check(&self, config: &Config) -> Result<(), ClientError> {
        if self.path.is_empty() || self.path.contains(char::is_control) {
            return Err(bad("A destination has a name, without control characters."));
        }
        if self.is_queue() {
            return if self.segments().any(is_wildcard) {
                Err(bad("Queues have no wildcards."))
            } else {
                Ok(())
            };
        }
        let (count, wildcards) = (
            self.segments().count(),
            self.segments().filter(|it| is_wildcard(it)).count(),
        );
        if count > config.max_segments {
            return Err(bad(format!(
                "A topic has at most {} segments.",
                config.max_segments
            )));
        }
        if wildcards > config.max_wildcards {
            return Err(bad(format!(
                "A pattern has at most {} wildcards.",
                config.max_wildcards
            )));
        }
        if self.segments().take(count - 1).any(is_rest) {
            return Err(bad("Only the last segment may stand for all the rest."));
        }
        Ok(())
    }

    /// Looks whether something may be sent there.
    pub(crate) fn check_for_sending(&self, config: &Config) -> Result<(), ClientError> {
        self.check(config)?;
        if self.is_pattern() {
            Err(bad("A message goes to one topic, not to a pattern."))
        } else {
            Ok(())
        }
    }
}

/// As its clients write it.
impl fmt::Display for Destination {
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

/// Does not show the names of temporary queues: who knows them may send there.
impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.scope == Scope::Temporary {
            "(hidden)"
        } else {
            &*self.path
        };
        f.debug_struct("Destination")
            .field("scope", &self.scope)
            .field("path", &path)
            .finish()
    }
}

pub(crate) fn segments(path: &str) -> impl Iterator<Item = &str> + Clone {
    path.split(['/', '.'])
}

/// Whether a segment stands for any one.
pub(crate) fn is_any(segment: &str) -> bool {
    segment == "*"
}

/// Whether a segment stands for all the rest.
pub(crate) fn is_rest(segment: &str) -> bool {
    matches!(segment, ">" | "#")
}

fn is_wildcard(segment: &str) -> bool {
    is_any(segment) || is_rest(segment)
}

fn bad(text: impl Into<std::borrow::Cow<'static, str>>) -> ClientError {
    ClientError::new("bad-destination", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribing(destination: &Destination) -> bool {
        destination.check(&Config::default()).is_ok()
    }

    fn sending(destination: &Destination) -> bool {
        destination.check_for_sending(&Config::default()).is_ok()
    }

    #[test]
    fn topics_may_be_patterns_within_limits() {
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
            let topic = Destination::topic(path);
            assert_eq!(
                (subscribing(&topic), sending(&topic)),
                (may_subscribe, may_send),
                "{path:?}"
            );
            let own = Destination::user(Principal::new("ann"), path);
            assert_eq!(
                (subscribing(&own), sending(&own)),
                (may_subscribe, may_send),
                "{path:?}"
            );
        }
    }

    #[test]
    fn queues_may_not() {
        for (path, is_fine) in [
            ("a.b", true),
            ("a*", true),
            ("a.*", false),
            (">", false),
            ("", false),
        ] {
            assert_eq!(subscribing(&Destination::queue(path)), is_fine, "{path:?}");
            assert_eq!(sending(&Destination::queue(path)), is_fine, "{path:?}");
        }
    }

    #[test]
    fn names_of_temporary_queues_are_not_shown() {
        let shown = format!("{:?}", Destination::temporary("c0ffee"));
        assert!(!shown.contains("c0ffee"), "{shown}");
    }
}
