//! Replies: a message back to the session that sent the request.

use crate::{IntoSendResponse, client_errors::bad_request};
use stomp_frame::Headers;
use stomp_session::{BoxError, ClientError, IntoMessage, Request, Response, Session};

/// A reply to a `SEND`, returned by its handler.
///
/// The reply is sent to the destination in the request's `reply-to` header, to which the client must have a
/// subscription. It carries the request's `correlation-id` header, if there is one. Only the session that sent the
/// request gets it, even if other sessions have subscribed to the same destination. It is sent before the receipt.
///
/// A request without `reply-to` is rejected with `bad-request`, before the handler is called. If the session has no
/// subscription to the destination, the client gets `not-subscribed`, after the handler has run.
///
/// ```
/// use stomp_router::{Json, Reply, Router};
///
/// async fn add(Json((a, b)): Json<(i64, i64)>) -> Reply<Json<i64>> {
///     Reply(Json(a + b))
/// }
///
/// // The client subscribes to its replies first, and sends `reply-to:/replies` with its request.
/// let router: Router = Router::new().send("/sums", add).inbox("/replies");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reply<T>(pub T);

const REPLY_TO: &str = "reply-to";
const CORRELATION_ID: &str = "correlation-id";

/// The receiver of a reply: the session and headers of its request.
#[derive(Debug)]
pub struct ReplyTo {
    session: Session,
    headers: Headers,
}

impl<T: IntoMessage> IntoSendResponse for Reply<T> {
    type Context = ReplyTo;

    fn context(request: &Request) -> Result<ReplyTo, ClientError> {
        if !request.headers().contains(REPLY_TO) {
            return Err(bad_request(
                "The header \"reply-to\" is missing: it names the destination of the reply.",
            ));
        }
        Ok(ReplyTo {
            session: request.session().clone(),
            headers: request.headers().clone(),
        })
    }

    fn into_response(self, reply_to: ReplyTo) -> Result<Response, BoxError> {
        let ReplyTo { session, headers } = reply_to;
        let mut message = self.0.into_message()?;
        if let Some(id) = headers.get(CORRELATION_ID) {
            message = message.with_header(CORRELATION_ID, id);
        }
        session.message(headers.get(REPLY_TO).unwrap_or_default(), message)?;
        Ok(Response::Done)
    }
}
