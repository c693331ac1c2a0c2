//! The registry of connected sessions.

use crate::{
    error::{BoxError, NotSubscribed},
    guarded::{Guarded, Leftovers},
    id::SessionId,
    message::IntoMessage,
    presence::{Observer, PresenceChanges},
    principal::Principal,
    session::Session,
};
use slab::Slab;
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};
use stomp_socket::CloseCode;

/// Registry of connected sessions. It contains a session from `CONNECTED` until the end of the session begins: when a
/// handle closes it, when it fails, when the peer sends `DISCONNECT`, or when the peer is known to be gone.
///
/// Clones share the registry. Each [`Config`](crate::Config) contains one. No method waits. The registry knows the
/// sessions of this process only.
///
/// ```
/// use stomp_session::{CloseCode, Config, Principal};
///
/// let config = Config::default();
/// let sessions = config.sessions.clone();
/// // Run connections with `config`; then, anywhere in the application:
/// sessions.send(&Principal::new("ann"), "/notices", "Your order has left.").ok();
/// for session in sessions.for_principal(&Principal::new("mallory")) {
///     session.close(CloseCode::Policy);
/// }
/// assert!(sessions.is_empty());
/// ```
#[derive(Clone)]
pub struct Sessions(Arc<Guarded<Registry>>);

/// Reference to a [`Sessions`] that does not keep it alive: the registry holds sessions, which hold this.
#[derive(Default)]
pub(crate) struct WeakSessions(Weak<Guarded<Registry>>);

pub(crate) struct Registry {
    node: Arc<str>,
    observers: Slab<Observer>,
    // B-trees and not hash maps, because they free memory when sessions end.
    sessions: BTreeMap<SessionId, Entry>,
    /// The sessions of each principal, by the numbers of their entries. One map for all: a list for each principal would
    /// have to be searched when a session ends, and many sessions may have the same principal.
    of_principals: BTreeMap<(Principal, u64), SessionId>,
    /// The number of the next entry.
    next: u64,
}

struct Entry {
    session: Session,
    number: u64,
}

impl Sessions {
    /// Creates an empty registry, and names the node on which its sessions are: this process, among those that serve the
    /// same application. The name appears in the [changes](Sessions::changes). [`Sessions::default`] makes a random
    /// name.
    pub fn for_node(name: impl Into<Arc<str>>) -> Sessions {
        Sessions(Arc::new(Guarded::new(Registry {
            node: name.into(),
            observers: Slab::new(),
            sessions: BTreeMap::new(),
            of_principals: BTreeMap::new(),
            next: 0,
        })))
    }

    /// The name of the node.
    #[must_use]
    pub fn node(&self) -> Arc<str> {
        self.0.with(|registry, _| Arc::clone(&registry.node))
    }

