//! One run of one test: an engine, the names of its destinations, and its calls.

use super::{
    receiver::{Receiver, bounded},
    test::{Outcome, ensure_equal},
};
use crate::{
    Address, Capabilities, Engine, EngineTransaction, Publication, QueueSettings, Retain,
    Statistics, SubscribeRequest,
};
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use stomp_session::{BoxError, ClientError, Message, Principal};
use tokio::task::JoinSet;

/// The time after which a message that expires in a test does so. Not a number of whole seconds: an engine that looks for
/// expired messages once a second must not depend on it.
const LIFETIME: Duration = Duration::from_millis(2_300);

/// One run of one test with an engine. Clones are the same run.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) engine: Arc<dyn Engine>,
    /// Keeps the destinations of this run apart from those of others.
    number: u64,
}

/// One run of one test with two nodes.
pub(super) struct Pair {
    pub(super) one: Run,
    pub(super) two: Run,
}

impl Pair {
    pub(super) fn new(one: Arc<dyn Engine>, two: Arc<dyn Engine>) -> Pair {
        let number = next_number();
        Pair {
            one: Run::new(one, number),
            two: Run::new(two, number),
        }
    }

    /// The capabilities of both nodes.
    pub(super) fn capabilities(&self) -> Capabilities {
        self.one.capabilities()
    }

    /// Both nodes, in both orders.
    pub(super) fn orders(&self) -> [(&Run, &Run); 2] {
        [(&self.one, &self.two), (&self.two, &self.one)]
    }
}

impl Run {
    pub(super) fn new(engine: Arc<dyn Engine>, number: u64) -> Run {
        Run { engine, number }
    }

    pub(super) fn capabilities(&self) -> Capabilities {
        self.engine.capabilities()
    }

    /// A path that belongs to this run.
    pub(super) fn path(&self, path: &str) -> String {
        format!("conformance.{}.{path}", self.number)
    }

    pub(super) fn topic(&self, path: &str) -> Address {
        Address::topic(self.path(path))
    }

    pub(super) fn queue(&self, path: &str) -> Address {
        Address::queue(self.path(path))
    }

    pub(super) fn user(&self, name: &str, path: &str) -> Address {
        Address::user(Principal::new(name), self.path(path))
    }

    pub(super) fn temporary(&self, path: &str) -> Address {
        Address::temporary(self.path(path))
    }

    /// Publishes a message with this body.
    pub(super) async fn publish(&self, to: &Address, text: &str) -> Outcome {
        self.publish_as(to, publication(to, text)).await
    }

    /// Publishes messages with these bodies, one after the other.
    pub(super) async fn publish_all(&self, to: &Address, texts: &[&str]) -> Outcome {
        for text in texts {
            self.publish(to, text).await?;
        }
        Ok(())
    }

    /// Publishes a message that sets or removes the retained one.
    pub(super) async fn retain(&self, to: &Address, text: &str, retain: Retain) -> Outcome {
        self.publish_as(to, publication(to, text).retain(retain))
            .await
    }

    pub(super) async fn publish_as(&self, to: &Address, publication: Publication) -> Outcome {
        bounded(self.engine.publish(to, publication)).await
    }

    pub(super) async fn subscribe(&self, to: &Address) -> Result<Receiver, BoxError> {
        self.subscribe_as(SubscribeRequest::new(to.clone())).await
    }

    pub(super) async fn subscribe_as(
        &self,
        request: SubscribeRequest,
    ) -> Result<Receiver, BoxError> {
        let name = request.address.to_string();
        let stream = bounded(self.engine.subscribe(request)).await?;
        Ok(Receiver::new(stream, name))
    }

    /// Begins a transaction.
    pub(super) fn begin(&self) -> Transaction {
        Transaction(self.engine.begin())
    }

    pub(super) async fn declare(&self, queue: &Address, settings: QueueSettings) -> Outcome {
        bounded(self.engine.declare(queue, settings)).await
    }

    pub(super) async fn purge(&self, queue: &Address) -> Result<usize, BoxError> {
        bounded(self.engine.purge(queue)).await
    }

    pub(super) async fn delete(&self, queue: &Address) -> Result<usize, BoxError> {
        bounded(self.engine.delete(queue)).await
    }

