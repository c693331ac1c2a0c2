//! The receiving side of a test's subscription.

use super::test::{Outcome, ensure_equal};
use futures_util::StreamExt;
use std::{future::Future, time::Duration};
use stomp_session::{BoxError, Delivery, MessageStream, Settlement};
use tokio::time::{Instant, timeout};

/// The longest time that an engine may take for a call or a message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The time without a message after which a test concludes that none arrives.
pub(super) const SILENCE: Duration = Duration::from_millis(200);

/// Awaits a call of an engine, which may not take too long.
pub(super) async fn bounded<T>(
    call: impl Future<Output = Result<T, BoxError>>,
) -> Result<T, BoxError> {
    in_time(call)
        .await
        .unwrap_or_else(|| Err(format!("a call took longer than {TIMEOUT:?}").into()))
}

/// Awaits a future. `None` if it takes too long.
///
/// A timeout polls the future once more when it is over. Being ready only then is too late: nothing has woken the task.
async fn in_time<T>(future: impl Future<Output = T>) -> Option<T> {
    let start = Instant::now();
    let output = timeout(TIMEOUT, future).await.ok()?;
    (start.elapsed() < TIMEOUT).then_some(output)
}

/// A subscription of a test. Dropping it ends the subscription.
pub(super) struct Receiver {
    stream: MessageStream,
    /// Names the destination in errors.
    name: String,
}

impl Receiver {
    pub(super) fn new(stream: MessageStream, name: String) -> Receiver {
        Receiver { stream, name }
    }

    /// Waits for the next item: a delivery, an error, or the end of the stream.
    async fn next_item(&mut self) -> Result<Option<Result<Delivery, BoxError>>, BoxError> {
        let name = &self.name;
        in_time(self.stream.next())
            .await
            .ok_or_else(|| format!("nothing arrived for {name} within {TIMEOUT:?}").into())
    }

    /// Waits for the next delivery. The caller settles it.
    pub(super) async fn next(&mut self) -> Result<Delivery, BoxError> {
        match self.next_item().await? {
            Some(Ok(delivery)) => Ok(delivery),
            Some(Err(error)) => {
                Err(format!("the subscription to {} failed: {error}", self.name).into())
            }
            None => Err(format!("the subscription to {} ended", self.name).into()),
        }
    }

    /// Waits for a delivery with this body. The caller settles it.
    pub(super) async fn take(&mut self, text: &str) -> Result<Delivery, BoxError> {
        let delivery = self
            .next()
            .await
            .map_err(|error| format!("expected the message {text:?}, but {error}"))?;
        let what = format!("for {} the message", self.name);
        ensure_equal(&what, body(&delivery), text.to_owned())?;
        Ok(delivery)
    }

    /// Waits for a delivery with this body and this mark, and acknowledges it.
    pub(super) async fn expect_marked(&mut self, text: &str, is_redelivered: bool) -> Outcome {
        let delivery = self.take(text).await?;
        let found = delivery.is_redelivered();
        delivery.settle(Settlement::Acked);
        let what = format!("at the message {text:?} the mark `redelivered`");
        ensure_equal(&what, found, is_redelivered)
    }

    /// Waits for a delivery with this body, and acknowledges it.
    pub(super) async fn expect(&mut self, text: &str) -> Outcome {
        self.take(text).await?.settle(Settlement::Acked);
        Ok(())
    }

    /// Waits for deliveries with these bodies, and acknowledges them.
    pub(super) async fn expect_all(&mut self, texts: &[&str]) -> Outcome {
        for text in texts {
            self.expect(text).await?;
        }
        Ok(())
    }

    /// Waits for deliveries with these bodies, acknowledges them, and checks that no other arrives.
    pub(super) async fn expect_only(&mut self, texts: &[&str]) -> Outcome {
        self.expect_all(texts).await?;
        self.expect_none().await
    }

    /// Checks that no message arrives, and that the stream goes on.
    pub(super) async fn expect_none(&mut self) -> Outcome {
        match timeout(SILENCE, self.stream.next()).await {
            Err(_) => Ok(()),
            Ok(item) => {
                let found = item.map(|item| item.map(|delivery| body(&delivery)));
                Err(format!("expected no message for {}, but got {found:?}", self.name).into())
            }
        }
    }

    /// Waits for all deliveries until none arrives for a moment, or there are more than any test publishes. The caller
    /// settles them. The last item is the error if the stream fails.
    pub(super) async fn drain(&mut self) -> Vec<Result<Delivery, BoxError>> {
        let mut items = Vec::new();
        while items.len() < 10_000 {
            match timeout(SILENCE, self.stream.next()).await {
                Ok(Some(item)) => items.push(item),
                Ok(None) | Err(_) => break,
            }
        }
        items
    }

    /// Waits for the end of the stream, without a message before it.
    pub(super) async fn expect_end(&mut self) -> Outcome {
        match self.next_item().await? {
            None => Ok(()),
            Some(item) => {
                let found = item.map(|delivery| body(&delivery));
                let name = &self.name;
                Err(format!("expected the subscription to {name} to end, but got {found:?}").into())
            }
        }
    }
}

/// The body of a delivery as text.
pub(super) fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(delivery.body()).into_owned()
}
