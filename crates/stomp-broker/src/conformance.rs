//! What every [`Engine`] has to do, as tests that any engine can be put to.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), stomp_broker::conformance::Failure> {
//! use stomp_broker::{Config, Memory, conformance};
//!
//! conformance::check(&Memory::new(Config::default())).await
//! # }
//! ```
//!
//! The destinations that are used begin with `conformance`, and a number that differs from run to run. Nothing in them is
//! left behind but dead letters.

use crate::{Destination, Engine};
use futures_util::{StreamExt, future::BoxFuture};
use std::{
    error::Error,
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use stomp_session::{BoxError, Delivery, Message, MessageStream, Principal, Settlement};
use tokio::time::timeout;

/// Puts an engine to all tests, one after the other.
///
/// # Errors
///
/// The first that it fails.
pub async fn check(engine: &dyn Engine) -> Result<(), Failure> {
    for (name, test) in TESTS {
        tracing::debug!(name, "conformance");
        let run = Run {
            engine,
            number: number(),
        };
        test(&run).await.map_err(|reason| Failure {
            test: name,
            reason: reason.to_string(),
        })?;
    }
    Ok(())
}

/// A test that an engine has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    test: &'static str,
    reason: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.test, self.reason)
    }
}

impl Error for Failure {}

type Outcome = Result<(), BoxError>;
type Test = for<'a> fn(&'a Run<'a>) -> BoxFuture<'a, Outcome>;

const TESTS: &[(&str, Test)] = &[
    (
        "a topic's subscribers all get what is published from then on, in order",
        |run| Box::pin(run.topic()),
    ),
    (
        "a pattern gets what matches it, once for each subscription",
        |run| Box::pin(run.pattern()),
    ),
    ("topics are the same if their segments are", |run| {
        Box::pin(run.segments())
    }),
    ("a principal's topics are nobody else's", |run| {
        Box::pin(run.user())
    }),
    (
        "a queue keeps messages until they are acknowledged",
        |run| Box::pin(run.queue()),
    ),
    ("one consumer gets each message of a queue", |run| {
        Box::pin(run.competing())
    }),
    (
        "what comes back is given out again, first and in order",
        |run| Box::pin(run.given_back()),
    ),
    ("what is refused goes to another consumer", |run| {
        Box::pin(run.refused())
    }),
    (
        "what is refused may be given to the same consumer if there is no other",
        |run| Box::pin(run.refused_alone()),
    ),
    (
        "a temporary queue is there while somebody is subscribed to it",
        |run| Box::pin(run.temporary()),
    ),
    (
        "what is reserved is published with its effect, or not at all",
        |run| Box::pin(run.reserved()),
    ),
];

/// One test of an engine.
struct Run<'a> {
    engine: &'a dyn Engine,
    number: u64,
}

/// So long a message may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// So long nothing has come if nothing comes.
const SILENCE: Duration = Duration::from_millis(200);

