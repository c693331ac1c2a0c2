//! The clients that a rule allows.

use std::{fmt, sync::Arc};
use stomp_session::{Destination, Principal, Request};

/// The clients that a rule of [`Rules`](crate::Rules) allows. The rule refuses all others.
///
/// ```
/// use stomp_broker::Who;
///
/// let operators = Who::role("operator").or(Who::principal("root"));
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Who {
    /// No client.
    Nobody,
    /// All clients.
    Anybody,
    /// The clients that have a principal.
    Authenticated,
    /// The clients whose principal has this name.
    Principal(Box<str>),
    /// The clients whose principal has this role.
    Role(Box<str>),
    /// The clients that at least one of these includes.
    AnyOf(Vec<Who>),
    /// The clients for whose requests this function returns true: see [`Who::when`].
    When(Predicate),
}

/// The function of a [`Who::When`]. Clones share it.
#[derive(Clone)]
pub struct Predicate(Arc<Decide>);

type Decide = dyn Fn(&Request, &Destination) -> bool + Send + Sync;

impl Who {
    /// The clients whose principal has this name.
    #[must_use]
    pub fn principal(name: impl Into<Box<str>>) -> Who {
        Who::Principal(name.into())
    }

    /// The clients whose principal has this role.
    #[must_use]
    pub fn role(role: impl Into<Box<str>>) -> Who {
        Who::Role(role.into())
    }

    /// The clients for whose requests the function `predicate` returns true.
    ///
    /// The function must compare the [canonical](Destination::canonical) text or the [segments](Destination::segments)
    /// of the destination, which are the same for all spellings. It must not block, since the client's session waits
    /// for it.
    ///
    /// The destination is that of the request, or the one in its header `reply-to`.
    ///
    /// For a [pattern](Destination::is_pattern), the function may return true only if it returns true for everything
    /// that the pattern matches. If the rule matches only a part of the pattern, the function is not called, and counts
    /// as false.
    ///
    /// ```
    /// use stomp_broker::{Rules, Who};
    ///
    /// fn is_member(user: &str, room: &str) -> bool {
    /// #   let _ = (user, room);
    ///     // …
    /// #   true
    /// }
    ///
    /// let rules = Rules::new().send_and_subscribe(
    ///     "/topic/rooms.*",
    ///     Who::when(|request, destination| {
    ///         let room = destination.segments().nth(2);
    ///         match (request.principal(), room) {
    ///             (Some(user), Some(room)) => {
    ///                 !destination.is_pattern() && is_member(user.name(), room)
    ///             }
    ///             _ => false,
    ///         }
    ///     }),
    /// );
    /// # assert_eq!(rules.validate(), Ok(()));
    /// ```
    #[must_use]
    pub fn when(predicate: impl Fn(&Request, &Destination) -> bool + Send + Sync + 'static) -> Who {
        Who::When(Predicate(Arc::new(predicate)))
    }

    /// The clients of `self` and those of `other`.
    #[must_use]
    pub fn or(self, other: Who) -> Who {
        Who::AnyOf(vec![self, other])
    }

    /// Returns true if a client with this principal is included. `ask` calls a predicate with the client's request.
    pub(super) fn includes(
        &self,
        principal: Option<&Principal>,
        ask: &dyn Fn(&Predicate) -> bool,
    ) -> bool {
        match self {
            Who::Nobody => false,
            Who::Anybody => true,
            Who::Authenticated => principal.is_some(),
            Who::Principal(name) => principal.is_some_and(|client| client.name() == &**name),
            Who::Role(role) => principal.is_some_and(|client| client.has_role(role)),
            Who::AnyOf(all) => all.iter().any(|who| who.includes(principal, ask)),
            Who::When(predicate) => ask(predicate),
        }
    }

    /// Returns true if a client that is not included might be included after a login.
    pub(super) fn depends_on_login(&self) -> bool {
        match self {
            Who::Nobody | Who::Anybody => false,
            Who::Authenticated | Who::Principal(_) | Who::Role(_) | Who::When(_) => true,
            Who::AnyOf(all) => all.iter().any(Who::depends_on_login),
        }
    }
}

impl Predicate {
    pub(super) fn call(&self, request: &Request, destination: &Destination) -> bool {
        (self.0)(request, destination)
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
