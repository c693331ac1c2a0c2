//! The request for a subscription.

use crate::{
    Address, Scope,
    publication::{bad_value, peer_address},
};
use std::net::IpAddr;
use stomp_frame::{AckMode, Headers, header};
use stomp_session::{ClientError, Principal, Request, SessionId};

/// The header with the maximum number of unacknowledged messages that a subscriber wants.
const PREFETCH_COUNT: &str = "prefetch-count";
/// The header that asks for a subscription that survives its session.
const DURABLE: &str = "durable";
/// The header that asks for a queue without other consumers.
const EXCLUSIVE: &str = "exclusive";
/// The header that asks for a queue that is removed with its last consumer.
const AUTO_DELETE: &str = "auto-delete";

/// The request of a client or of the application for a subscription, as an [engine](crate::Engine) gets it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SubscribeRequest {
    /// The topic, pattern or queue to subscribe to.
    pub address: Address,
    /// The acknowledgment mode of the subscriber. An engine needs it only if it passes the subscription on to an
    /// external system. With [`AckMode::Auto`], the session acknowledges each message once it is sent. Default:
    /// [`AckMode::ClientIndividual`].
    pub ack_mode: AckMode,
    /// Maximum number of unacknowledged messages that the subscriber asks for. The session enforces it: it polls the
    /// stream only while the subscriber has credit. Default: `None`, the maximum of the session.
    pub prefetch: Option<usize>,
    /// True if the subscription must go on while its subscriber is not connected. Default: false.
    pub durable: bool,
    /// True if the queue must have no other consumer while this one exists. Default: false.
    ///
    /// The subscription fails with `queue-in-use` if the queue has another consumer. While it exists, all other
    /// subscriptions to the queue fail with this error, also those of the same session. The queue itself does not change:
    /// others may send to it, and what waits in it stays when the consumer leaves.
    pub exclusive: bool,
    /// True if the queue must be removed when its last consumer leaves, with the messages that then wait in it. These
    /// do not become dead letters. Always false for a topic, which keeps nothing. Default: false.
    ///
    /// The subscription makes such a queue, or joins one. It fails with `not-supported` if the queue has had messages,
    /// has other consumers, or was [declared](crate::Engine::declare). A subscription without this flag to such a queue
    /// does
    /// not change it.
    pub auto_delete: bool,
    /// The session of the client. `None` for the application, which is the default.
    pub session: Option<SessionId>,
    /// The principal of the client. Default: `None`.
    pub principal: Option<Principal>,
    /// The IP address of the client, if it is known. Default: `None`.
    pub peer_address: Option<IpAddr>,
    /// All headers of the `SUBSCRIBE` frame. Default: none.
    pub headers: Headers,
}

impl SubscribeRequest {
    /// Creates the request of an application, with the default options.
    #[must_use]
    pub fn new(address: Address) -> SubscribeRequest {
        SubscribeRequest {
            address,
            ack_mode: AckMode::ClientIndividual,
            prefetch: None,
            durable: false,
            exclusive: false,
            auto_delete: false,
            session: None,
            principal: None,
            peer_address: None,
            headers: Headers::new(),
        }
    }

    /// Creates the request of a client from its `SUBSCRIBE` frame.
    ///
    /// # Errors
    ///
    /// Returns `bad-request` if the header `durable` or `exclusive`, or `auto-delete` of a queue, is neither `true` nor
    /// `false`.
    pub(crate) fn from_frame(
        address: Address,
        request: &Request,
    ) -> Result<SubscribeRequest, ClientError> {
        let headers = request.headers();
        let subscription = SubscribeRequest {
            // The session has already refused invalid values.
            ack_mode: headers
                .get(header::ACK)
                .and_then(|mode| mode.parse().ok())
                .unwrap_or(AckMode::Auto),
            prefetch: headers
                .get(PREFETCH_COUNT)
                .and_then(|count| count.trim_matches(' ').parse().ok()),
            durable: parse_flag(headers, DURABLE)?,
            // Only its own session may subscribe to a temporary queue. There, an implicit subscription may precede.
            exclusive: parse_flag(headers, EXCLUSIVE)?
                && !matches!(address.scope(), Scope::Temporary),
            auto_delete: address.is_queue() && parse_flag(headers, AUTO_DELETE)?,
            headers: headers.clone(),
            ..SubscribeRequest::new(address)
        };
        Ok(subscription.sent_by(request))
    }

