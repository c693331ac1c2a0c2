//! The data that the page shows: statistics of the broker and its sessions, published once a second.

use serde::Serialize;
use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};
use webstomp::{
    Json, Session, Topic,
    broker::{Broker, DestinationStatistics, Statistics},
    session::{BacklogConfig, MemoryBudget, Overflow, Sessions},
};

const INTERVAL: Duration = Duration::from_secs(1);

/// Maximum number of destinations, and of sessions, in an overview. If there are more, the others are only counted.
const MAX_ROWS: usize = 100;

/// A snapshot of the broker and its sessions.
///
/// Its counts are totals since the start, so that a page can miss a snapshot and still compute rates.
#[derive(Serialize)]
pub(crate) struct Overview {
    /// Milliseconds since the start of the broker.
    uptime: u64,
    published: u64,
    delivered: u64,
    dead_lettered: u64,
    /// Bytes of the messages that wait for clients.
    message_bytes: usize,
    /// Maximum of `message_bytes`.
    max_message_bytes: usize,
    destination_count: usize,
    session_count: usize,
    destinations: Vec<DestinationRow>,
    sessions: Vec<SessionRow>,
}

#[derive(Serialize)]
struct DestinationRow {
    name: String,
    subscribers: usize,
    published: u64,
    /// Number of messages that wait for a consumer. `None` for topics.
    waiting: Option<usize>,
    /// Number of messages that consumers have not acknowledged yet. `None` for topics.
    unacknowledged: Option<usize>,
}

#[derive(Serialize)]
struct SessionRow {
    id: String,
    login: Option<String>,
    address: Option<String>,
    transport: &'static str,
    /// Seconds since the session's CONNECT.
    age: u64,
}

/// The time of a session's CONNECT, stored in the extensions of the session.
#[derive(Clone, Copy)]
pub(crate) struct ConnectedAt(pub(crate) Instant);

/// Publishes an overview every second while a page is subscribed. Runs forever.
pub(crate) async fn publish(broker: Broker, sessions: Sessions, overviews: Topic<Json<Overview>>) {
    let start = Instant::now();
    let budget = broker.memory_budget().unwrap_or_default();
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if overviews.subscribers() == 0 {
            continue;
        }
        let Ok(statistics) = broker.statistics().await else {
            continue;
        };
        // Fails only if serialization fails, and an overview can always be serialized.
        let _ = overviews.publish(Json(Overview::of(statistics, &budget, &sessions, start)));
    }
}

/// Creates a topic that drops old overviews if a page is too slow to read them.
pub(crate) fn topic() -> Topic<Json<Overview>> {
    Topic::with_backlogs(
        BacklogConfig::default()
            .max_messages(2)
            .overflow(Overflow::DropOldest),
    )
}

impl Overview {
    fn of(
        statistics: Statistics,
        budget: &MemoryBudget,
        sessions: &Sessions,
        start: Instant,
    ) -> Overview {
        let mut destinations = statistics.destinations;
        let mut all = sessions.all();
        let (destination_count, session_count) = (destinations.len(), all.len());
        destinations.sort_by_cached_key(|it| (Reverse(it.published), it.destination.to_string()));
        destinations.truncate(MAX_ROWS);
        all.sort_by_key(|session| session.get::<ConnectedAt>().map(|connected| connected.0));
        all.truncate(MAX_ROWS);
        Overview {
            uptime: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            published: statistics.published,
            delivered: statistics.delivered,
            dead_lettered: statistics.dead_lettered,
            message_bytes: budget.used(),
            max_message_bytes: budget.limit(),
            destination_count,
            session_count,
            destinations: destinations.iter().map(DestinationRow::of).collect(),
            sessions: all.iter().map(SessionRow::of).collect(),
        }
    }
}

impl DestinationRow {
    fn of(statistics: &DestinationStatistics) -> DestinationRow {
        let is_queue = statistics.destination.is_queue();
        DestinationRow {
            name: statistics.destination.to_string(),
            subscribers: statistics.subscribers,
            published: statistics.published,
            waiting: is_queue.then_some(statistics.waiting),
            unacknowledged: is_queue.then_some(statistics.unacknowledged),
        }
    }
}

impl SessionRow {
    fn of(session: &Session) -> SessionRow {
        SessionRow {
            id: session.id().to_string(),
            login: session.principal().map(ToString::to_string),
            address: session.peer().address.map(|address| address.to_string()),
            transport: if session.peer().request.is_some() {
                "WebSocket"
            } else {
                "TCP"
            },
            age: session
                .get::<ConnectedAt>()
                .map_or(0, |connected| connected.0.elapsed().as_secs()),
        }
    }
}
