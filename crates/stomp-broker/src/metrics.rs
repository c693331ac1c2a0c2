//! Metrics of a broker, through the crate `metrics`.

use crate::{Broker, DestinationStatistics, Health, Statistics, queue_settings::queue_pattern};
use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use std::{sync::Arc, time::Duration};
use stomp_session::{BoxError, Destination, InvalidConfig, MemoryBudget};
use tokio::time::{MissedTickBehavior, interval};

/// Reports the [`Statistics`] of a broker through the recorder of the crate `metrics`, at intervals.
///
/// The [guide of `webstomp`](https://docs.rs/webstomp/latest/webstomp/#operation) lists the metrics.
/// Clients choose the names of queues, so `queue` is the first of the given patterns that matches, or `other`.
///
/// ```no_run
/// use std::time::Duration;
/// use stomp_broker::{Broker, BrokerMetrics};
///
/// # fn example(broker: &Broker) -> Result<(), stomp_session::InvalidConfig> {
/// let metrics = BrokerMetrics::new(broker, ["/queue/jobs.>", "/queue/dead-letters"])?;
/// tokio::spawn(metrics.run(Duration::from_secs(5)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct BrokerMetrics {
    broker: Broker,
    patterns: Vec<Destination>,
    /// The gauges of each pattern, and those of all other queues.
    queues: Vec<QueueGauges>,
    topic_subscribers: Gauge,
    published: Counter,
    delivered: Counter,
    dead_lettered: Counter,
    expired: Counter,
    dropped: Counter,
    engine_up: Gauge,
    /// `None` if the engine has no memory budget.
    memory: Option<MemoryGauges>,
}

#[derive(Debug)]
struct MemoryGauges {
    budget: MemoryBudget,
    used: Gauge,
    limit: Gauge,
}

#[derive(Debug)]
struct QueueGauges {
    messages: Gauge,
    unacknowledged: Gauge,
    consumers: Gauge,
}

impl BrokerMetrics {
    /// Registers the metrics with the current recorder. `queues` are names or patterns of queues, such as
    /// `/queue/jobs.>`.
    ///
    /// # Errors
    ///
    /// Returns an error if a pattern is invalid or not below `/queue/`.
    pub fn new<'a>(
        broker: &Broker,
        queues: impl IntoIterator<Item = &'a str>,
    ) -> Result<BrokerMetrics, InvalidConfig> {
        describe();
        let mut patterns = Vec::new();
        for pattern in queues {
            let problem =
                || format!("contains {pattern:?}, which is not a pattern of queues: /queue/NAME");
            let parsed = queue_pattern(pattern);
            patterns.push(parsed.ok_or_else(|| InvalidConfig::new("queues", problem()))?);
        }
        let names = patterns.iter().map(Destination::as_str).chain(["other"]);
        Ok(BrokerMetrics {
            queues: names.map(QueueGauges::new).collect(),
            broker: broker.clone(),
            patterns,
            topic_subscribers: gauge!("webstomp_topic_subscribers"),
            published: counter!("webstomp_broker_published_total"),
            delivered: counter!("webstomp_broker_delivered_total"),
            dead_lettered: counter!("webstomp_broker_dead_lettered_total"),
            expired: counter!("webstomp_broker_expired_total"),
            dropped: counter!("webstomp_broker_dropped_total"),
            engine_up: gauge!("webstomp_engine_up"),
            memory: broker.memory_budget().map(MemoryGauges::new),
        })
    }

    /// Reports at each interval, and at once. Never completes. Its cost grows with the number of destinations.
    ///
    /// # Panics
    ///
    /// Panics if `every` is zero.
    pub async fn run(self, every: Duration) {
        let mut ticks = interval(every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // An engine that has no statistics now is not up, which is a metric of its own.
            let _ = self.report().await;
        }
    }

    /// Reports once.
    ///
    /// # Errors
    ///
    /// Fails if the engine has no statistics now. The metrics then keep their values, except `webstomp_engine_up` and
    /// those of the memory budget.
    pub async fn report(&self) -> Result<(), BoxError> {
        let health = match &*self.broker.health().borrow() {
            Health::Up => 1.0,
            Health::Degraded { .. } => 0.5,
            Health::Down { .. } => 0.0,
        };
        self.engine_up.set(health);
        if let Some(memory) = &self.memory {
            memory.report();
        }
        self.set(&self.broker.statistics().await?);
        Ok(())
    }

    fn set(&self, statistics: &Statistics) {
        self.published.absolute(statistics.published);
        self.delivered.absolute(statistics.delivered);
        self.dead_lettered.absolute(statistics.dead_lettered);
        self.expired.absolute(statistics.expired);
        self.dropped.absolute(statistics.dropped);
        let mut subscribers = 0;
        let mut sums = vec![(0, 0, 0); self.queues.len()];
        for of_one in &statistics.destinations {
            if !of_one.destination.is_queue() {
                subscribers += of_one.subscribers;
            } else if let Some(sum) = sums.get_mut(self.index_of(of_one)) {
                sum.0 += of_one.waiting;
                sum.1 += of_one.unacknowledged;
                sum.2 += of_one.subscribers;
            }
        }
        self.topic_subscribers.set(subscribers as f64);
        for (gauges, (waiting, unacknowledged, consumers)) in self.queues.iter().zip(sums) {
            gauges.messages.set(waiting as f64);
            gauges.unacknowledged.set(unacknowledged as f64);
            gauges.consumers.set(consumers as f64);
        }
    }

    /// The index of the gauges for a queue.
    fn index_of(&self, queue: &DestinationStatistics) -> usize {
        let queue = queue.destination.destination();
        let first = self
            .patterns
            .iter()
            .position(|pattern| pattern.contains(queue));
        first.unwrap_or(self.patterns.len())
    }
}

