//! What a peer asks for.

use crate::{Peer, Principal, Session, Staging};
use bytes::Bytes;
use http::Extensions;
use smallvec::SmallVec;
use std::{ops::Range, sync::Arc};
use stomp_frame::{Command, Frame, Headers, header};

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

/// A route's pattern, as its router knows it.
#[derive(Debug)]
pub struct Pattern {
    /// How it is written.
    pub text: Arc<str>,
    /// The names of its parameters, in order.
    pub names: Vec<Box<str>>,
    /// The router's own number for it.
    pub number: usize,
}

/// What routing found in a destination: the pattern that it fits, and the parts that have names there.
#[derive(Debug, Clone, Default)]
pub struct Params {
    pattern: Option<Arc<Pattern>>,
    places: SmallVec<[(u32, u32); 4]>,
}

impl Params {
    /// Parameters of this pattern at these places of the destination, in the order of their names.
    pub fn new(pattern: Arc<Pattern>, places: impl IntoIterator<Item = Range<usize>>) -> Params {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        let places = places
            .into_iter()
            .map(|place| (offset(place.start), offset(place.end)));
        Params {
            pattern: Some(pattern),
            places: places.collect(),
        }
    }

    /// The pattern. There is none before routing, and where no route is for the destination.
    #[must_use]
    pub fn pattern(&self) -> Option<&Arc<Pattern>> {
        self.pattern.as_ref()
    }

    /// Names and values, in the pattern's order, given the destination.
    pub fn iter<'a>(
        &'a self,
        destination: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> + Clone {
        let names = self
            .pattern
            .iter()
            .flat_map(|pattern| &pattern.names)
            .map(|name| &**name);
        let values = self
            .places
            .iter()
            .map(|(start, end)| destination.get(*start as usize..*end as usize));
        let values = values.map(Option::unwrap_or_default);
        names.zip(values)
    }

    /// The value of `name`, given the destination.
    #[must_use]
    pub fn get<'a>(&'a self, destination: &'a str, name: &str) -> Option<&'a str> {
        self.iter(destination)
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    }
}

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer sent `DISCONNECT`.
    Requested,
    /// The peer closed the connection without it.
    Closed,
    /// The connection broke.
    Lost,
    /// The peer broke the protocol, or a limit.
    Fault,
    /// The peer was silent for too long, or did not take what was sent to it.
    Timeout,
    /// An error of the application, where these close.
    Error,
    /// What the peer logged in with has expired, see [`Session::expires_at`].
    Expired,
    /// This side closed.
    Server,
}
