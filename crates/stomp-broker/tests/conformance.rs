//! Engines pass the conformance tests of all engines, and engines that break their promises fail them.

mod hub;

use futures_util::StreamExt;
use hub::Hub;
use stomp_broker::{
    Address, Capabilities, Engine, EngineFuture, Health, Memory, MemoryConfig, Publication,
    SubscribeRequest,
    conformance::{self, ConformanceError, Failure, Report},
    local::{GroupLimits, Groups},
};
use stomp_session::{BacklogConfig, BoxError, ClientError, Gap, Message, MessageStream, Overflow};
use tokio::sync::watch;

fn memory_config() -> MemoryConfig {
    MemoryConfig::default().max_retained_messages(100)
}

/// The report of an engine that conforms.
#[track_caller]
#[allow(clippy::panic, reason = "a helper that fails is a test that fails")]
fn passed(result: Result<Report, ConformanceError>) -> Report {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// The tests of a group that were skipped, or of all others with `is_of_group` false.
fn skipped<'a>(report: &'a Report, group: &str, is_of_group: bool) -> Vec<&'a String> {
    let skipped = report.skipped().iter();
    skipped
        .filter(|test| test.starts_with(group) == is_of_group)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn the_in_memory_engine_conforms() {
    let build = || async { Ok(Memory::new(memory_config())?) };
    let report = passed(conformance::check(build).await);
    assert_eq!(skipped(&report, "refusals: ", false), [""; 0]);
    assert!(report.passed().len() > 100, "{}", report.passed().len());
}

#[tokio::test(start_paused = true)]
async fn one_in_memory_engine_conforms_in_all_tests_one_after_the_other() {
    let engine = Memory::new(memory_config()).unwrap();
    passed(conformance::check(|| async { Ok(engine.clone()) }).await);
    let statistics = engine.statistics().await.unwrap();
    assert!(statistics.destinations.is_empty(), "{statistics:?}");
    assert_eq!(statistics.temporary_queues, 0);
}

