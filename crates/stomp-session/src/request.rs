//! A request of a peer, which a service handles.

use crate::{
    disconnect_reason::DisconnectReason, params::Params, principal::Principal, session::Session,
    staging::Staging,
};
use bytes::Bytes;
use http::Extensions;
use stomp_frame::{Command, Frame, Headers, header};
use stomp_socket::Peer;

/// A request of a peer: a frame and its context.
///
/// Services receive `CONNECT` (or `STOMP`), `SEND`, `SUBSCRIBE`, `UNSUBSCRIBE` and `DISCONNECT`. The required headers
/// of these frames are present. Requests arrive in the order in which the peer sent them, each after the answer to the
/// one before. Every session that was connected ends with one `DISCONNECT` request, whether the peer sent such a frame
/// or not; see [`Request::reason`].
#[derive(Debug)]
pub struct Request {
    frame: Frame,
    session: Session,
    params: Params,
    reason: Option<DisconnectReason>,
    transaction: Option<Staging>,
    extensions: Extensions,
}

impl Request {
    /// Creates a request without a connection, for tests of services. Its session sends nothing.
    #[must_use]
    pub fn new(frame: Frame) -> Request {
        Request::with_context(frame, Session::detached(), None, None)
    }

    /// Sets the session's principal if it has none. For tests of services.
    #[must_use]
    pub fn with_principal(self, principal: Principal) -> Request {
        self.session.shared().set_principal(principal);
        self
    }

    pub(crate) fn with_context(
        frame: Frame,
        session: Session,
        reason: Option<DisconnectReason>,
        transaction: Option<Staging>,
    ) -> Request {
        Request {
            frame,
            session,
            params: Params::default(),
            reason,
            transaction,
            extensions: Extensions::new(),
        }
    }

    /// The command of the frame.
    #[must_use]
    pub fn command(&self) -> Command {
        self.frame.command
    }

    /// The `destination`; empty for `CONNECT` and `DISCONNECT`. For `UNSUBSCRIBE`, the one of the subscription.
    #[must_use]
    pub fn destination(&self) -> &str {
        self.frame
            .headers
            .get(header::DESTINATION)
            .unwrap_or_default()
    }

    /// The headers of the frame.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.frame.headers
    }

    /// The body of the frame.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.frame.body
    }

    /// The session of the peer.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The principal that the connect handler gave to the peer, if any.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.session.principal()
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.session.peer()
    }

    /// The reason why the session ends; `None` for requests other than `DISCONNECT`.
    #[must_use]
    pub fn reason(&self) -> Option<DisconnectReason> {
        self.reason
    }

    /// The staging area of the transaction, if this is a `SEND` of a transaction that is being committed.
    #[must_use]
    pub fn transaction(&self) -> Option<&Staging> {
        self.transaction.as_ref()
    }

    /// The result of routing: the matching pattern and the parameters in the destination.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Sets the result of routing.
    pub fn set_params(&mut self, params: Params) {
        self.params = params;
    }

    /// Values that layers have added.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Mutable access to the extensions, for layers that add values for the services inside them.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}
