//! Topics: each subscription gets each message once and in order, while others come and go.

use super::{
    PUBLISHERS, Pauses, SUBSCRIBERS, TOPICS,
    support::{Client, broker_with, connect, connect_to, statistics_of},
    unbounded,
};
use futures_util::future::join_all;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};
use stomp_broker::Broker;
use stomp_frame::{Command, Frame};
use stomp_testing::{
    Rng,
    frames::{subscribe, unsubscribe},
    seeded, usual_or_soak,
};
use tokio::time::timeout;

/// The progress of all publishers, by flow: the ordered messages of one publisher to one topic.
struct Progress {
    /// The number of messages of each flow that are sent or being sent.
    begun: Vec<AtomicU64>,
    /// The number of messages of each flow that the broker has received.
    done: Vec<AtomicU64>,
    is_over: AtomicBool,
    delivered: AtomicUsize,
}

impl Progress {
    fn new() -> Progress {
        let zeros = || {
            (0..PUBLISHERS * TOPICS)
                .map(|_| AtomicU64::new(0))
                .collect()
        };
        Progress {
            begun: zeros(),
            done: zeros(),
            is_over: AtomicBool::new(false),
            delivered: AtomicUsize::new(0),
        }
    }

    fn load(counts: &[AtomicU64]) -> Vec<u64> {
        counts
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .collect()
    }
}

/// The index of a flow.
fn flow(publisher: usize, topic: usize) -> usize {
    publisher * TOPICS + topic
}

async fn publisher(
    broker: Broker,
    number: usize,
    progress: Arc<Progress>,
    messages: usize,
    pauses: Pauses,
    mut random: Rng,
) {
    let mut client = connect(&broker).await;
    for _ in 0..messages {
        let topic = random.usize(..TOPICS);
        let flow = flow(number, topic);
        let sequence = progress.begun[flow].fetch_add(1, Ordering::SeqCst);
        client
            .publish(
                &format!("/topic/t.{topic}"),
                &format!("{number} {sequence}"),
            )
            .await;
        progress.done[flow].fetch_add(1, Ordering::SeqCst);
        pauses.pause(&mut random).await;
    }
}

/// A subscription and the messages that it expects.
struct Expectation {
    topics: std::ops::Range<usize>,
    /// The number of begun messages of each flow when the broker confirmed the subscription.
    begun: Vec<u64>,
    /// The sequence number of the next message of each flow, after the first.
    next: Vec<Option<u64>>,
}

impl Expectation {
    /// Checks that a message belongs to the subscription and is the next of its flow.
    fn check(&mut self, message: &Frame) {
        let text = std::str::from_utf8(&message.body).unwrap();
        let (publisher, sequence) = text.split_once(' ').unwrap();
        let (publisher, sequence): (usize, u64) =
            (publisher.parse().unwrap(), sequence.parse().unwrap());
        let topic = message
            .headers
            .get("destination")
            .unwrap()
            .strip_prefix("/topic/t.")
            .unwrap()
            .parse()
            .unwrap();
        assert!(self.topics.contains(&topic), "{message:?}");
        assert!(!message.headers.contains("dropped-messages"), "{message:?}");
        let flow = flow(publisher, topic);
        match self.next[flow] {
            None => assert!(
                self.begun.is_empty() || sequence <= self.begun[flow],
                "the first message of flow {flow} is {sequence}"
            ),
            Some(next) => assert_eq!(sequence, next, "the next message of flow {flow}"),
        }
        self.next[flow] = Some(sequence + 1);
    }

    /// Returns true if all messages have arrived that the broker had received at the time of `done`.
    fn is_complete(&self, done: &[u64]) -> bool {
        let mut flows = (0..PUBLISHERS)
            .flat_map(|publisher| self.topics.clone().map(move |topic| flow(publisher, topic)));
        flows.all(|flow| self.next[flow].unwrap_or(self.begun[flow]) >= done[flow])
    }
}

struct Subscriber {
    client: Client,
    expectations: HashMap<String, Expectation>,
    progress: Arc<Progress>,
}

impl Subscriber {
    /// Reads the next frame, and checks it if it is a message. Returns true if it is a receipt.
    async fn read(&mut self) -> bool {
        let frame = self
            .client
            .next_frame()
            .await
            .expect("the connection ended instead of another frame");
        match frame.command {
            Command::Receipt => true,
            Command::Message => {
                let id = frame.headers.get("subscription").unwrap();
                self.expectations
                    .get_mut(id)
                    .unwrap_or_else(|| panic!("no subscription expects {frame:?}"))
                    .check(&frame);
                self.progress.delivered.fetch_add(1, Ordering::Relaxed);
                false
            }
            _ => panic!("{frame:?} {:?}", frame.body),
        }
    }

