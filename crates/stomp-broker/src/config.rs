//! The settings of a broker.

use crate::Rules;
use stomp_session::InvalidConfig;

/// The settings of a broker with any engine. The in-memory engine has settings of its own:
/// [`MemoryConfig`](crate::MemoryConfig).
///
/// ```
/// use stomp_broker::{Config, Rules, Who};
///
/// let rules = Rules::default().send("/topic/>", Who::Authenticated);
/// let config = Config::default().rules(rules).max_wildcards(1);
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// The rules for clients: which may send or subscribe, and to which destinations. Default: [`Rules::default`], by
    /// which clients may not send, and may subscribe only to topics, to `/user/…` and to their own temporary queues.
    pub rules: Rules,
    /// Maximum number of segments of a topic or pattern. Default: 16.
    pub max_segments: usize,
    /// Maximum number of wildcards in a pattern. 0 allows no patterns.
    ///
    /// It bounds the cost of publishing to a topic of `s` segments. If patterns have at most `w` wildcards, the search
    /// for its subscribers compares the topic with at most `(s + 1)^w` prefixes of patterns. Default: 3.
    pub max_wildcards: usize,
    /// Maximum number of temporary queues that one session may use at the same time: those to which it is subscribed,
    /// with a `SUBSCRIBE` or because it has named them in a `reply-to`. A queue without a `SUBSCRIBE` that has delivered an answer makes room for
    /// another. 0 allows none. Default: 16.
    pub max_temporary_queues: usize,
    /// True if each message that a client sends gets the header `user-id` with the name of the sender's principal. A
    /// `user-id` that the client has set is removed; so a client without a principal has none. If it is false, the header
    /// passes as the client has set it, and proves nothing. Default: false.
    pub stamp_user_id: bool,
    /// The consequence for a subscription if some of its messages are missing. Default: [`OnGap::Mark`].
    pub on_gap: OnGap,
}

/// Defines a setter for each field of a type of settings. The setter takes and returns the settings by value.
macro_rules! setters {
    ($config:ident { $($field:ident: $type:ty,)* }) => {
        impl $config {
            $(
                #[doc = concat!("Sets [`", stringify!($config), "::", stringify!($field), "`].")]
                #[must_use]
                pub fn $field(mut self, $field: $type) -> $config {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}
pub(crate) use setters;

setters! {
    Config {
        rules: Rules,
        max_segments: usize,
        max_wildcards: usize,
        max_temporary_queues: usize,
        stamp_user_id: bool,
        on_gap: OnGap,
    }
}

impl Config {
    /// Checks that a broker can run with these values.
    ///
    /// # Errors
    ///
    /// Returns an error if [`Rules::validate`] fails, or if [`Config::max_segments`] is 0, so that no topic could
    /// exist.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.rules.validate()?;
        InvalidConfig::reject_zero("max_segments", self.max_segments)
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            rules: Rules::default(),
            max_segments: 16,
            max_wildcards: 3,
            max_temporary_queues: 16,
            stamp_user_id: false,
            on_gap: OnGap::Mark,
        }
    }
}

/// The consequence for a subscription if some of its messages are missing.
///
/// Messages are missing when the subscription's mailbox was full and dropped some: see [`Gap::Dropped`]. Messages may
/// be missing after its engine has lost a connection: see [`Gap::Unknown`]. A message that
/// [`Overflow::Conflate`](stomp_session::Overflow::Conflate) replaces counts as dropped.
///
/// [`Gap::Dropped`]: stomp_session::Gap::Dropped
/// [`Gap::Unknown`]: stomp_session::Gap::Unknown
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnGap {
    /// The next message gets the header `dropped-messages:N` or `gap:unknown`. A client that does not know these
    /// headers does not notice the gap.
    #[default]
    Mark,
    /// The subscription ends with the error `gap` instead of the next message. The client can subscribe again.
    /// [`AppErrors`](stomp_session::AppErrors) decides if its session continues.
    End,
    /// The subscription ends as with [`OnGap::End`], and the client's session is closed. For a subscription of the
    /// application, this is the same as [`OnGap::End`].
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Who;

    #[test]
    fn the_default_settings_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn invalid_rules_are_reported() {
        let rules = Rules::default().send("/topic/a..b", Who::Anybody);
        let error = Config::default().rules(rules).validate().unwrap_err();
        assert_eq!(error.setting(), "rules");
    }

    #[test]
    fn a_topic_has_at_least_one_segment() {
        let error = Config::default().max_segments(0).validate().unwrap_err();
        assert_eq!(
            error.to_string(),
            "max_segments is 0, but must be at least 1"
        );
    }

    #[test]
    fn settings_whose_zero_turns_a_feature_off_may_be_zero() {
        let config = Config::default().max_wildcards(0).max_temporary_queues(0);
        assert_eq!(config.validate(), Ok(()));
    }
}
