//! The rules about clients: who may send and subscribe, and to which destinations.

mod decision;
mod pattern;
mod who;

pub use who::Who;

use pattern::RulePattern;
use std::fmt;
use stomp_session::InvalidConfig;

/// The rules about the clients of a broker: who may send and subscribe, and to which destinations.
///
/// The rules form one list. For each `SEND` or `SUBSCRIBE`, the first rule about this action whose pattern matches the
/// destination decides. It allows the clients of its [`Who`] and refuses all others. If no rule matches, the request is
/// refused. So put rules about few destinations before rules about many.
///
/// The rules concern clients only. The application's own code may send and subscribe everywhere.
///
/// # Example
///
/// Users read their own topics, and staff write to all of them:
///
/// ```
/// use stomp_broker::{Action, Rules, Who, destination_syntax};
/// use stomp_frame::{Command, Frame};
/// use stomp_session::{Principal, Request};
///
/// # fn main() -> Result<(), stomp_session::BoxError> {
/// let rules = Rules::new()
///     .subscribe("/topic/users.{user}.>", Who::Authenticated)
///     .send("/topic/users.>", Who::role("staff"));
/// rules.validate()?;
///
/// let syntax = destination_syntax();
/// let request = Request::new(Frame::new(Command::Subscribe));
/// let may = |client: &Principal, action, text: &'static str| {
///     let destination = syntax.parse(text).unwrap();
///     rules.check(action, &destination, Some(client), &request).is_ok()
/// };
/// let ann = Principal::new("ann");
/// assert!(may(&ann, Action::Subscribe, "/topic/users.ann.mail"));
/// assert!(may(&ann, Action::Subscribe, "/topic/users/ann/mail"));
/// assert!(may(&ann, Action::Subscribe, "/topic/users.ann.>"));
///
/// assert!(!may(&ann, Action::Subscribe, "/topic/users.bob.mail"));
/// assert!(!may(&ann, Action::Subscribe, "/topic/users.*.mail"));
/// assert!(!may(&ann, Action::Send, "/topic/users.ann.mail"));
///
/// let root = Principal::new("root").with_role("staff");
/// assert!(may(&root, Action::Send, "/topic/users.ann.mail"));
/// assert!(!may(&root, Action::Subscribe, "/topic/users.ann.mail"));
/// # Ok(())
/// # }
/// ```
///
/// # Patterns of rules
///
/// The pattern of a rule begins with `/topic/`, `/queue/`, `/user/` or `/temp-queue/`. Segments and wildcards are those
/// of a [`Destination`](stomp_session::Destination). Unlike a client's pattern, the pattern of a rule may have
/// wildcards for queues. Below `/user/` and `/temp-queue/`, a pattern is compared with the client's own destinations,
/// as the client writes them.
///
/// The segment `{user}` matches one segment that is equal to the name of the client's principal. A name that contains
/// `/` or `.`, or is a wildcard, matches nothing.
///
/// # Patterns of clients
///
/// A client may subscribe to a pattern only if the rules allow everything that the pattern can match. One rule must
/// match the whole pattern. That rule, and all earlier rules that match a part of the pattern, must allow the client.
/// So if a client may not subscribe to a destination, no spelling and no pattern gets around that.
///
/// # Defaults
///
/// By default, clients may not send. They may subscribe to topics, to the `/user/…` of their principal, and to their
/// own temporary queues. Queues, including the dead-letter queue, need a rule:
///
/// ```
/// use stomp_broker::{Rules, Who};
///
/// let rules = Rules::default().send_and_subscribe("/queue/orders", Who::role("staff"));
/// let restricted = Rules::new()
///     .subscribe("/topic/admin.>", Who::role("operator"))
///     .then(Rules::default());
/// # assert_eq!(rules.validate().and(restricted.validate()), Ok(()));
/// ```
///
/// A client that knows the public name of another session's temporary queue, from a header `reply-to`, may always send
/// to it. No rule can forbid this.
///
/// # Time of a decision
///
/// The rules about `SEND` also decide about the header `reply-to` of a `SEND`, and of a request that the application
/// answers with [`Broker::reply`](crate::Broker::reply). They are asked about the messages of a transaction when it is
/// committed. The rules about `SUBSCRIBE` are asked once: if a function of [`Who::when`] changes its answer later, the
/// subscription goes on. To end it, close the session.
///
/// Policies of routes in front of a broker are not asked about `reply-to`. So state in the rules what clients may not
/// reach, even if a route protects it too.
#[derive(Clone)]
pub struct Rules {
    rules: Vec<Rule>,
    /// The error of the first invalid pattern. If there is one, all requests are refused: the rule that is missing may
    /// be one that refuses.
    invalid: Option<InvalidConfig>,
}

/// The actions of clients that [`Rules`] distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// `SEND`.
    Send,
    /// `SUBSCRIBE`.
    Subscribe,
}

#[derive(Clone)]
struct Rule {
    action: Action,
    pattern: RulePattern,
    who: Who,
}

impl Rules {
    /// Creates an empty list of rules. It refuses everything.
    #[must_use]
    pub fn new() -> Rules {
        Rules {
            rules: Vec::new(),
            invalid: None,
        }
    }

    /// Creates rules that allow everything to all clients. Only a client with a principal has destinations below
    /// `/user/`.
    #[must_use]
    pub fn open() -> Rules {
        Rules::new()
            .send_and_subscribe("/topic/>", Who::Anybody)
            .send_and_subscribe("/queue/>", Who::Anybody)
            .send_and_subscribe("/user/>", Who::Authenticated)
            .send_and_subscribe("/temp-queue/>", Who::Anybody)
    }