    /// Sets the fields that identify the client of a request.
    pub(crate) fn sent_by(self, request: &Request) -> SubscribeRequest {
        self.session(Some(request.session().id()))
            .principal(request.principal().cloned())
            .peer_address(peer_address(request))
    }

    /// Sets [`SubscribeRequest::ack_mode`].
    #[must_use]
    pub fn ack_mode(mut self, ack_mode: AckMode) -> SubscribeRequest {
        self.ack_mode = ack_mode;
        self
    }

    /// Sets [`SubscribeRequest::prefetch`].
    #[must_use]
    pub fn prefetch(mut self, prefetch: Option<usize>) -> SubscribeRequest {
        self.prefetch = prefetch;
        self
    }

    /// Sets [`SubscribeRequest::durable`].
    #[must_use]
    pub fn durable(mut self, durable: bool) -> SubscribeRequest {
        self.durable = durable;
        self
    }

    /// Sets [`SubscribeRequest::exclusive`].
    #[must_use]
    pub fn exclusive(mut self, exclusive: bool) -> SubscribeRequest {
        self.exclusive = exclusive;
        self
    }

    /// Sets [`SubscribeRequest::auto_delete`].
    #[must_use]
    pub fn auto_delete(mut self, auto_delete: bool) -> SubscribeRequest {
        self.auto_delete = auto_delete;
        self
    }

    /// Sets [`SubscribeRequest::session`].
    #[must_use]
    pub fn session(mut self, session: Option<SessionId>) -> SubscribeRequest {
        self.session = session;
        self
    }

    /// Sets [`SubscribeRequest::principal`].
    #[must_use]
    pub fn principal(mut self, principal: Option<Principal>) -> SubscribeRequest {
        self.principal = principal;
        self
    }

    /// Sets [`SubscribeRequest::peer_address`].
    #[must_use]
    pub fn peer_address(mut self, peer_address: Option<IpAddr>) -> SubscribeRequest {
        self.peer_address = peer_address;
        self
    }

    /// Sets [`SubscribeRequest::headers`].
    #[must_use]
    pub fn headers(mut self, headers: Headers) -> SubscribeRequest {
        self.headers = headers;
        self
    }
}

fn parse_flag(headers: &Headers, name: &str) -> Result<bool, ClientError> {
    match headers.get(name) {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(value) => Err(bad_value(name, "true or false", value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_frame::{Command, Frame};

    fn parsed(headers: &[(&str, &str)]) -> Result<SubscribeRequest, String> {
        let frame = headers
            .iter()
            .fold(Frame::new(Command::Subscribe), |frame, (name, value)| {
                frame.with_header(name, value)
            });
        let request = Request::new(frame).with_principal(Principal::new("ann"));
        SubscribeRequest::from_frame(Address::topic("a"), &request)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn a_client_asks_with_the_headers_of_its_frame() {
        let request = parsed(&[
            ("ack", "client"),
            ("prefetch-count", "7"),
            ("durable", "true"),
            ("exclusive", "true"),
            ("x", "y"),
        ])
        .unwrap();
        assert_eq!(request.ack_mode, AckMode::Client);
        assert_eq!(request.prefetch, Some(7));
        assert!(request.durable && request.exclusive && request.session.is_some());
        assert_eq!(request.principal, Some(Principal::new("ann")));
        assert_eq!(request.headers.get("x"), Some("y"));
        let request = parsed(&[("durable", "false"), ("auto-delete", "true")]).unwrap();
        assert!(!request.auto_delete, "a topic keeps nothing");
        assert_eq!(request.ack_mode, AckMode::Auto);
        assert_eq!(request.prefetch, None);
        assert!(!request.durable && !request.exclusive);
        assert_eq!(
            parsed(&[("exclusive", "TRUE")]).unwrap_err(),
            "bad-request: The header exclusive must be true or false, but is \"TRUE\"."
        );
    }
}
