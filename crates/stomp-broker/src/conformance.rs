//! Tests of the promises that every [`Engine`] keeps.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), stomp_broker::conformance::ConformanceError> {
//! use stomp_broker::{Memory, MemoryConfig, conformance};
//!
//! let engine = Memory::new(MemoryConfig::default()).expect("the default settings are valid");
//! conformance::check(&engine).await
//! # }
//! ```
//!
//! The paths of all destinations begin with `conformance` and a number that differs from run to run. The tests leave no
//! messages in them, but may leave dead letters.

use crate::{Address, Engine, Publication, SubscribeRequest};
use futures_util::{
    StreamExt,
    future::{BoxFuture, Either, select},
};
use std::{
    error::Error,
    fmt,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use stomp_session::{BoxError, Delivery, Message, MessageStream, Principal, Settlement};
use tokio::time::timeout;

/// Runs all tests on an engine, one after the other.
///
/// # Errors
///
/// The first test that fails.
pub async fn check(engine: &dyn Engine) -> Result<(), ConformanceError> {
    for (name, test) in TESTS {
        tracing::debug!(name, "running a conformance test");
        let run = TestRun {
            engine,
            number: next_number(),
        };
        test(&run).await.map_err(|reason| ConformanceError {
            test: name,
            reason: reason.to_string(),
        })?;
    }
    Ok(())
}

/// A conformance test that an engine failed: the promise that it tests, and the first difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConformanceError {
    test: &'static str,
    reason: String,
}

impl fmt::Display for ConformanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.test, self.reason)
    }
}

impl Error for ConformanceError {}

type Outcome = Result<(), BoxError>;
type Test = for<'a> fn(&'a TestRun<'a>) -> BoxFuture<'a, Outcome>;

const TESTS: &[(&str, Test)] = &[
    (
        "each subscriber of a topic gets all later messages in order",
        |run| Box::pin(run.topic()),
    ),
    (
        "each subscription to a pattern gets the matching messages once",
        |run| Box::pin(run.pattern()),
    ),
    ("topics with the same segments are the same topic", |run| {
        Box::pin(run.equal_segments())
    }),
    (
        "a message to a principal's topic reaches no other principal",
        |run| Box::pin(run.principal()),
    ),
    (
        "a queue keeps messages until they are acknowledged",
        |run| Box::pin(run.queue()),
    ),
    (
        "each message of a queue goes to exactly one consumer",
        |run| Box::pin(run.competing_consumers()),
    ),
    (
        "messages that return to a queue are delivered again, first and in order",
        |run| Box::pin(run.redelivery()),
    ),
    ("a refused message goes to another consumer", |run| {
        Box::pin(run.refused_message())
    }),
    (
        "a refused message returns to its consumer if there is no other",
        |run| Box::pin(run.refused_by_the_only_consumer()),
    ),
    (
        "a temporary queue exists only while it has a subscriber",
        |run| Box::pin(run.temporary_queue()),
    ),
    (
        "the messages of a transaction are published together and in order, or not at all",
        |run| Box::pin(run.transaction()),
    ),
];

/// One run of one test. Its number keeps its destinations apart from those of other runs.
struct TestRun<'a> {
    engine: &'a dyn Engine,
    number: u64,
}

/// The longest time that an engine may take for a call or a message.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The time without a message after which a test concludes that none arrives.
const SILENCE: Duration = Duration::from_millis(200);

