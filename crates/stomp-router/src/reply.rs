//! Replies: a message to the session that has sent one.

use crate::{IntoSendResponse, map_error::bad_request};
use stomp_frame::Headers;
use stomp_session::{BoxError, ClientError, IntoMessage, Request, Response, Session};

/// A reply to a `SEND`, as a handler's answer.
///
/// It is sent to the destination in the request's `reply-to` header, to which the client has subscribed, with the
/// request's `correlation-id` if it has one. It goes to the session that has asked and to no other, whatever the
/// destination, and before the receipt.
///
/// A request without `reply-to` is refused with `bad-request`, before the handler is called; one whose client has no
/// subscription to it gets `not-subscribed`, after.
///
/// ```
/// use stomp_router::{Json, Reply, Router};
///
/// async fn add(Json((a, b)): Json<(i64, i64)>) -> Reply<Json<i64>> {
///     Reply(Json(a + b))
/// }
///
/// let router: Router = Router::new().send("/sums", add);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reply<T>(pub T);

const REPLY_TO: &str = "reply-to";
const CORRELATION_ID: &str = "correlation-id";

/// Who asks, and with what headers.
#[derive(Debug)]
pub struct Asker {
    session: Session,
    headers: Headers,
}

impl<T: IntoMessage> IntoSendResponse for Reply<T> {
    type Context = Asker;

    fn context(request: &Request) -> Result<Asker, ClientError> {
        if !request.headers().contains(REPLY_TO) {
            return Err(bad_request(
                "The header \"reply-to\" is missing: the destination of the answer.",
            ));
        }
        Ok(Asker {
            session: request.session().clone(),
            headers: request.headers().clone(),
        })
    }

    fn into_response(self, asker: Asker) -> Result<Response, BoxError> {
        let mut message = self.0.into_message()?;
        if let Some(id) = asker.headers.get(CORRELATION_ID) {
            message = message.with_header(CORRELATION_ID, id);
        }
        asker
            .session
            .message(asker.headers.get(REPLY_TO).unwrap_or_default(), message)?;
        Ok(Response::Done)
    }
}