impl QueueGauges {
    fn new(queue: &str) -> QueueGauges {
        let queue = Arc::<str>::from(queue);
        QueueGauges {
            messages: gauge!("webstomp_queue_messages", "queue" => Arc::clone(&queue)),
            unacknowledged: gauge!("webstomp_queue_unacknowledged", "queue" => Arc::clone(&queue)),
            consumers: gauge!("webstomp_queue_consumers", "queue" => queue),
        }
    }
}

impl MemoryGauges {
    fn new(budget: MemoryBudget) -> MemoryGauges {
        describe_gauge!(
            "webstomp_memory_budget_used_bytes",
            Unit::Bytes,
            "Bytes of the messages that count in the broker's memory budget."
        );
        describe_gauge!(
            "webstomp_memory_budget_limit_bytes",
            Unit::Bytes,
            "Limit of the broker's memory budget."
        );
        MemoryGauges {
            budget,
            used: gauge!("webstomp_memory_budget_used_bytes"),
            limit: gauge!("webstomp_memory_budget_limit_bytes"),
        }
    }

    fn report(&self) {
        self.used.set(self.budget.used() as f64);
        self.limit.set(self.budget.limit() as f64);
    }
}

/// Describes the metrics to the recorder.
fn describe() {
    const COUNT: Unit = Unit::Count;
    describe_gauge!(
        "webstomp_queue_messages",
        COUNT,
        "Messages that wait in queues."
    );
    describe_gauge!(
        "webstomp_queue_unacknowledged",
        COUNT,
        "Messages delivered and not acknowledged."
    );
    describe_gauge!("webstomp_queue_consumers", COUNT, "Consumers of queues.");
    describe_gauge!(
        "webstomp_topic_subscribers",
        COUNT,
        "Subscriptions to topics."
    );
    describe_counter!(
        "webstomp_broker_published_total",
        COUNT,
        "Messages accepted from publishers."
    );
    describe_counter!(
        "webstomp_broker_delivered_total",
        COUNT,
        "Messages delivered by topics and queues."
    );
    describe_counter!(
        "webstomp_broker_dead_lettered_total",
        COUNT,
        "Messages that became dead letters."
    );
    describe_counter!(
        "webstomp_broker_expired_total",
        COUNT,
        "Messages that expired."
    );
    describe_counter!(
        "webstomp_broker_dropped_total",
        COUNT,
        "Messages of queues that were dropped."
    );
    describe_gauge!(
        "webstomp_engine_up",
        COUNT,
        "1 if the engine is up, 0.5 if degraded, 0 if down."
    );
}