impl TestRun<'_> {
    async fn topic(&self) -> Outcome {
        let topic = Address::topic(self.path("a"));
        self.publish(&topic, "before").await?;
        let (mut one, mut two) = (self.subscribe(&topic).await?, self.subscribe(&topic).await?);
        for number in 0..100 {
            self.publish(&topic, &number.to_string()).await?;
        }
        drop(self.subscribe(&topic).await?);
        for stream in [&mut one, &mut two] {
            for number in 0..100 {
                expect_next(stream, &number.to_string()).await?;
            }
            expect_none(stream).await?;
        }
        Ok(())
    }

    async fn pattern(&self) -> Outcome {
        let topic = |path: &str| Address::topic(self.path(path));
        let (mut any, mut rest) = (
            self.subscribe(&topic("*.b")).await?,
            self.subscribe(&topic(">")).await?,
        );
        for path in ["a", "a.b", "b.b.c", "c/b"] {
            self.publish(&topic(path), path).await?;
        }
        self.publish(&Address::topic("conformance"), "matches neither pattern")
            .await?;
        expect_only(&mut any, &["a.b", "c/b"]).await?;
        expect_only(&mut rest, &["a", "a.b", "b.b.c", "c/b"]).await
    }

    async fn equal_segments(&self) -> Outcome {
        let mut stream = self.subscribe(&Address::topic(self.path("a.b/c"))).await?;
        self.publish(&Address::topic(self.path("a/b.c")), "1")
            .await?;
        expect_only(&mut stream, &["1"]).await
    }

    async fn principal(&self) -> Outcome {
        let topic =
            |name: &'static str, path: &str| Address::user(Principal::new(name), self.path(path));
        let mut of_ann = [
            self.subscribe(&topic("ann", "a")).await?,
            self.subscribe(&topic("ann", ">")).await?,
        ];
        let mut of_bob = self.subscribe(&topic("bob", "a")).await?;
        let mut shared = self.subscribe(&Address::topic(self.path("a"))).await?;
        self.publish(&topic("ann", "a"), "1").await?;
        for stream in &mut of_ann {
            expect_only(stream, &["1"]).await?;
        }
        expect_none(&mut of_bob).await?;
        expect_none(&mut shared).await
    }

    async fn queue(&self) -> Outcome {
        let queue = Address::queue(self.path("q"));
        for number in ["1", "2", "3"] {
            self.publish(&queue, number).await?;
        }
        let mut consumer = self.subscribe(&queue).await?;
        expect_only(&mut consumer, &["1", "2", "3"]).await?;
        drop(consumer);
        expect_none(&mut self.subscribe(&queue).await?).await
    }

    async fn competing_consumers(&self) -> Outcome {
        let queue = Address::queue(self.path("q"));
        let (mut one, mut two) = (self.subscribe(&queue).await?, self.subscribe(&queue).await?);
        for number in 0..20 {
            self.publish(&queue, &number.to_string()).await?;
        }
        let mut numbers = Vec::new();
        while numbers.len() < 20 {
            let delivery = match select(pin!(next(&mut one)), pin!(next(&mut two))).await {
                Either::Left((delivery, _)) | Either::Right((delivery, _)) => delivery?,
            };
            numbers.push(body(&delivery).parse::<u32>()?);
            delivery.settle(Settlement::Acked);
        }
        numbers.sort_unstable();
        ensure(numbers == (0..20).collect::<Vec<_>>(), || {
            format!("expected each of 0 to 19 once, but got {numbers:?}")
        })?;
        expect_none(&mut one).await?;
        expect_none(&mut two).await
    }

    async fn redelivery(&self) -> Outcome {
        let queue = Address::queue(self.path("q"));
        for number in ["1", "2", "3", "4"] {
            self.publish(&queue, number).await?;
        }
        let mut consumer = self.subscribe(&queue).await?;
        let mut taken = Vec::new();
        for _ in 0..3 {
            taken.push(next(&mut consumer).await?);
        }
        drop(consumer);
        for (delivery, settlement) in taken.into_iter().zip([
            Settlement::Abandoned,
            Settlement::Unsent,
            Settlement::Abandoned,
        ]) {
            delivery.settle(settlement);
        }
        let mut consumer = self.subscribe(&queue).await?;
        for (expected, is_redelivered) in [("1", true), ("2", false), ("3", true), ("4", false)] {
            let delivery = next(&mut consumer).await?;
            let found = (body(&delivery), delivery.is_redelivered());
            ensure(found == (expected.to_owned(), is_redelivered), || {
                format!(
                    "expected the message {expected:?} with redelivered {is_redelivered}, but got {found:?}"
                )
            })?;
            delivery.settle(Settlement::Acked);
        }
        expect_none(&mut consumer).await
    }

    async fn refused_message(&self) -> Outcome {
        let queue = Address::queue(self.path("q"));
        let mut one = self.subscribe(&queue).await?;
        self.publish(&queue, "1").await?;
        let delivery = next(&mut one).await?;
        let mut two = self.subscribe(&queue).await?;
        expect_none(&mut two).await?;
        delivery.settle(Settlement::Nacked);
        expect_none(&mut one).await?;
        let delivery = next(&mut two).await?;
        ensure(delivery.is_redelivered(), || {
            "the second delivery is not marked as redelivered".to_owned()
        })?;
        delivery.settle(Settlement::Acked);
        Ok(())
    }

    async fn refused_by_the_only_consumer(&self) -> Outcome {
        let queue = Address::queue(self.path("q"));
        let mut consumer = self.subscribe(&queue).await?;
        self.publish(&queue, "1").await?;
        for settlement in [Settlement::Nacked, Settlement::Nacked, Settlement::Acked] {
            next(&mut consumer).await?.settle(settlement);
        }
        expect_none(&mut consumer).await
    }

    async fn temporary_queue(&self) -> Outcome {
        let queue = Address::temporary(self.path("t"));
        self.publish(&queue, "before the queue exists").await?;
        let mut consumer = self.subscribe(&queue).await?;
        self.publish(&queue, "1").await?;
        expect_only(&mut consumer, &["1"]).await?;
        self.publish(&queue, "not consumed").await?;
        drop(consumer);
        self.publish(&queue, "after the queue has gone").await?;
        expect_none(&mut self.subscribe(&queue).await?).await
    }

    async fn transaction(&self) -> Outcome {
        let to = [
            Address::topic(self.path("t")),
            Address::queue(self.path("q")),
        ];
        let mut streams = [self.subscribe(&to[0]).await?, self.subscribe(&to[1]).await?];
        for is_committed in [false, true, true] {
            let mut transaction = self.engine.begin();
            for number in ["1", "2", "3"] {
                for to in &to {
                    let publication = Publication::new(Message::new(number));
                    timeout(TIMEOUT, transaction.prepare(to, publication)).await??;
                }
            }
            for stream in &mut streams {
                expect_none(stream).await?;
            }
            let expected = if is_committed {
                timeout(TIMEOUT, transaction.commit()).await??;
                &["1", "2", "3"][..]
            } else {
                drop(transaction);
                &[]
            };
            for stream in &mut streams {
                expect_only(stream, expected).await?;
            }
        }
        Ok(())
    }

    /// A path that belongs to this run.
    fn path(&self, path: &str) -> String {
        format!("conformance.{}.{path}", self.number)
    }

    async fn publish(&self, to: &Address, text: &str) -> Outcome {
        timeout(
            TIMEOUT,
            self.engine
                .publish(to, Publication::new(Message::new(text.to_owned()))),
        )
        .await?
    }

    async fn subscribe(&self, to: &Address) -> Result<MessageStream, BoxError> {
        let request = SubscribeRequest::new(to.clone());
        timeout(TIMEOUT, self.engine.subscribe(request)).await?
    }
}

