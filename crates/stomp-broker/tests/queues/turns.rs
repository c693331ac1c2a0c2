//! Random consumers that poll when they are woken: no message stays in a queue while a consumer waits.

use futures_util::{FutureExt, StreamExt};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};
use stomp_broker::{
    Address, Engine, Memory, MemoryConfig, Publication, QueueSettings, SubscribeRequest,
};
use stomp_frame::{Command, Frame};
use stomp_session::{Delivery, Message, MessageStream, Request, SessionId, Settlement};
use stomp_testing::{Rng, seeded, usual_or_soak};

/// True if the consumer was woken since its last poll.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

struct Consumer {
    stream: MessageStream,
    woken: Arc<Woken>,
    /// True if the consumer has not polled yet, or if its last poll found a message.
    is_active: bool,
    /// Maximum number of deliveries that the consumer has at a time.
    credit: usize,
    deliveries: Vec<Delivery>,
}

impl Consumer {
    fn has_credit(&self) -> bool {
        self.deliveries.len() < self.credit
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst)
    }

    /// Polls while the consumer has credit and a reason to poll. Returns true if it polled.
    fn poll(&mut self) -> bool {
        let waker = Waker::from(Arc::clone(&self.woken));
        let mut has_polled = false;
        while self.has_credit() && (self.is_active || self.is_woken()) {
            self.woken.0.store(false, Ordering::SeqCst);
            let polled = self
                .stream
                .poll_next_unpin(&mut Context::from_waker(&waker));
            self.is_active = polled.is_ready();
            if let Poll::Ready(Some(item)) = polled {
                self.deliveries.push(item.unwrap());
            }
            has_polled = true;
        }
        has_polled
    }

    /// Settles a random delivery. Returns true if that ends its message.
    fn settle(&mut self, random: &mut Rng) -> bool {
        if self.deliveries.is_empty() {
            return false;
        }
        let at = random.usize(..self.deliveries.len());
        let settlement = match random.u8(..4) {
            0 => Settlement::Abandoned,
            1 => Settlement::Unsent,
            2 => Settlement::Nacked,
            _ => Settlement::Acked,
        };
        self.deliveries.swap_remove(at).settle(settlement);
        settlement == Settlement::Acked
    }
}

struct Model {
    engine: Memory,
    queue: Address,
    sessions: Vec<SessionId>,
    consumers: Vec<Consumer>,
    /// The number of messages that are not acknowledged.
    unfinished: usize,
}

impl Model {
    fn new() -> Model {
        let settings = QueueSettings::default()
            .max_delivery_attempts(u32::MAX)
            .max_abandoned_deliveries(u32::MAX)
            .redelivery_delay(Duration::ZERO);
        let frame = || Frame::new(Command::Subscribe);
        let sessions = (0..3).map(|_| Request::new(frame()).session().id());
        Model {
            engine: Memory::new(MemoryConfig::default().queues(settings)).unwrap(),
            queue: Address::queue("q"),
            sessions: sessions.collect(),
            consumers: Vec::new(),
            unfinished: 0,
        }
    }

    fn step(&mut self, random: &mut Rng) {
        match random.u8(..10) {
            0..3 => {
                self.unfinished += 1;
                let publication = Publication::new(Message::new("1"));
                let published = self.engine.publish(&self.queue, publication);
                published.now_or_never().unwrap().unwrap();
            }
            3 if self.consumers.len() < 8 => self.subscribe(random),
            4 if random.u8(..4) == 0 && !self.consumers.is_empty() => {
                let at = random.usize(..self.consumers.len());
                drop(self.consumers.swap_remove(at));
            }
            5..8 if !self.consumers.is_empty() => {
                let ended = self.any_consumer(random).settle(random);
                self.unfinished -= usize::from(ended);
            }
            _ if !self.consumers.is_empty() => {
                self.any_consumer(random).poll();
            }
            _ => {}
        }
    }

