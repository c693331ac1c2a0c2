//! Refusals of what an engine does not declare: by the engine itself where the trait says so, and else by a broker.

use super::{
    receiver::bounded,
    run::{Run, expect_refusal, publication},
    test::{Outcome, Test},
};
use crate::{
    Address, Broker, Capabilities, Config, Engine, EngineFuture, EngineTransaction, Publication,
    QueueSettings, Rules, SubscribeRequest,
};
use std::sync::Arc;
use stomp_frame::{Command, Frame};
use stomp_session::{BoxError, MemoryBudget, Message, MessageStream, Principal, Request};
use tower_service::Service;

pub(super) const TESTS: &[Test<Run>] = tests! {
    "queues that are not declared are refused", |it| !it.queues => queues;
    "transactions that are not declared are refused", |it| !it.transactions => transactions;
    "retained messages that are not declared are refused", |it| !it.retained => retained;
    "expiry that is not declared is refused", |it| !it.expiry => expiry;
    "patterns that are not declared are refused", |it| !it.patterns => patterns;
    "topics of principals that are not declared are refused", |it| !it.user_destinations => users;
    "temporary queues that are not declared are refused",
        |it| !it.temporary_queues => temporary_queues;
    "durable subscriptions that are not declared are refused", |it| !it.durable => durable;
    "exclusive consumers that are not declared are refused", |it| !it.exclusive => exclusive;
    "queues that go with their last consumer are refused if not declared",
        |it| !it.auto_delete => auto_delete;
    "administration that is not declared is refused", |it| !it.administration => administration;
};

fn refused<T>(what: &str, result: Result<T, BoxError>) -> Outcome {
    expect_refusal(what, result, "not-supported")
}

/// A broker with the engine.
fn broker(run: &Run) -> Result<Broker, BoxError> {
    let engine = SharedEngine(Arc::clone(&run.engine));
    let config = Config::default().rules(Rules::open());
    Ok(Broker::with_engine(config, engine)?)
}

/// An engine that a broker and a test share.
struct SharedEngine(Arc<dyn Engine>);

impl Engine for SharedEngine {
    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()> {
        self.0.publish(to, publication)
    }

    fn begin(&self) -> Box<dyn EngineTransaction> {
        self.0.begin()
    }

    fn memory_budget(&self) -> Option<MemoryBudget> {
        self.0.memory_budget()
    }

    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream> {
        self.0.subscribe(request)
    }

    fn shutdown(&self) -> EngineFuture<()> {
        self.0.shutdown()
    }
}

async fn queues(run: Run) -> Outcome {
    let (broker, queue) = (broker(&run)?, run.queue("q").to_string());
    let published = bounded(broker.publish(&queue, "1")).await;
    refused("a message to a queue", published)?;
    let subscribed = bounded(broker.subscribe(&queue)).await;
    refused("a subscription to a queue", subscribed)
}

async fn transactions(run: Run) -> Outcome {
    let topic = run.topic("a");
    let prepared = run.engine.begin().prepare(&topic, publication(&topic, "1"));
    refused("a message in a transaction", bounded(prepared).await)
}

async fn retained(run: Run) -> Outcome {
    let (broker, topic) = (broker(&run)?, run.topic("a").to_string());
    for value in ["set", "remove"] {
        let message = Message::new("1").with_header("retain", value);
        let published = bounded(broker.publish(&topic, message)).await;
        refused("the header retain", published)?;
    }
    Ok(())
}

async fn expiry(run: Run) -> Outcome {
    let (broker, topic) = (broker(&run)?, run.topic("a").to_string());
    let message = Message::new("1").with_header("expires", "1");
    let published = bounded(broker.publish(&topic, message)).await;
    refused("the header expires", published)
}

async fn patterns(run: Run) -> Outcome {
    let broker = broker(&run)?;
    for pattern in ["a.*", "a.>", "#"] {
        let pattern = run.topic(pattern).to_string();
        let subscribed = bounded(broker.subscribe(&pattern)).await;
        refused("a subscription to a pattern", subscribed)?;
    }
    Ok(())
}

async fn users(run: Run) -> Outcome {
    let (broker, ann) = (broker(&run)?, Principal::new("ann"));
    let sent = bounded(broker.send_to_user(&ann, run.path("a"), "1")).await;
    refused("a message to a principal", sent)
}

async fn temporary_queues(run: Run) -> Outcome {
    let broker = broker(&run)?;
    let queue = Address::temporary("~0123456789abcdef0123456789abcdef").to_string();
    let published = bounded(broker.publish(&queue, "1")).await;
    refused("a message to a temporary queue", published)
}

/// Handles the `SUBSCRIBE` of a client that has one more header, with the value `true`.
async fn subscribe(run: &Run, to: &Address, header: &str) -> Result<(), BoxError> {
    let frame = Frame::new(Command::Subscribe)
        .with_header("id", "0")
        .with_header(header, "true");
    let request = Request::new(frame).with_destination(to.destination().clone());
    bounded(broker(run)?.call(request)).await.map(drop)
}

async fn durable(run: Run) -> Outcome {
    let subscribed = subscribe(&run, &run.topic("a"), "durable").await;
    refused("the header durable", subscribed)
}

async fn exclusive(run: Run) -> Outcome {
    let subscribed = subscribe(&run, &run.topic("a"), "exclusive").await;
    refused("the header exclusive", subscribed)
}

async fn auto_delete(run: Run) -> Outcome {
    let subscribed = subscribe(&run, &run.queue("q"), "auto-delete").await;
    refused("the header auto-delete", subscribed)
}

async fn administration(run: Run) -> Outcome {
    let queue = run.queue("q");
    let declared = run.declare(&queue, QueueSettings::default()).await;
    refused("declaring a queue", declared)?;
    refused("purging a queue", run.purge(&queue).await)?;
    refused("deleting a queue", run.delete(&queue).await)?;
    refused("browsing a queue", run.browse(&queue, 1).await)
}