    /// The bodies of the first `max` messages that wait in a queue.
    pub(super) async fn browse(
        &self,
        queue: &Address,
        max: usize,
    ) -> Result<Vec<String>, BoxError> {
        let messages = bounded(self.engine.browse(queue, max)).await?;
        let bodies = messages.iter().map(Message::body);
        Ok(bodies
            .map(|body| String::from_utf8_lossy(body).into_owned())
            .collect())
    }

    /// Checks the bodies of all messages that wait in a queue.
    pub(super) async fn expect_waiting(&self, queue: &Address, expected: &[&str]) -> Outcome {
        let found = self.browse(queue, usize::MAX).await?;
        let what = format!("that in {queue} wait");
        ensure_equal(
            &what,
            found,
            expected.iter().map(ToString::to_string).collect(),
        )
    }

    pub(super) async fn statistics(&self) -> Result<Statistics, BoxError> {
        bounded(self.engine.statistics()).await
    }

    pub(super) async fn shut_down(&self) -> Outcome {
        bounded(self.engine.shutdown()).await
    }
}

/// A transaction of a test.
pub(super) struct Transaction(pub(super) Box<dyn EngineTransaction>);

impl Transaction {
    pub(super) async fn prepare(&mut self, to: &Address, text: &str) -> Outcome {
        self.prepare_as(to, publication(to, text)).await
    }

    pub(super) async fn prepare_as(&mut self, to: &Address, publication: Publication) -> Outcome {
        bounded(self.0.prepare(to, publication)).await
    }

    pub(super) async fn commit(self) -> Outcome {
        bounded(self.0.commit()).await
    }
}

/// A message with this body as the broker hands it to an engine: one for a topic names its destination.
pub(super) fn publication(to: &Address, text: &str) -> Publication {
    Publication::new(addressed(to, Message::new(text.to_owned())))
}

/// Adds the destination to a message for a topic.
pub(super) fn addressed(to: &Address, message: Message) -> Message {
    if to.is_queue() {
        message
    } else {
        message.with_destination(to.to_string())
    }
}

/// A message that expires after [`LIFETIME`], with the header of that.
pub(super) fn expiring(to: &Address, text: &str) -> Publication {
    expiring_at(to, text, SystemTime::now() + LIFETIME)
}

/// A message that has expired a minute ago.
pub(super) fn expired(to: &Address, text: &str) -> Publication {
    expiring_at(to, text, SystemTime::now() - Duration::from_secs(60))
}

/// A message that expires in an hour.
pub(super) fn expiring_late(to: &Address, text: &str) -> Publication {
    expiring_at(to, text, SystemTime::now() + Duration::from_secs(3_600))
}

fn expiring_at(to: &Address, text: &str, at: SystemTime) -> Publication {
    let millis = at
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let message = Message::new(text.to_owned()).with_header("expires", &millis.to_string());
    Publication::new(addressed(to, message)).expires(Some(at))
}

/// Waits until the messages that expire have done so.
pub(super) async fn wait_for_expiry() {
    tokio::time::sleep(LIFETIME + Duration::from_millis(400)).await;
}

/// Checks that a call failed with this code.
pub(super) fn expect_refusal<T>(what: &str, result: Result<T, BoxError>, code: &str) -> Outcome {
    let Err(error) = result else {
        return Err(format!("expected the error {code} for {what}, but it succeeded").into());
    };
    match error.downcast_ref::<ClientError>() {
        Some(error) if error.code() == code => Ok(()),
        _ => Err(format!("expected the error {code} for {what}, but got: {error}").into()),
    }
}

/// Runs tasks at the same time, and waits for all of them.
pub(super) async fn together<F>(tasks: impl IntoIterator<Item = F>) -> Outcome
where
    F: Future<Output = Outcome> + Send + 'static,
{
    let mut running = JoinSet::new();
    tasks.into_iter().for_each(|task| {
        running.spawn(task);
    });
    while let Some(outcome) = running.join_next().await {
        outcome??;
    }
    Ok(())
}

/// A number that no other test uses, in this process or in another.
pub(super) fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let process = u64::from(std::process::id());
    (now.as_secs() << 32 | (process & 0xffff) << 16) + NEXT.fetch_add(1, Ordering::Relaxed)
}