impl Run<'_> {
    async fn topic(&self) -> Outcome {
        let topic = Destination::topic(self.name("a"));
        self.publish(&topic, "before").await?;
        let (mut one, mut two) = (self.subscribe(&topic).await?, self.subscribe(&topic).await?);
        for number in 0..100 {
            self.publish(&topic, &number.to_string()).await?;
        }
        drop(self.subscribe(&topic).await?);
        for stream in [&mut one, &mut two] {
            for number in 0..100 {
                takes(stream, &number.to_string()).await?;
            }
            silent(stream).await?;
        }
        Ok(())
    }

    async fn pattern(&self) -> Outcome {
        let of = |path: &str| Destination::topic(self.name(path));
        let (mut any, mut rest) = (
            self.subscribe(&of("*.b")).await?,
            self.subscribe(&of(">")).await?,
        );
        for path in ["a", "a.b", "b.b.c", "c/b"] {
            self.publish(&of(path), path).await?;
        }
        self.publish(&Destination::topic("conformance"), "none of theirs")
            .await?;
        takes_all(&mut any, &["a.b", "c/b"]).await?;
        takes_all(&mut rest, &["a", "a.b", "b.b.c", "c/b"]).await
    }

    async fn segments(&self) -> Outcome {
        let mut stream = self
            .subscribe(&Destination::topic(self.name("a.b/c")))
            .await?;
        self.publish(&Destination::topic(self.name("a/b.c")), "1")
            .await?;
        takes_all(&mut stream, &["1"]).await
    }

    async fn user(&self) -> Outcome {
        let of = |name: &'static str, path: &str| {
            Destination::user(Principal::new(name), self.name(path))
        };
        let mut anns = [
            self.subscribe(&of("ann", "a")).await?,
            self.subscribe(&of("ann", ">")).await?,
        ];
        let mut bobs = self.subscribe(&of("bob", "a")).await?;
        let mut everybodys = self.subscribe(&Destination::topic(self.name("a"))).await?;
        self.publish(&of("ann", "a"), "1").await?;
        for stream in &mut anns {
            takes_all(stream, &["1"]).await?;
        }
        silent(&mut bobs).await?;
        silent(&mut everybodys).await
    }

    async fn queue(&self) -> Outcome {
        let queue = Destination::queue(self.name("q"));
        for number in ["1", "2", "3"] {
            self.publish(&queue, number).await?;
        }
        let mut consumer = self.subscribe(&queue).await?;
        takes_all(&mut consumer, &["1", "2", "3"]).await?;
        drop(consumer);
        silent(&mut self.subscribe(&queue).await?).await
    }

    async fn competing(&self) -> Outcome {
        let queue = Destination::queue(self.name("q"));
        let (mut one, mut two) = (self.subscribe(&queue).await?, self.subscribe(&queue).await?);
        for number in 0..20 {
            self.publish(&queue, &number.to_string()).await?;
        }
        let mut numbers = Vec::new();
        while numbers.len() < 20 {
            let delivery = tokio::select! {
                delivery = next(&mut one) => delivery?,
                delivery = next(&mut two) => delivery?,
            };
            numbers.push(text(&delivery).parse::<u32>()?);
            delivery.settle(Settlement::Acked);
        }
        numbers.sort_unstable();
        ensure(numbers == (0..20).collect::<Vec<_>>(), || {
            format!("{numbers:?}")
        })?;
        silent(&mut one).await?;
        silent(&mut two).await
    }

    async fn given_back(&self) -> Outcome {
        let queue = Destination::queue(self.name("q"));
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
            let found = (text(&delivery), delivery.is_redelivered());
            ensure(found == (expected.to_owned(), is_redelivered), || {
                format!("{found:?}, not {expected}")
            })?;
            delivery.settle(Settlement::Acked);
        }
        silent(&mut consumer).await
    }

    async fn refused(&self) -> Outcome {
        let queue = Destination::queue(self.name("q"));
        let mut one = self.subscribe(&queue).await?;
        self.publish(&queue, "1").await?;
        let delivery = next(&mut one).await?;
        let mut two = self.subscribe(&queue).await?;
        silent(&mut two).await?;
        delivery.settle(Settlement::Nacked);
        silent(&mut one).await?;
        let delivery = next(&mut two).await?;
        ensure(delivery.is_redelivered(), || {
            "redelivered is not set".to_owned()
        })?;
        delivery.settle(Settlement::Acked);
        Ok(())
    }

    async fn refused_alone(&self) -> Outcome {
        let queue = Destination::queue(self.name("q"));
        let mut consumer = self.subscribe(&queue).await?;
        self.publish(&queue, "1").await?;
        for settlement in [Settlement::Nacked, Settlement::Nacked, Settlement::Acked] {
            next(&mut consumer).await?.settle(settlement);
        }
        silent(&mut consumer).await
    }

    async fn temporary(&self) -> Outcome {
        let queue = Destination::temporary(self.name("t"));
        self.publish(&queue, "too early").await?;
        let mut consumer = self.subscribe(&queue).await?;
        self.publish(&queue, "1").await?;
        takes_all(&mut consumer, &["1"]).await?;
        self.publish(&queue, "never taken").await?;
        drop(consumer);
        self.publish(&queue, "too late").await?;
        silent(&mut self.subscribe(&queue).await?).await
    }

    async fn reserved(&self) -> Outcome {
        for to in [
            Destination::topic(self.name("t")),
            Destination::queue(self.name("q")),
        ] {
            let mut stream = self.subscribe(&to).await?;
            let reserve = |text: &str| self.engine.reserve(&to, Message::new(text.to_owned()));
            let effects = [
                reserve("1").await?,
                reserve("2").await?,
                reserve("3").await?,
            ];
            silent(&mut stream).await?;
            let [first, second, third] = effects;
            first();
            drop(second);
            third();
            takes_all(&mut stream, &["1", "3"]).await?;
        }
        Ok(())
    }

    fn name(&self, path: &str) -> String {
        format!("conformance.{}.{path}", self.number)
    }

    async fn publish(&self, to: &Destination, text: &str) -> Outcome {
        timeout(
            PATIENCE,
            self.engine.publish(to, Message::new(text.to_owned())),
        )
        .await?
    }

    async fn subscribe(&self, to: &Destination) -> Result<MessageStream, BoxError> {
        timeout(PATIENCE, self.engine.subscribe(to)).await?
    }
}

async fn next(stream: &mut MessageStream) -> Result<Delivery, BoxError> {
    let item = timeout(PATIENCE, stream.next())
        .await
        .map_err(|_| "a message did not come")?;
    item.ok_or("the subscription ended")?
}

/// The next is this one, and is acknowledged.
async fn takes(stream: &mut MessageStream, expected: &str) -> Outcome {
    let delivery = next(stream).await?;
    let found = text(&delivery);
    delivery.settle(Settlement::Acked);
    ensure(found == expected, || {
        format!("{found:?} came, not {expected:?}")
    })
}

/// All that come are these.
async fn takes_all(stream: &mut MessageStream, expected: &[&str]) -> Outcome {
    for text in expected {
        takes(stream, text).await?;
    }
    silent(stream).await
}

async fn silent(stream: &mut MessageStream) -> Outcome {
    match timeout(SILENCE, stream.next()).await {
        Err(_) => Ok(()),
        Ok(item) => Err(format!(
            "{:?} came, not nothing",
            item.map(|item| item.map(|it| text(&it)))
        )
        .into()),
    }
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8_lossy(delivery.body()).into_owned()
}

fn ensure(is_so: bool, reason: impl FnOnce() -> String) -> Outcome {
    if is_so { Ok(()) } else { Err(reason().into()) }
}

/// A number for the names of one test.
fn number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    now.as_secs() * 1_000 + NEXT.fetch_add(1, Ordering::Relaxed)
}