    /// Adds a rule about `SEND`.
    #[must_use]
    pub fn send(self, pattern: &str, who: Who) -> Rules {
        self.with(Action::Send, pattern, who)
    }

    /// Adds a rule about `SUBSCRIBE`.
    #[must_use]
    pub fn subscribe(self, pattern: &str, who: Who) -> Rules {
        self.with(Action::Subscribe, pattern, who)
    }

    /// Adds the same rule about `SEND` and about `SUBSCRIBE`.
    #[must_use]
    pub fn send_and_subscribe(self, pattern: &str, who: Who) -> Rules {
        self.send(pattern, who.clone()).subscribe(pattern, who)
    }

    /// Appends the rules of another list.
    #[must_use]
    pub fn then(mut self, later: Rules) -> Rules {
        self.rules.extend(later.rules);
        self.invalid = self.invalid.or(later.invalid);
        self
    }

    fn with(mut self, action: Action, pattern: &str, who: Who) -> Rules {
        match RulePattern::parse(pattern) {
            Ok(pattern) => self.rules.push(Rule {
                action,
                pattern,
                who,
            }),
            Err(problem) => {
                let invalid = InvalidConfig::new("rules", problem);
                self.invalid.get_or_insert(invalid);
            }
        }
        self
    }

    /// Checks that all patterns are valid, and that no earlier rule makes a later one useless.
    ///
    /// # Errors
    ///
    /// Returns an error if a pattern has an invalid syntax, or does not begin with a prefix of the broker. Returns an
    /// error if an earlier rule about the same action covers the whole pattern of a later one, which would have no
    /// effect.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        if let Some(invalid) = &self.invalid {
            return Err(invalid.clone());
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let covers = |earlier: &&Rule| {
                earlier.action == rule.action && earlier.pattern.covers(&rule.pattern)
            };
            if let Some(earlier) = self.rules.iter().take(at).find(covers) {
                let (first, second) = (earlier.pattern.as_str(), rule.pattern.as_str());
                let problem = format!(
                    "has the pattern {second:?} after {first:?}, which covers it: the later rule has no effect, so it \
                     must come first"
                );
                return Err(InvalidConfig::new("rules", problem));
            }
        }
        Ok(())
    }
}

impl Default for Rules {
    /// Returns the [default rules](Rules#defaults) of a broker.
    fn default() -> Rules {
        Rules::new()
            .subscribe("/topic/>", Who::Anybody)
            .subscribe("/user/>", Who::Authenticated)
            .subscribe("/temp-queue/>", Who::Anybody)
    }
}

/// Shows the rules in order, without the invalid ones.
impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.rules).finish()
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (pattern, who) = (self.pattern.as_str(), &self.who);
        write!(f, "{:?}({pattern:?}, {who:?})", self.action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invalid(rules: &Rules) -> String {
        rules.validate().unwrap_err().to_string()
    }

    #[test]
    fn the_predefined_rules_are_valid() {
        for rules in [Rules::new(), Rules::open(), Rules::default()] {
            assert_eq!(rules.validate(), Ok(()));
        }
    }

    #[test]
    fn the_first_invalid_pattern_is_reported() {
        let rules = Rules::new().send("/topic/a.{b}", Who::Anybody);
        let reported = invalid(&rules);
        assert!(
            reported.starts_with(r#"rules has the pattern "/topic/a.{b}" with the segment"#),
            "{reported}"
        );
        let rules = Rules::default().then(rules.send("/queue/", Who::Anybody));
        assert_eq!(invalid(&rules), reported);
    }

    #[test]
    fn a_rule_that_an_earlier_rule_covers_is_reported() {
        let rules = Rules::default().subscribe("/topic/admin.>", Who::role("staff"));
        assert_eq!(
            invalid(&rules),
            r#"rules has the pattern "/topic/admin.>" after "/topic/>", which covers it: the later rule has no effect, so it must come first"#
        );
        for (first, second, is_covered) in [
            ("/topic/a.>", "/topic/a.{user}", true),
            ("/topic/{user}", "/topic/{user}", true),
            ("/topic/{user}.>", "/topic/{user}.*", true),
            ("/topic/{user}", "/topic/*", false),
            ("/topic/{user}", "/topic/ann", false),
            ("/topic/*.{user}", "/topic/{user}.*", false),
            ("/topic/a", "/topic/>", false),
            ("/topic/>", "/queue/>", false),
        ] {
            let one = |pattern: &str| Rules::new().send(pattern, Who::Authenticated);
            let rules = one(first).then(one(second));
            assert_eq!(rules.validate().is_err(), is_covered, "{first} {second}");
            let rules = one(first).subscribe(second, Who::Anybody);
            assert_eq!(rules.validate(), Ok(()), "{first} {second}");
        }
    }

    #[test]
    fn debug_shows_the_rules_in_order() {
        let who = Who::role("staff").or(Who::principal("root"));
        let rules = Rules::new()
            .send("/topic/{user}.#", who)
            .subscribe("/topic/a", Who::when(|_, _| true));
        assert_eq!(
            format!("{rules:?}"),
            r##"[Send("/topic/{user}.#", AnyOf([Role("staff"), Principal("root")])), Subscribe("/topic/a", When(…))]"##
        );
    }
}
