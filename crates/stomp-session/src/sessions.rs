//! The registry of connected sessions.

use crate::{
    error::{BoxError, NotSubscribed},
    guarded::Guarded,
    id::SessionId,
    message::IntoMessage,
    principal::Principal,
    session::Session,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Weak},
};
use stomp_socket::CloseCode;

/// Registry of connected sessions. It contains a session from `CONNECTED` until the end of the session begins: when a
/// handle closes it, when it fails, when the peer sends `DISCONNECT`, or when the peer is known to be gone.
///
/// Clones share the registry. Each [`Config`](crate::Config) contains one. No method waits.
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
#[derive(Clone, Default)]
pub struct Sessions(Arc<Guarded<Registry>>);

/// Reference to a [`Sessions`] that does not keep it alive: the registry holds sessions, which hold this.
#[derive(Default)]
pub(crate) struct WeakSessions(Weak<Guarded<Registry>>);

#[derive(Default)]
pub(crate) struct Registry {
    // B-trees and not hash maps, because they free memory when sessions end.
    sessions: BTreeMap<SessionId, Session>,
    principals: BTreeMap<Principal, Vec<SessionId>>,
}

impl Sessions {
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

    /// Adds a session, unless its end has begun. If it is registered already, adds the principal that it has received
    /// since.
    pub(crate) fn insert(&self, session: &Session) {
        self.0.with(|registry, leftovers| {
            // `Session::close` removes the session after it has closed it, so none stays in the registry.
            if session.is_closed() {
                return;
            }
            if let Some(principal) = session.principal() {
                let ids = registry.principals.entry(principal.clone()).or_default();
                if !ids.contains(&session.id()) {
                    ids.push(session.id());
                }
            }
            leftovers.drop_later(registry.sessions.insert(session.id(), session.clone()));
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
            leftovers.drop_later(removed);
        });
    }

    pub(crate) fn downgrade(&self) -> WeakSessions {
        WeakSessions(Arc::downgrade(&self.0))
    }
}

impl WeakSessions {
    /// Removes a session, if the registry still exists.
    pub(crate) fn remove(&self, session: &Session) {
        if let Some(sessions) = self.0.upgrade() {
            Sessions(sessions).remove(session);
        }
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
