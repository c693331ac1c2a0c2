//! An engine that wraps the one in memory: it declares what a test says, and records its calls.

use futures_util::{StreamExt, stream};
use std::{
    future::pending,
    sync::{Arc, Mutex},
};
use stomp_broker::{
    Address, Broker, Capabilities, Engine, EngineFuture, EngineTransaction, Memory, MemoryConfig,
    Publication, Statistics, SubscribeRequest,
};
use stomp_session::{BoxError, ClientError, Delivery, Gap, Message, MessageStream};
use tokio::sync::Notify;

use crate::support::open;

/// The answer of the engine to a commit.
#[derive(Clone)]
pub(crate) enum CommitAnswer {
    /// Success, at once.
    AtOnce,
    /// Success, when this is notified.
    When(Arc<Notify>),
    /// An error that the client may see.
    Refused,
    /// An error that says nothing to the client: the engine lost its system.
    Lost,
    Never,
}

#[derive(Clone)]
pub(crate) struct Scripted {
    memory: Memory,
    capabilities: Capabilities,
    calls: Arc<Mutex<Vec<String>>>,
    /// The answers of all commits.
    pub(crate) commits: CommitAnswer,
    /// A gap before the messages of each subscription to a topic.
    pub(crate) gap: Option<Gap>,
}

impl Scripted {
    pub(crate) fn new(capabilities: Capabilities) -> Scripted {
        let config = MemoryConfig::default().max_retained_messages(10);
        Scripted {
            memory: Memory::new(config).unwrap(),
            capabilities,
            calls: Arc::default(),
            commits: CommitAnswer::AtOnce,
            gap: None,
        }
    }

    pub(crate) fn broker(&self) -> Broker {
        Broker::with_engine(open(), self.clone()).unwrap()
    }

    /// The calls since the last call of this method.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn record(&self, call: impl Into<String>) {
        self.calls.lock().unwrap().push(call.into());
    }
}

impl Engine for Scripted {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()> {
        let Publication {
            retain,
            confirm,
            ref principal,
            session,
            ..
        } = publication;
        let principal = principal.as_ref().map(ToString::to_string);
        self.record(format!(
            "publish {to} {retain:?} {confirm} {principal:?} {}",
            session.is_some()
        ));
        self.memory.publish(to, publication)
    }

    fn begin(&self) -> Box<dyn EngineTransaction> {
        self.record("begin");
        Box::new(ScriptedTransaction {
            engine: self.clone(),
            inner: Some(self.memory.begin()),
        })
    }

    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream> {
        let SubscribeRequest {
            address,
            ack_mode,
            prefetch,
            principal,
            ..
        } = &request;
        let principal = principal.as_ref().map(ToString::to_string);
        self.record(format!(
            "subscribe {address} {ack_mode} {prefetch:?} {principal:?} {}",
            request.session.is_some()
        ));
        let gap = self.gap;
        self.memory.subscribe(request).map(move |stream| {
            let lost =
                gap.map(|gap| Ok(Delivery::new(Message::new("after the gap")).with_gap(gap)));
            MessageStream::new(stream::iter(lost).chain(stream))
        })
    }

    fn statistics(&self) -> EngineFuture<Statistics> {
        self.memory.statistics()
    }

    fn shutdown(&self) -> EngineFuture<()> {
        self.memory.shutdown()
    }
}

struct ScriptedTransaction {
    engine: Scripted,
    inner: Option<Box<dyn EngineTransaction>>,
}

impl EngineTransaction for ScriptedTransaction {
    fn prepare(&mut self, to: &Address, publication: Publication) -> EngineFuture<()> {
        self.engine.record(format!("prepare {to}"));
        if to.path() == "refused" {
            let error = ClientError::new("queue-full", "The queue is full.");
            return EngineFuture::ready(Err(error));
        }
        self.inner.as_mut().unwrap().prepare(to, publication)
    }

    fn commit(mut self: Box<Self>) -> EngineFuture<()> {
        self.engine.record("commit");
        let inner = self.inner.take().unwrap();
        match self.engine.commits.clone() {
            CommitAnswer::AtOnce => inner.commit(),
            CommitAnswer::When(notify) => EngineFuture::from_future(async move {
                notify.notified().await;
                inner.commit().await
            }),
            CommitAnswer::Refused => {
                let error = ClientError::new("queue-full", "The queue is full.");
                EngineFuture::ready(Err(error))
            }
            CommitAnswer::Lost => EngineFuture::ready(Err("the connection is lost")),
            CommitAnswer::Never => EngineFuture::from_future(pending()),
        }
    }
}

impl Drop for ScriptedTransaction {
    fn drop(&mut self) {
        if self.inner.is_some() {
            self.engine.record("roll back");
        }
    }
}

/// An engine with topics only, and the default bodies of the trait for everything else.
pub(crate) struct Minimal;

impl Engine for Minimal {
    fn capabilities(&self) -> Capabilities {
        Capabilities::none()
    }

    fn publish(&self, _: &Address, _: Publication) -> EngineFuture<()> {
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }

    fn subscribe(&self, _: SubscribeRequest) -> EngineFuture<MessageStream> {
        let stream = MessageStream::new(stream::pending::<Message>());
        EngineFuture::ready(Ok::<_, BoxError>(stream))
    }

    fn shutdown(&self) -> EngineFuture<()> {
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }
}

/// An engine without data. Its transactions take one message.
pub(crate) struct Empty;

impl Engine for Empty {
    fn capabilities(&self) -> Capabilities {
        Capabilities::all()
    }

    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()> {
        Minimal.publish(to, publication)
    }

    fn begin(&self) -> Box<dyn EngineTransaction> {
        Box::new(OneMessage { is_full: false })
    }

    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream> {
        Minimal.subscribe(request)
    }

    fn shutdown(&self) -> EngineFuture<()> {
        Minimal.shutdown()
    }
}

struct OneMessage {
    is_full: bool,
}

impl EngineTransaction for OneMessage {
    fn prepare(&mut self, _: &Address, _: Publication) -> EngineFuture<()> {
        if std::mem::replace(&mut self.is_full, true) {
            let error = ClientError::new("queue-full", "The transaction is full.");
            return EngineFuture::ready(Err(error));
        }
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }

    fn commit(self: Box<Self>) -> EngineFuture<()> {
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }
}