    async fn send_and_await_receipt(&mut self, frame: Frame) {
        self.client.request(frame).await;
        while !self.read().await {}
    }

    async fn subscribe(&mut self, id: &str, random: &mut Rng) {
        let topic = random.usize(..TOPICS + 2);
        let (topics, destination) = match topic {
            16 => (0..TOPICS, "/topic/t.*".to_owned()),
            17 => (0..TOPICS, "/topic/>".to_owned()),
            _ => (topic..topic + 1, format!("/topic/t.{topic}")),
        };
        let expectation = Expectation {
            topics,
            begun: Vec::new(),
            next: vec![None; PUBLISHERS * TOPICS],
        };
        self.expectations.insert(id.to_owned(), expectation);
        self.send_and_await_receipt(subscribe(id, &destination))
            .await;
        let begun = Progress::load(&self.progress.begun);
        let expectation = self.expectations.get_mut(id).unwrap();
        expectation
            .next
            .iter()
            .zip(&begun)
            .for_each(|(next, begun)| assert!(next.is_none_or(|next| next <= *begun)));
        expectation.begun = begun;
    }

    /// Reads all messages that the broker has received so far, then ends the subscription.
    async fn unsubscribe(&mut self, id: &str) {
        let done = Progress::load(&self.progress.done);
        while !self.expectations[id].is_complete(&done) {
            self.read().await;
        }
        self.send_and_await_receipt(unsubscribe(id)).await;
        self.expectations.remove(id);
    }

    async fn run(mut self, pauses: Pauses, mut random: Rng) {
        for id in 0..6 {
            self.subscribe(&id.to_string(), &mut random).await;
        }
        for turn in 0.. {
            if self.progress.is_over.load(Ordering::SeqCst) {
                break;
            }
            let id = (turn % 6).to_string();
            self.unsubscribe(&id).await;
            self.subscribe(&id, &mut random).await;
            for _ in 0..random.u16(..300) {
                // After the last message of the run, none arrives.
                if timeout(Duration::from_millis(1), self.read())
                    .await
                    .is_err()
                {
                    break;
                }
            }
            pauses.pause(&mut random).await;
        }
        for id in self.expectations.keys().cloned().collect::<Vec<_>>() {
            self.unsubscribe(&id).await;
        }
    }
}

/// Runs publishers and subscribers. Returns the number of deliveries, which were all expected.
async fn run(pauses: Pauses, messages: usize) -> usize {
    let (config, session) = unbounded();
    let broker = broker_with(config);
    let progress = Arc::new(Progress::new());
    let mut random = seeded(100);
    let mut subscribers = Vec::new();
    for _ in 0..SUBSCRIBERS {
        let client = connect_to(broker.clone(), Arc::clone(&session)).await;
        let subscriber = Subscriber {
            client,
            expectations: HashMap::new(),
            progress: Arc::clone(&progress),
        };
        subscribers.push(tokio::spawn(subscriber.run(pauses, random.fork())));
    }
    let publishers = (0..PUBLISHERS).map(|number| {
        tokio::spawn(publisher(
            broker.clone(),
            number,
            Arc::clone(&progress),
            messages,
            pauses,
            random.fork(),
        ))
    });
    join_all(publishers)
        .await
        .into_iter()
        .for_each(Result::unwrap);
    progress.is_over.store(true, Ordering::SeqCst);
    join_all(subscribers)
        .await
        .into_iter()
        .for_each(Result::unwrap);
    assert_eq!(
        statistics_of(&broker).published,
        (PUBLISHERS * messages) as u64
    );
    progress.delivered.load(Ordering::SeqCst)
}

#[tokio::test(start_paused = true)]
async fn each_message_arrives_once_and_in_order() {
    let delivered = run(Pauses::Sleeps, usual_or_soak(300, 30_000)).await;
    println!("{delivered} deliveries");
    assert!(delivered >= usual_or_soak(8_000, 1_000_000), "{delivered}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_message_arrives_once_and_in_order_on_several_threads() {
    let delivered = run(Pauses::Yields, usual_or_soak(300, 30_000)).await;
    println!("{delivered} deliveries");
    assert!(delivered >= usual_or_soak(2_000, 200_000), "{delivered}");
}
