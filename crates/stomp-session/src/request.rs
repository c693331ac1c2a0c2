//! A request of a peer, which a service handles.

use crate::{
    destination::{Destination, InvalidDestination},
    disconnect_reason::DisconnectReason,
    params::{Params, Pattern},
    principal::Principal,
    protocol::call::RequestParts,
    routed::{Known, Target},
    session::Session,
    staging::Staging,
};
use bytes::Bytes;
use bytestring::ByteString;
use http::Extensions;
use std::sync::Arc;
use stomp_frame::{Command, Frame, Headers, header};
use stomp_socket::Peer;

/// A request of a peer: a frame, with its parsed destination and its session.
///
/// Services receive `CONNECT` (or `STOMP`), `CONNECTED`, `SEND`, `SUBSCRIBE`, `UNSUBSCRIBE` and `DISCONNECT`. The
/// required headers of these frames are present. Requests arrive in the order in which the peer sent them, each after
/// the answer to the one before; the `SEND`s of a transaction arrive with its `COMMIT`.
///
/// # Requests without a frame of the peer
///
/// The session makes some requests itself, so that each beginning has one end. [`Request::is_from_peer`] tells them from
/// others. The peer gets no answer to them, neither a receipt nor an `ERROR`.
///
/// - `CONNECTED`: the peer was accepted, `CONNECTED` was sent, and [`Sessions`](crate::Sessions) contains the session,
///   unless its end has begun already. The request comes before all others except for `CONNECT`.
/// - `UNSUBSCRIBE`, once for each subscription that the service has accepted and the peer has not unsubscribed from: when
///   the stream of the subscription ends or fails, and at the end of the session. It has the headers `id` and
///   `destination`.
/// - `DISCONNECT`, once at the end of each session that was connected, if the peer has not sent it. It is the last
///   request. See [`Request::reason`].
///
/// At the end of a session, these requests come after those for all frames that were read. All `UNSUBSCRIBE` requests
/// together have [`Config::handler_timeout`](crate::Config::handler_timeout): each gets an equal share of the time that
/// is left. There are none of these requests if the service was not ready in time, or if the connection is dropped.
///
/// A layer can rewrite a request before the services inside it see it:
///
/// ```
/// use stomp_session::{InvalidDestination, Request};
///
/// fn move_to_archive(mut request: Request) -> Result<Request, InvalidDestination> {
///     let name = request.destination().as_str().to_owned();
///     request.headers_mut().insert("original", &name);
///     let archive = request.parse_destination(format!("/archive{name}"))?;
///     let body = request.body().to_ascii_lowercase();
///     Ok(request.with_destination(archive).with_body(body))
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Request {
    frame: Frame,
    target: Target,
    session: Session,
    params: Params,
    /// True if the parameters are those that `target` remembers, and not `params`.
    is_recalled: bool,
    reason: Option<DisconnectReason>,
    is_from_peer: bool,
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
        let text = frame.headers.get(header::DESTINATION).unwrap_or_default();
        let parts = RequestParts {
            target: Target::Known(Arc::new(Known::new(Destination::opaque(text)))),
            frame,
            reason: None,
            is_from_peer: true,
            staging: None,
        };
        Request::from_parts(parts, Session::detached())
    }

    /// Replaces the destination, and the header `destination`.
    ///
    /// This is for tests, and for layers that redirect requests; see
    /// [`parse_destination`](Request::parse_destination). It removes the [parameters](Request::params), which belong to
    /// the destination that a router has seen, so that the routes inside the layer find the route of the new
    /// destination. A layer inside a route does not change the route.
    ///
    /// The subscription of a `SUBSCRIBE` keeps its destination, which its messages name.
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
        self.set_destination_header(destination.as_str());
        self.target = Target::Plain(destination);
        self.set_params(Params::default());
        self
    }

    /// Replaces the body. The headers stay, except for `content-length`, which is removed.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Request {
        self.frame.body = body.into();
        self.frame.headers.remove(header::CONTENT_LENGTH);
        self
    }

    /// Sets the session's principal if it has none. For tests of services.
    #[must_use]
    pub fn with_principal(self, principal: Principal) -> Request {
        self.session.shared().set_principal(principal);
        self
    }

    #[inline]
    pub(crate) fn from_parts(parts: RequestParts, session: Session) -> Request {
        let RequestParts {
            frame,
            target,
            reason,
            is_from_peer,
            staging,
        } = parts;
        Request {
            frame,
            target,
            session,
            params: Params::default(),
            is_recalled: false,
            reason,
            is_from_peer,
            transaction: staging,
            extensions: Extensions::new(),
        }
    }

    fn set_destination_header(&mut self, text: &str) {
        let headers = &mut self.frame.headers;
        if headers.get(header::DESTINATION) != Some(text) {
            headers.insert(header::DESTINATION, text);
        }
    }

    /// Parses a destination by the syntax of the session, [`Config::destinations`](crate::Config::destinations).
    ///
    /// # Errors
    ///
    /// Returns an error if the syntax does not allow the text.
    pub fn parse_destination(
        &self,
        text: impl Into<ByteString>,
    ) -> Result<Destination, InvalidDestination> {
        self.session.shared().destinations().parse(text)
    }

    /// Turns the request into its frame, as layers have changed it. The header `destination` is the text of
    /// [`Request::destination`]. There is no `content-length`, which encoders add.
    #[must_use]
    pub fn into_frame(mut self) -> Frame {
        self.frame.headers.remove(header::CONTENT_LENGTH);
        // `headers_mut` may have changed or removed it. CONNECT and DISCONNECT have none.
        let destination = self.destination().clone();
        if !destination.as_str().is_empty() {
            self.set_destination_header(destination.as_str());
        }
        self.frame
    }

    /// The command of the frame.
    #[inline]
    #[must_use]
    pub fn command(&self) -> Command {
        self.frame.command
    }

    /// The destination, parsed by [`Config::destinations`](crate::Config::destinations). For `UNSUBSCRIBE`, it is that
    /// of the subscription. For `CONNECT` and `DISCONNECT`, it is empty.
    ///
    /// Base decisions on this value and not on the header, because this value is the same for all spellings.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> &Destination {
        self.target.destination()
    }

    /// The headers of the frame.
    #[inline]
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.frame.headers
    }

    /// Mutable access to the headers, for layers that change them for the services inside them.
    ///
    /// The session has read its own headers before: a change of `destination`, `receipt`, `transaction`, `id` or `ack`
    /// has no effect on the destination, the receipt, the transaction or the subscription. For the destination, see
    /// [`with_destination`](Request::with_destination).
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.frame.headers
    }

    /// The body of the frame.
    #[inline]
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.frame.body
    }

    /// The session of the peer.
    #[inline]
    #[must_use]
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The principal that the connect handler gave to the peer, if any.
    #[inline]
    #[must_use]
    pub fn principal(&self) -> Option<&Principal> {
        self.session.principal()
    }

    /// The other end of the connection.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        self.session.peer()
    }

    /// Returns false if the session made the request itself, without a frame of the peer: see
    /// [above](Request#requests-without-a-frame-of-the-peer).
    #[must_use]
    pub fn is_from_peer(&self) -> bool {
        self.is_from_peer
    }

    /// The reason why the session ends; `None` for requests other than `DISCONNECT`.
    #[must_use]
    pub fn reason(&self) -> Option<DisconnectReason> {
        self.reason
    }

    /// The staging area of the transaction, if this is a `SEND` of a transaction that is being committed.
    #[inline]
    #[must_use]
    pub fn transaction(&self) -> Option<&Staging> {
        self.transaction.as_ref()
    }

    /// The result of routing: the matching pattern and the parameters in the destination.
    #[inline]
    #[must_use]
    pub fn params(&self) -> &Params {
        let recalled = self.target.route().filter(|_| self.is_recalled);
        recalled.unwrap_or(&self.params)
    }

    /// Sets the result of routing.
    pub fn set_params(&mut self, params: Params) {
        self.session.shared().set_route(params.pattern());
        if self.command() == Command::Send && params.pattern().is_some() {
            self.target.remember_route(&params);
        }
        self.params = params;
        self.is_recalled = false;
    }

    /// Sets the result of routing a `SEND` to that of an earlier one to this destination, if `is_valid` accepts its
    /// pattern. Returns false if there is none, and for other commands.
    ///
    /// Clients often send to one destination several times in a row. Their session then parses it once, and a router that
    /// calls this function searches once.
    #[inline]
    pub fn recall_params(&mut self, is_valid: impl FnOnce(&Arc<Pattern>) -> bool) -> bool {
        let pattern = self.target.route().and_then(Params::pattern);
        let Some(pattern) = pattern.filter(|pattern| is_valid(pattern)) else {
            return false;
        };
        self.session.shared().set_route(Some(pattern));
        self.is_recalled = true;
        true
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