    /// Number of connected sessions.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.with(|registry, _| registry.sessions.len())
    }

    /// Returns true if no session is connected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session with this id, if it is connected.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<Session> {
        self.0
            .with(|registry, _| Some(registry.sessions.get(&id)?.session.clone()))
    }

    /// The principals that have at least one connected session, in the order of their names.
    #[must_use]
    pub fn principals(&self) -> Vec<Principal> {
        self.0.with(|registry, _| {
            let mut principals: Vec<Principal> = Vec::new();
            for (principal, _) in registry.of_principals.keys() {
                if principals.last() != Some(principal) {
                    principals.push(principal.clone());
                }
            }
            principals
        })
    }

    /// Stream of the sessions that join and leave. It begins with a [`Joined`](crate::PresenceChange::Joined) for each
    /// session that is connected now, so no snapshot is needed, and no change is lost or told twice.
    ///
    /// The stream tells each session that joins, and later that it has left, in the order of these events. If a session
    /// has joined and left again before the stream was polled, the stream tells neither. So a slow reader holds at most
    /// one change for each session that is connected, and for each that it believes to be connected: there is no
    /// overflow.
    ///
    /// Each stream costs time with each session that joins or leaves. An application needs few of them: let one task
    /// read the stream, and publish to the clients that watch.
    ///
    /// ```
    /// use futures_util::StreamExt;
    /// use stomp_session::Sessions;
    ///
    /// async fn log(sessions: Sessions) {
    ///     let mut changes = sessions.changes();
    ///     while let Some(change) = changes.next().await {
    ///         if let Some(user) = change.came_online() {
    ///             println!("{user} is online");
    ///         }
    ///         if let Some(user) = change.went_offline() {
    ///             println!("{user} is offline");
    ///         }
    ///     }
    /// }
    /// ```
    #[must_use = "the stream does nothing unless polled"]
    pub fn changes(&self) -> PresenceChanges {
        let observer = self.0.with(|registry, leftovers| {
            let mut observer = Observer::default();
            for Entry { session, .. } in registry.sessions.values() {
                observer.join(session.id(), session.principal().cloned(), leftovers);
            }
            registry.observers.insert(observer)
        });
        PresenceChanges::new(self.clone(), observer)
    }

    /// The connected sessions of a principal, in the order in which they connected.
    #[must_use]
    pub fn for_principal(&self, principal: &Principal) -> Vec<Session> {
        self.0.with(|registry, _| {
            let [first, last] = [0, u64::MAX].map(|number| (principal.clone(), number));
            let ids = registry.of_principals.range(first..=last);
            ids.filter_map(|(_, id)| Some(registry.sessions.get(id)?.session.clone()))
                .collect()
        })
    }

    /// A snapshot of all connected sessions, in no particular order.
    #[must_use]
    pub fn all(&self) -> Vec<Session> {
        self.0.with(|registry, _| {
            let entries = registry.sessions.values();
            entries.map(|entry| entry.session.clone()).collect()
        })
    }

    /// Sends a message to all subscriptions to `destination` in all sessions of a principal.
    ///
    /// # Errors
    ///
    /// Returns [`NotSubscribed`] if there is no such subscription, and the error of
    /// [`IntoMessage::into_message`] if that fails.
    pub fn send(
        &self,
        principal: &Principal,
        destination: &str,
        message: impl IntoMessage,
    ) -> Result<(), BoxError> {
        let message = message.into_message()?;
        let sent = self
            .for_principal(principal)
            .iter()
            .filter(|s| s.message(destination, message.clone()).is_ok())
            .count();
        if sent == 0 {
            Err(NotSubscribed.into())
        } else {
            Ok(())
        }
    }

    /// Closes all sessions of a principal with this close code, and returns the number of these sessions.
    pub fn close(&self, principal: &Principal, code: CloseCode) -> usize {
        let sessions = self.for_principal(principal);
        sessions.iter().for_each(|session| session.close(code));
        sessions.len()
    }

    /// Closes all sessions of a principal with this close code, and tells the clients the reason: see
    /// [`Session::close_with`]. Returns the number of these sessions.
    pub fn close_with(&self, principal: &Principal, code: CloseCode, reason: &str) -> usize {
        let sessions = self.for_principal(principal);
        let close = |session: &Session| session.close_with(code, reason);
        sessions.iter().for_each(close);
        sessions.len()
    }

    /// Adds a session, unless its end has begun.
    pub(crate) fn insert(&self, session: &Session) {
        self.0.with(|registry, leftovers| {
            // `Session::close` removes the session after it has closed it, so none stays in the registry.
            if session.is_closed() {
                return;
            }
            let (id, principal) = (session.id(), session.principal());
            let number = registry.next;
            registry.next += 1;
            if let Some(principal) = principal {
                let key = (principal.clone(), number);
                registry.of_principals.insert(key, id);
            }
            for (_, observer) in &mut registry.observers {
                observer.join(id, principal.cloned(), leftovers);
            }
            let session = session.clone();
            registry.sessions.insert(id, Entry { session, number });
        });
    }

    pub(crate) fn remove(&self, session: &Session) {
        let removed = self.0.with(|registry, leftovers| {
            let removed = registry.sessions.remove(&session.id())?;
            let principal = session.principal();
            if let Some(principal) = principal {
                // `session` has this principal too, so no value of the application is dropped here.
                let key = (principal.clone(), removed.number);
                registry.of_principals.remove(&key);
            }
            for (_, observer) in &mut registry.observers {
                observer.leave(session.id(), principal.cloned(), leftovers);
            }
            Some(removed)
        });
        // Without the lock, although `session` keeps what the handle holds.
        drop(removed);
    }

    /// Calls `act` with an observer under the lock.
    pub(crate) fn with_observer<R>(
        &self,
        key: usize,
        act: impl FnOnce(&mut Observer, &mut Leftovers) -> R,
    ) -> Option<R> {
        self.0.with(|registry, leftovers| {
            let observer = registry.observers.get_mut(key)?;
            Some(act(observer, leftovers))
        })
    }

    pub(crate) fn remove_observer(&self, key: usize) {
        self.0.with(|registry, leftovers| {
            leftovers.drop_later(registry.observers.try_remove(key));
        });
    }

    pub(crate) fn downgrade(&self) -> WeakSessions {
        WeakSessions(Arc::downgrade(&self.0))
    }
}

impl WeakSessions {
    pub(crate) fn upgrade(&self) -> Option<Sessions> {
        self.0.upgrade().map(Sessions)
    }

    /// Removes a session, if the registry still exists.
    pub(crate) fn remove(&self, session: &Session) {
        if let Some(sessions) = self.0.upgrade() {
            Sessions(sessions).remove(session);
        }
    }
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions::for_node(SessionId::random().to_string())
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::HandleSettings;

    #[test]
    fn a_session_that_leaves_is_found_without_a_search_among_those_of_its_principal() {
        let sessions = Sessions::default();
        let ann = Principal::new("ann");
        let of_ann: Vec<Session> = (0..100)
            .map(|_| {
                let session = Session::open(Arc::default(), HandleSettings::default());
                session.shared().set_principal(ann.clone());
                sessions.insert(&session);
                session
            })
            .collect();
        let ids = |sessions: &[Session]| sessions.iter().map(Session::id).collect::<Vec<_>>();
        assert_eq!(ids(&sessions.for_principal(&ann)), ids(&of_ann));
        // The keys of both maps lead to the session, and nothing else is kept for the principal.
        sessions.0.with(|registry, _| {
            for (key, id) in &registry.of_principals {
                assert_eq!(registry.sessions.get(id).map(|it| it.number), Some(key.1));
            }
        });
        let (left, stay): (Vec<_>, Vec<_>) = of_ann.chunks(2).map(|it| (&it[0], &it[1])).unzip();
        left.into_iter()
            .for_each(|session| sessions.remove(session));
        let stay: Vec<Session> = stay.into_iter().cloned().collect();
        assert_eq!(ids(&sessions.for_principal(&ann)), ids(&stay));
        assert_eq!(sessions.principals(), [ann]);
        stay.iter().for_each(|session| sessions.remove(session));
        sessions.0.with(|registry, _| {
            assert!(registry.sessions.is_empty() && registry.of_principals.is_empty());
        });
    }
}
