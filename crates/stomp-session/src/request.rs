//! What a peer asks for.

use crate::{
    disconnect_reason::DisconnectReason, params::Params, principal::Principal, session::Session,
    staging::Staging,
};
use bytes::Bytes;
use http::Extensions;
use stomp_frame::{Command, Frame, Headers, header};
use stomp_socket::Peer;

/// One request of a peer: the frame that a service is called with.
///
/// Services see `CONNECT` (or `STOMP`), `SEND`, `SUBSCRIBE`, `UNSUBSCRIBE` and `DISCONNECT`. Their required headers
/// are there, their order is the peer's, and the next is called when this one is answered. `DISCONNECT` is called once
/// for every session that was connected, however it ended; see [`Request::reason`].
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
    /// A request without a connection, for tests of services. What its session sends goes nowhere.
    #[must_use]
    pub fn new(frame: Frame) -> Request {
        Request::of(frame, Session::detached(), None)
    }

    /// Names who asks, in a test; the principal of a session that has one stays.
    #[must_use]
    pub fn with_principal(self, principal: Principal) -> Request {
        self.session.shared().set_principal(principal);
        self
    }

    pub(crate) fn of(frame: Frame, session: Session, reason: Option<DisconnectReason>) -> Request {
        let (params, extensions) = (Params::default(), Extensions::new());
        Request {
            frame,
            session,
            params,
            reason,
            transaction: None,
            extensions,
        }
    }

    /// What is asked for.
    #[must_use]
    pub fn command(&self) -> Command {
        self.frame.command
    }

    /// The `destination`; empty for `CONNECT` and `DISCONNECT`. For `UNSUBSCRIBE`, that of the subscription.
    #[must_use]
    pub fn destination(&self) -> &str {
        self.frame
            .headers
            .get(header::DESTINATION)
            .unwrap_or_default()
    }

    /// The frame's headers.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.frame.headers
    }

    /// The frame's body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.frame.body
    }

    /// The session that asks.
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Who asks, if its connect handler said so.
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.session.principal()
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.session.peer()
    }

    /// Why the session ends; for `DISCONNECT` only.
    #[must_use]
    pub fn reason(&self) -> Option<DisconnectReason> {
        self.reason
    }

    /// Makes the request one of a transaction.
    #[must_use]
    pub(crate) fn within(self, transaction: Option<Staging>) -> Request {
        Request {
            transaction,
            ..self
        }
    }

    /// Where to stage what a `SEND` would do, if it is part of a transaction that is being committed.
    #[must_use]
    pub fn transaction(&self) -> Option<&Staging> {
        self.transaction.as_ref()
    }

    /// What routing found in the destination.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Sets what routing found in the destination.
    pub fn set_params(&mut self, params: Params) {
        self.params = params;
    }

    /// What layers have added.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// Lets a layer add something for those inside it.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}