async fn next(stream: &mut MessageStream) -> Result<Delivery, BoxError> {
    let item = timeout(TIMEOUT, stream.next())
        .await
        .map_err(|_| "no message arrived in time")?;
    item.ok_or("the subscription ended")?
}

/// Checks the body of the next message, and acknowledges it.
async fn expect_next(stream: &mut MessageStream, expected: &str) -> Outcome {
    let delivery = next(stream).await?;
    let found = body(&delivery);
    delivery.settle(Settlement::Acked);
    ensure(found == expected, || {
        format!("expected the message {expected:?}, but got {found:?}")
    })
}

/// Checks the bodies of the next messages, acknowledges them, and checks that no other arrives.
async fn expect_only(stream: &mut MessageStream, expected: &[&str]) -> Outcome {
    for text in expected {
        expect_next(stream, text).await?;
    }
    expect_none(stream).await
}

/// Checks that no message arrives.
async fn expect_none(stream: &mut MessageStream) -> Outcome {
    match timeout(SILENCE, stream.next()).await {
        Err(_) => Ok(()),
        Ok(item) => Err(format!(
            "expected no message, but got {:?}",
            item.map(|item| item.map(|it| body(&it)))
        )
        .into()),
    }
}

fn body(delivery: &Delivery) -> String {
    String::from_utf8_lossy(delivery.body()).into_owned()
}

fn ensure(condition: bool, reason: impl FnOnce() -> String) -> Outcome {
    if condition {
        Ok(())
    } else {
        Err(reason().into())
    }
}

/// A number that no other run uses, in this process or a later one.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs() * 1_000 + NEXT.fetch_add(1, Ordering::Relaxed)
}
