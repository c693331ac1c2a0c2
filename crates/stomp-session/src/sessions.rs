//! Who is connected.

use crate::{
    error::{BoxError, NotSubscribed},
    id::SessionId,
    message::IntoMessage,
    principal::Principal,
    session::Session,
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use stomp_socket::CloseCode;

/// The sessions that are connected: from `CONNECTED` to the end of their connection.
///
/// Cloning gives another handle on the same registry. One is in each [`Config`](crate::Config); nothing in it waits.
///
/// ```
/// use stomp_session::{CloseCode, Config, Principal};
///
/// let config = Config::default();
/// let sessions = config.sessions.clone();
/// // … run connections with `config`, and anywhere in the application:
/// sessions.send(&Principal::new("ann"), "/notices", "Your order has left.").ok();
/// for session in sessions.for_principal(&Principal::new("mallory")) {
///     session.close(CloseCode::Policy);
/// }
/// assert!(sessions.is_empty());
/// ```
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<Registry>>);

#[derive(Default)]
struct Registry {
    /// Trees, which get smaller again.
    sessions: BTreeMap<SessionId, Session>,
    principals: BTreeMap<Principal, Vec<SessionId>>,
}

impl Sessions {
    /// How many sessions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().sessions.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The session of this id.
    #[must_use]
    pub fn get(&self, id: SessionId) -> Option<Session> {
        self.lock().sessions.get(&id).cloned()
    }

    /// All sessions of a principal, in the order in which they connected.
    #[must_use]
    pub fn for_principal(&self, principal: &Principal) -> Vec<Session> {
        let registry = self.lock();
        let ids = registry
            .principals
            .get(principal)
            .map(Vec::as_slice)
            .unwrap_or_default();
        ids.iter()
            .filter_map(|id| registry.sessions.get(id).cloned())
            .collect()
    }

    /// All sessions, as they are now, in the order in which they connected.
    #[must_use]
    pub fn all(&self) -> Vec<Session> {
        self.lock().sessions.values().cloned().collect()
    }

    /// Sends a message to all of a principal's subscriptions of `destination`, in all of its sessions.
    ///
    /// # Errors
    ///
    /// [`NotSubscribed`] if there is no such subscription, or the error of [`IntoMessage::into_message`].
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

    /// Closes all sessions of a principal, and says how many they were.
    pub fn close(&self, principal: &Principal, code: CloseCode) -> usize {
        let sessions = self.for_principal(principal);
        sessions.iter().for_each(|session| session.close(code));
        sessions.len()
    }

    /// Enters a session, or the principal of one that was entered before it had any.
    pub(crate) fn enter(&self, session: &Session) {
        let mut registry = self.lock();
        if let Some(principal) = session.principal() {
            let ids = registry.principals.entry(principal.clone()).or_default();
            if !ids.contains(&session.id()) {
                ids.push(session.id());
            }
        }
        registry.sessions.insert(session.id(), session.clone());
    }

    pub(crate) fn leave(&self, session: &Session) {
        let mut registry = self.lock();
        let left = registry.sessions.remove(&session.id());
        if let (Some(_), Some(principal)) = (&left, session.principal()) {
            let is_last = registry.principals.get_mut(principal).is_some_and(|ids| {
                ids.retain(|id| *id != session.id());
                ids.is_empty()
            });
            if is_last {
                registry.principals.remove(principal);
            }
        }
        drop(registry);
        // A session may hold values of the application's, which are not dropped under the lock.
        drop(left);
    }

    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