#[tokio::test(start_paused = true)]
async fn an_in_memory_engine_that_drops_messages_of_slow_subscribers_conforms() {
    let mailbox = BacklogConfig::default().overflow(Overflow::DropOldest);
    let config = memory_config().backlog(mailbox);
    passed(conformance::check(|| async { Ok(Memory::new(config.clone())?) }).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_topics_of_the_in_memory_engine_conform_on_several_threads() {
    let topics = conformance::group("topics").unwrap();
    let build = || async { Ok(Memory::new(memory_config())?) };
    let report = passed(topics.check(build).await);
    assert_eq!(report.passed().len(), topics.tests().count());
}

#[tokio::test(start_paused = true)]
async fn a_node_of_a_hub_conforms() {
    let build = || async { Ok(Hub::new(memory_config())?.node()) };
    let report = passed(conformance::check(build).await);
    assert_eq!(skipped(&report, "refusals: ", false), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn two_nodes_of_a_hub_conform() {
    let build = || async {
        let hub = Hub::new(memory_config())?;
        Ok((hub.node(), hub.node()))
    };
    let report = passed(conformance::check_pair(build).await);
    assert_eq!(report.skipped(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_was_cut_off_tells_its_subscribers_of_a_gap() {
    let hub = Hub::new(memory_config()).unwrap();
    let (here, there) = (hub.node(), hub.node());
    let topic = Address::topic("a");
    let publication = |text: &'static str| Publication::new(Message::new(text));
    let subscribe = |node: &hub::Node| node.subscribe(SubscribeRequest::new(topic.clone()));
    let mut streams = [
        subscribe(&here).await.unwrap(),
        subscribe(&there).await.unwrap(),
    ];
    here.publish(&topic, publication("1")).await.unwrap();
    there.cut();
    assert!(matches!(*there.health().borrow(), Health::Degraded { .. }));
    for refused in [
        there.publish(&topic, publication("refused")).await,
        subscribe(&there).await.map(drop),
    ] {
        let error = refused.unwrap_err();
        let code = error.downcast_ref::<ClientError>().map(ClientError::code);
        assert_eq!(code, Some("engine-unavailable"));
    }
    here.publish(&topic, publication("2")).await.unwrap();
    there.heal();
    assert!(there.health().borrow().is_up());
    there.publish(&topic, publication("3")).await.unwrap();
    let expected: [&[_]; 2] = [
        &[("1", None), ("2", None), ("3", None)],
        &[("1", None), ("3", Some(Gap::Unknown))],
    ];
    for (stream, expected) in streams.iter_mut().zip(expected) {
        for (text, gap) in expected {
            let delivery = stream.next().await.unwrap().unwrap();
            assert_eq!(delivery.body(), text);
            assert_eq!(delivery.gap(), *gap);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_messages_of_a_node_that_was_cut_off_return_to_their_queue() {
    let hub = Hub::new(memory_config()).unwrap();
    let (here, there) = (hub.node(), hub.node());
    let queue = Address::queue("q");
    let subscribe = |node: &hub::Node| node.subscribe(SubscribeRequest::new(queue.clone()));
    let mut consumer = subscribe(&there).await.unwrap();
    let publication = Publication::new(Message::new("1"));
    here.publish(&queue, publication).await.unwrap();
    let lost = consumer.next().await.unwrap().unwrap();
    there.cut();
    let delivery = subscribe(&here).await.unwrap().next().await;
    let delivery = delivery.unwrap().unwrap();
    assert!(delivery.is_redelivered());
    // The acknowledgment does not reach the hub.
    lost.settle(stomp_session::Settlement::Acked);
    drop(delivery);
    there.heal();
    let delivery = consumer.next().await.unwrap().unwrap();
    assert_eq!(delivery.body(), "1");
}

/// An engine with topics, and nothing else. It declares what a test says.
struct TopicsOnly {
    groups: Groups,
    capabilities: Capabilities,
    health: watch::Sender<Health>,
}

impl TopicsOnly {
    fn new(capabilities: Capabilities) -> TopicsOnly {
        TopicsOnly {
            groups: Groups::new(GroupLimits::default()),
            capabilities,
            health: watch::Sender::new(Health::Up),
        }
    }
}

impl Engine for TopicsOnly {
    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn publish(&self, to: &Address, publication: Publication) -> EngineFuture<()> {
        EngineFuture::ready(self.groups.publish(to, publication).map(drop))
    }

    fn subscribe(&self, request: SubscribeRequest) -> EngineFuture<MessageStream> {
        let joined = self.groups.join(&request.address);
        EngineFuture::ready(joined.map(|(stream, _)| MessageStream::new(stream)))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    fn shutdown(&self) -> EngineFuture<()> {
        self.groups.close();
        self.health.send_replace(Health::down("It was shut down."));
        EngineFuture::ready(Ok::<_, BoxError>(()))
    }
}

#[tokio::test(start_paused = true)]
async fn an_engine_with_topics_only_is_tested_for_refusals() {
    let build = || async { Ok(TopicsOnly::new(Capabilities::none())) };
    let report = passed(conformance::check(build).await);
    assert_eq!(skipped(&report, "refusals: ", true), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn an_error_names_each_test_that_failed_and_the_reason() {
    let lies = Capabilities::none().retained(true);
    let build = || async { Ok(TopicsOnly::new(lies)) };
    let error = conformance::check(build).await.unwrap_err();
    let tests = error.failures().iter().map(Failure::test);
    assert!(tests.clone().all(|test| test.starts_with("retained: ")));
    let first = error.failures().first().unwrap();
    assert_eq!(
        first.test(),
        "retained: a new subscription begins with the message that was retained last"
    );
    assert!(first.reason().ends_with("the message \"2\", but got \"3\""));
    let count = tests.count();
    let text = error.to_string();
    assert!(text.starts_with(&format!(
        "the engine failed {count} conformance tests\n{first}\n"
    )));
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_cannot_be_built_fails_each_test() {
    let group = conformance::group("shutdown").unwrap();
    let build = || async { Err::<Memory, _>(BoxError::from("no server")) };
    let error = group.check(build).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the engine failed 1 conformance test\n\
         shutdown: after a shutdown, all calls fail, all streams end, and the engine is down: \
         the engine was not built: no server"
    );
}
