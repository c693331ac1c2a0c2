//! A request of a peer, which a service handles.

use crate::{
    destination::Destination, disconnect_reason::DisconnectReason, params::Params,
    principal::Principal, protocol::call::RequestParts, session::Session, staging::Staging,
};
use bytes::Bytes;
use http::Extensions;
use stomp_frame::{Command, Frame, Headers, header};
use stomp_socket::Peer;

/// A request of a peer: a frame, with its parsed destination and its session.
///
/// Services receive `CONNECT` (or `STOMP`), `SEND`, `SUBSCRIBE`, `UNSUBSCRIBE` and `DISCONNECT`. The required headers
/// of these frames are present. Requests arrive in the order in which the peer sent them, each after the answer to the
/// one before; the `SEND`s of a transaction arrive with its `COMMIT`. Every session that was connected ends with one
/// `DISCONNECT` request, even if the peer sent no such frame; see [`Request::reason`]. There is none if the service was
/// not ready in time, or if the connection is dropped.
#[derive(Debug)]
pub struct Request {
    frame: Frame,
    destination: Destination,
    session: Session,
    params: Params,
    reason: Option<DisconnectReason>,
    transaction: Option<Staging>,
    extensions: Extensions,
}

impl Request {
    /// Creates a request without a connection, for tests of services. Its session sends nothing.
    ///
    /// The header `destination` is parsed by [`DestinationSyntax::default`](crate::DestinationSyntax), to which every
    /// text is literal. For another syntax, see [`Request::with_destination`].
    #[must_use]
    pub fn new(frame: Frame) -> Request {
        let text = frame.headers.share(header::DESTINATION);
        let parts = RequestParts {
            destination: Destination::opaque(text.unwrap_or_default()),
            frame,
            reason: None,
            staging: None,
        };
        Request::from_parts(parts, Session::detached())
    }

    /// Replaces the destination, but not the header `destination`.
    ///
    /// This is for tests, and for layers that redirect requests. It removes the [parameters](Request::params), which
    /// belong to the destination that a router has seen, so that the routes inside the layer find the route of the new
    /// destination. A layer inside a route does not change the route.
    ///
    /// ```
    /// use stomp_frame::{Command, Frame};
    /// use stomp_session::{DestinationSyntax, PrefixSyntax, Request};
    ///
    /// let syntax = DestinationSyntax::default().with_prefix("/queue/", PrefixSyntax::dotted());
    /// let request = Request::new(Frame::new(Command::Send))
    ///     .with_destination(syntax.parse("/queue/orders.eu")?);
    /// assert_eq!(request.destination().canonical(), "/queue/orders/eu");
    /// # Ok::<(), stomp_session::InvalidDestination>(())
    /// ```
    #[must_use]
    pub fn with_destination(mut self, destination: Destination) -> Request {
        self.destination = destination;
        self.params = Params::default();
        self
    }

    /// Sets the session's principal if it has none. For tests of services.
    #[must_use]
    pub fn with_principal(self, principal: Principal) -> Request {
        self.session.shared().set_principal(principal);
        self
    }

    pub(crate) fn from_parts(parts: RequestParts, session: Session) -> Request {
        let RequestParts {
            frame,
            destination,
            reason,
            staging,
        } = parts;
        Request {
            frame,
            destination,
            session,
            params: Params::default(),
            reason,
            transaction: staging,
            extensions: Extensions::new(),
        }
    }

    /// The command of the frame.
    #[must_use]
    pub fn command(&self) -> Command {
        self.frame.command
    }

    /// The destination, parsed by [`Config::destinations`](crate::Config::destinations). For `UNSUBSCRIBE`, it is that
    /// of the subscription. For `CONNECT` and `DISCONNECT`, it is empty.
    ///
    /// Base decisions on this value and not on the header, because this value is the same for all spellings.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
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
