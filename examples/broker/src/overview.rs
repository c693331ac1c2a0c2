//! What the page shows, once a second.

use serde::Serialize;
use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};
use webstomp::{
    Json, Session, Topic,
    broker::{Broker, DestinationStatistics},
    session::{MailboxConfig, Overflow, Sessions},
};

const EVERY: Duration = Duration::from_secs(1);

/// How many destinations and sessions are listed; the rest is counted.
const LISTED: usize = 100;

/// What there is now. The counts are since the start, so that a page that misses some loses nothing.
#[derive(Serialize)]
pub(crate) struct Overview {
    /// Milliseconds since the start.
    at: u64,
    published: u64,
    delivered: u64,
    dead_lettered: u64,
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
    /// Of queues only.
    waiting: Option<usize>,
    unacknowledged: Option<usize>,
}

#[derive(Serialize)]
struct SessionRow {
    id: String,
    login: Option<String>,
    address: Option<String>,
    over: &'static str,
    seconds: u64,
}

/// When a session began; kept with it.
#[derive(Clone, Copy)]
pub(crate) struct Since(pub(crate) Instant);

/// Publishes an overview each second, while somebody looks, and for as long as the process runs.
pub(crate) async fn publish(broker: Broker, sessions: Sessions, overviews: Topic<Json<Overview>>) {
    let start = Instant::now();
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if overviews.subscribers() == 0 {
            continue;
        }
        // It fails if this is no JSON, and it is.
        let _ = overviews.publish(Json(Overview::of(&broker, &sessions, start)));
    }
}

/// A page that does not keep up is shown the latest.
pub(crate) fn topic() -> Topic<Json<Overview>> {
    Topic::with_mailboxes(
        MailboxConfig::default()
            .max_messages(2)
            .overflow(Overflow::DropOldest),
    )
}

impl Overview {
    fn of(broker: &Broker, sessions: &Sessions, start: Instant) -> Overview {
        let statistics = broker.statistics();
        let mut destinations = statistics.destinations;
        let mut all = sessions.all();
        let (destination_count, session_count) = (destinations.len(), all.len());
        destinations.sort_by_cached_key(|it| (Reverse(it.published), it.destination.to_string()));
        destinations.truncate(LISTED);
        all.sort_by_key(|session| session.get::<Since>().map(|since| since.0));
        all.truncate(LISTED);
        Overview {
            at: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
            published: statistics.published,
            delivered: statistics.delivered,
            dead_lettered: statistics.dead_lettered,
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
            over: if session.peer().request.is_some() {
                "WebSocket"
            } else {
                "TCP"
            },
            seconds: session
                .get::<Since>()
                .map_or(0, |since| since.0.elapsed().as_secs()),
        }
    }
}
