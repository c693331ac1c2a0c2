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
    sessions: BTreeMap<SessionId, Session>,
    principals: BTreeMap<Principal, Vec<SessionId>>,
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
            principals: BTreeMap::new(),
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
            .with(|registry, _| registry.sessions.get(&id).cloned())
    }

    /// The principals that have at least one connected session, in the order of their names.
    #[must_use]
    pub fn principals(&self) -> Vec<Principal> {
        self.0
            .with(|registry, _| registry.principals.keys().cloned().collect())
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
            for session in registry.sessions.values() {
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
            let ids = registry.principals.get(principal);
            let ids = ids.map(Vec::as_slice).unwrap_or_default();
            ids.iter()
                .filter_map(|id| registry.sessions.get(id).cloned())
                .collect()
        })
    }

    /// A snapshot of all connected sessions, in no particular order.
    #[must_use]
    pub fn all(&self) -> Vec<Session> {
        self.0
            .with(|registry, _| registry.sessions.values().cloned().collect())
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
            if let Some(principal) = principal {
                let ids = registry.principals.entry(principal.clone());
                ids.or_default().push(id);
            }
            for (_, observer) in &mut registry.observers {
                observer.join(id, principal.cloned(), leftovers);
            }
            if let Some(previous) = registry.sessions.insert(id, session.clone()) {
                leftovers.drop_later(previous);
            }
        });
    }

    pub(crate) fn remove(&self, session: &Session) {
        self.0.with(|registry, leftovers| {
            let removed = registry.sessions.remove(&session.id());
            if let (Some(_), Some(principal)) = (&removed, session.principal()) {
                let is_last = registry.principals.get_mut(principal).is_some_and(|ids| {
                    ids.retain(|id| *id != session.id());
                    ids.is_empty()
                });
                if is_last {
                    // The key may be the last clone of the principal of another session, with a value of the
                    // application.
                    leftovers.drop_later(registry.principals.remove_entry(principal));
                }
            }
            if let Some(session) = &removed {
                for (_, observer) in &mut registry.observers {
                    let principal = session.principal().cloned();
                    observer.leave(session.id(), principal, leftovers);
                }
            }
            leftovers.drop_later(removed);
        });
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