    fn any_consumer(&mut self, random: &mut Rng) -> &mut Consumer {
        let at = random.usize(..self.consumers.len());
        self.consumers.get_mut(at).unwrap()
    }

    fn subscribe(&mut self, random: &mut Rng) {
        let session = self.sessions.get(random.usize(..5)).copied();
        let request = SubscribeRequest::new(self.queue.clone()).session(session);
        let stream = self.engine.subscribe(request).now_or_never();
        self.consumers.push(Consumer {
            stream: stream.unwrap().unwrap(),
            woken: Arc::new(Woken(AtomicBool::new(false))),
            is_active: true,
            credit: random.usize(1..5),
            deliveries: Vec::new(),
        });
    }

    /// Lets all consumers poll until none has a reason. Then checks that no message is left if a consumer has credit,
    /// unless the queue waits for one that has none.
    fn check(&mut self) {
        while self
            .consumers
            .iter_mut()
            .fold(false, |is_busy, it| is_busy | it.poll())
        {}
        let mut consumers = self.consumers.iter();
        let waits = consumers.any(|it| !it.has_credit() && it.is_woken());
        let has_credit = self.consumers.iter().any(Consumer::has_credit);
        if has_credit && !waits {
            assert_eq!(self.waiting(), 0, "messages wait beside idle consumers");
        }
    }

    /// Lets all consumers acknowledge everything, and checks that no message is left.
    fn finish(&mut self, random: &mut Rng) {
        if self.consumers.is_empty() {
            self.subscribe(random);
        }
        loop {
            self.check();
            let deliveries = self
                .consumers
                .iter_mut()
                .flat_map(|it| it.deliveries.drain(..));
            let settled = deliveries.map(|it| it.settle(Settlement::Acked)).count();
            self.unfinished -= settled;
            if settled == 0 {
                break;
            }
        }
        assert_eq!((self.waiting(), self.unfinished), (0, 0));
    }

    fn waiting(&self) -> usize {
        let statistics = self.engine.statistics().now_or_never().unwrap().unwrap();
        statistics.destinations.iter().map(|it| it.waiting).sum()
    }
}

/// Without the periodic sweep, since there is no runtime: each wake matters.
#[test]
fn no_message_waits_while_a_consumer_with_credit_is_idle() {
    let mut random = seeded(200);
    for _ in 0..usual_or_soak(300, 30_000) {
        let mut model = Model::new();
        for _ in 0..20 {
            for _ in 0..random.usize(..60) {
                model.step(&mut random);
            }
            model.check();
            model.finish(&mut random);
        }
    }
}

#[test]
fn a_refused_message_that_its_consumer_passes_over_wakes_another() {
    let mut model = Model::new();
    let publish = |model: &mut Model| {
        let published = model
            .engine
            .publish(&model.queue, Publication::new(Message::new("1")));
        published.now_or_never().unwrap().unwrap();
    };
    let mut random = seeded(1);
    (0..4).for_each(|_| model.subscribe(&mut random));
    model.consumers.iter_mut().for_each(|it| it.credit = 1);
    publish(&mut model);
    model.consumers[0].poll();
    publish(&mut model);
    model.consumers[1].poll();
    // They wait in this order: the third, the second, the fourth.
    model.consumers[1].credit = 2;
    for at in [2, 1, 3] {
        model.consumers[at].poll();
    }
    let refused = model.consumers[1].deliveries.remove(0);
    refused.settle(Settlement::Nacked);
    assert!(model.consumers[2].is_woken());
    let returned = model.consumers[0].deliveries.remove(0);
    returned.settle(Settlement::Unsent);
    assert!(model.consumers[1].is_woken());
    // The third consumer takes the message that returned, and the second gets none.
    model.consumers[2].poll();
    model.consumers[1].poll();
    assert!(model.consumers[1].deliveries.is_empty());
    assert!(model.consumers[3].is_woken());
    model.consumers[3].poll();
    assert_eq!(model.consumers[3].deliveries.len(), 1);
}
