//! The consequences of a gap, which is a place where messages of a subscription are missing.

use crate::OnGap;
use futures_core::Stream;
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use stomp_session::{BoxError, ClientError, CloseCode, Delivery, Gap, MessageStream, Session};

/// Applies [`Config::on_gap`](crate::Config::on_gap) to the stream of a subscription. `session` is the session of the
/// subscriber, or `None` for the application.
pub(crate) fn apply(
    on_gap: OnGap,
    stream: MessageStream,
    session: Option<&Session>,
) -> MessageStream {
    let closes = match on_gap {
        // The default has no cost.
        OnGap::Mark => return stream,
        OnGap::End => None,
        OnGap::Close => session.cloned(),
    };
    MessageStream::new(UntilGap {
        stream: Some(stream),
        closes,
    })
}

/// A stream that fails at the first gap.
struct UntilGap {
    /// The stream of the subscription. `None` after the first gap.
    stream: Option<MessageStream>,
    /// The session to close at the gap, if any.
    closes: Option<Session>,
}

impl Stream for UntilGap {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(None);
        };
        let item = Pin::new(stream).poll_next(cx);
        let gap = match &item {
            Poll::Ready(Some(Ok(delivery))) => delivery.gap(),
            _ => None,
        };
        let Some(gap) = gap else { return item };
        self.stream = None;
        if let Some(session) = self.closes.take() {
            session.close(CloseCode::Policy);
        }
        Poll::Ready(Some(Err(error(gap).into())))
    }
}

fn error(gap: Gap) -> ClientError {
    let missing = match gap {
        Gap::Dropped(1) => "1 message is missing".to_owned(),
        Gap::Dropped(count) => format!("{count} messages are missing"),
        _ => "An unknown number of messages may be missing".to_owned(),
    };
    let text = format!("{missing}, so the subscription has ended.");
    ClientError::new("gap", text)
}
