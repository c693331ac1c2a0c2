//! Changes of the registry of connected sessions.

use crate::{guarded::Leftovers, id::SessionId, principal::Principal, sessions::Sessions};
use futures_core::Stream;
use std::{
    collections::BTreeMap,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

/// A change of the connected sessions: an item of [`Sessions::changes`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum PresenceChange {
    /// A session has connected.
    Joined(Presence),
    /// The end of a session has begun.
    Left(Presence),
}

/// The session of a [`PresenceChange`].
#[derive(Debug, Clone)]
pub struct Presence {
    session: SessionId,
    principal: Option<Principal>,
    other_sessions: usize,
    node: Arc<str>,
}

/// Stream of the changes of a [`Sessions`] registry, returned by [`Sessions::changes`]. It never ends.
pub struct PresenceChanges {
    sessions: Sessions,
    /// The place of the observer in the registry.
    observer: usize,
    /// The principals that are online for the reader of this stream, with the number of their sessions.
    online: BTreeMap<Principal, usize>,
}

impl PresenceChange {
    /// The session, whether it has joined or left.
    #[must_use]
    pub fn presence(&self) -> &Presence {
        match self {
            PresenceChange::Joined(presence) | PresenceChange::Left(presence) => presence,
        }
    }

    /// The principal that comes online with this change: its first session has joined.
    #[must_use]
    pub fn came_online(&self) -> Option<&Principal> {
        match self {
            PresenceChange::Joined(presence) if presence.other_sessions == 0 => {
                presence.principal()
            }
            _ => None,
        }
    }

    /// The principal that goes offline with this change: its last session has left.
    #[must_use]
    pub fn went_offline(&self) -> Option<&Principal> {
        match self {
            PresenceChange::Left(presence) if presence.other_sessions == 0 => presence.principal(),
            _ => None,
        }
    }
}

impl Presence {
    /// The session. [`Sessions::get`] returns its handle while it is connected.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// The principal of the session; `None` if the peer has not logged in.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.principal.as_ref()
    }

    /// Number of other sessions of the same principal, after this change, as the stream has told it. 0 without a
    /// principal.
    #[must_use]
    pub fn other_sessions(&self) -> usize {
        self.other_sessions
    }

    /// The name of the node to which the session is connected: see [`Sessions::for_node`].
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }
}

/// The changes that a [`PresenceChanges`] stream has not returned yet.
///
/// A session that joins and leaves in between leaves nothing behind. So there are at most as many changes as sessions are
/// connected now, and were connected for the reader.
#[derive(Default)]
pub(crate) struct Observer {
    /// Changes by their number, the oldest first.
    changes: BTreeMap<u64, Change>,
    /// The numbers of the sessions in `changes` that have joined.
    joined: BTreeMap<SessionId, u64>,
    next: u64,
    waker: Option<Waker>,
}

struct Change {
    has_joined: bool,
    session: SessionId,
    principal: Option<Principal>,
}

impl Observer {
    pub(crate) fn join(
        &mut self,
        session: SessionId,
        principal: Option<Principal>,
        leftovers: &mut Leftovers,
    ) {
        self.joined.insert(session, self.next);
        self.push(true, session, principal, leftovers);
    }

    pub(crate) fn leave(
        &mut self,
        session: SessionId,
        principal: Option<Principal>,
        leftovers: &mut Leftovers,
    ) {
        match self.joined.remove(&session) {
            Some(number) => {
                leftovers.drop_later(self.changes.remove(&number));
                leftovers.drop_later(principal);
            }
            None => self.push(false, session, principal, leftovers),
        }
    }

    fn push(
        &mut self,
        has_joined: bool,
        session: SessionId,
        principal: Option<Principal>,
        leftovers: &mut Leftovers,
    ) {
        let change = Change {
            has_joined,
            session,
            principal,
        };
        self.changes.insert(self.next, change);
        self.next += 1;
        leftovers.wake(self.waker.take());
    }

    fn pop(&mut self) -> Option<Change> {
        let (_, change) = self.changes.pop_first()?;
        if change.has_joined {
            self.joined.remove(&change.session);
        }
        Some(change)
    }
}

impl PresenceChanges {
    pub(crate) fn new(sessions: Sessions, observer: usize) -> PresenceChanges {
        PresenceChanges {
            sessions,
            observer,
            online: BTreeMap::new(),
        }
    }

    /// Counts the sessions of the principal for the reader. It may differ from the registry, which is ahead.
    fn count(&mut self, change: Change) -> PresenceChange {
        let Change {
            has_joined,
            session,
            principal,
        } = change;
        let other_sessions = principal.as_ref().map_or(0, |principal| {
            let count = self.online.get(principal).copied().unwrap_or_default();
            let others = if has_joined {
                count
            } else {
                count.saturating_sub(1)
            };
            match others + usize::from(has_joined) {
                0 => drop(self.online.remove(principal)),
                sessions => drop(self.online.insert(principal.clone(), sessions)),
            }
            others
        });
        let presence = Presence {
            session,
            principal,
            other_sessions,
            node: self.sessions.node(),
        };
        if has_joined {
            PresenceChange::Joined(presence)
        } else {
            PresenceChange::Left(presence)
        }
    }
}

impl Stream for PresenceChanges {
    type Item = PresenceChange;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<PresenceChange>> {
        let this = self.get_mut();
        // The waker is foreign code, so it is cloned before the lock is taken.
        let waker = cx.waker().clone();
        let change = this
            .sessions
            .with_observer(this.observer, |observer, leftovers| {
                let change = observer.pop();
                let unused = match change {
                    None => observer.waker.replace(waker),
                    Some(_) => Some(waker),
                };
                leftovers.drop_later(unused);
                change
            });
        match change.flatten() {
            Some(change) => Poll::Ready(Some(this.count(change))),
            None => Poll::Pending,
        }
    }
}

impl Drop for PresenceChanges {
    fn drop(&mut self) {
        self.sessions.remove_observer(self.observer);
    }
}

impl fmt::Debug for PresenceChanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PresenceChanges").finish_non_exhaustive()
    }
}
