//! The table of works: the things that users do with a server.

use crate::{load::Pace, sample::Metric};

pub(crate) struct Work {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) metric: Metric,
    /// True if `--quick` includes the work.
    pub(crate) is_quick: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Requests that are answered: SEND and RECEIPT, or an echo.
    Requests {
        connections: usize,
        outstanding: usize,
    },
    /// The same for the socket alone, with bodies of this length.
    SocketEcho {
        body: usize,
    },
    FanOut {
        publishers: usize,
        subscribers: usize,
        body: usize,
        pace: Pace,
    },
    /// One request at a time, while a topic with 1,000 subscribers is busy.
    Beside {
        pace: Pace,
        /// True for servers on a runtime of the current thread. There, a task that becomes ready runs after all that are
        /// ready already, so a server that wakes all subscribers at once delays every other connection.
        is_one_thread: bool,
    },
    /// A queue with acknowledgments.
    Queue,
    /// Memory of idle connections.
    Idle,
    /// The same after a message of 64 KiB in each direction.
    AfterLarge,
    /// The same for the socket alone.
    SocketAfterLarge,
    Connects,
}

const fn fan_out(
    name: &'static str,
    (publishers, subscribers): (usize, usize),
    body: usize,
    pace: Pace,
) -> Work {
    Work {
        name,
        kind: Kind::FanOut {
            publishers,
            subscribers,
            body,
            pace,
        },
        metric: match pace {
            Pace::PerSecond(_) => Metric::P99,
            _ => Metric::PerCpuSecond,
        },
        is_quick: true,
    }
}

/// The cost of a delivery, which should not depend on the number of subscribers.
const fn cost(name: &'static str, subscribers: usize, is_quick: bool) -> Work {
    let work = fan_out(name, (1, subscribers), 128, Pace::Outstanding(8));
    Work {
        metric: Metric::CpuTime,
        is_quick,
        ..work
    }
}

const fn work(name: &'static str, kind: Kind, metric: Metric, is_quick: bool) -> Work {
    Work {
        name,
        kind,
        metric,
        is_quick,
    }
}

const fn requests(
    name: &'static str,
    connections: usize,
    outstanding: usize,
    metric: Metric,
) -> Work {
    let kind = Kind::Requests {
        connections,
        outstanding,
    };
    work(name, kind, metric, true)
}

const fn beside(pace: Pace, is_one_thread: bool) -> Kind {
    Kind::Beside {
        pace,
        is_one_thread,
    }
}

/// All works in the order of the report.
pub(crate) const WORKS: [Work; 24] = [
    requests("receipts 50×16", 50, 16, Metric::PerCpuSecond),
    requests("receipts 1×1", 1, 1, Metric::P50),
    fan_out(
        "fan-out 1→1000 × 128 B, 8 outstanding",
        (1, 1000),
        128,
        Pace::Outstanding(8),
    ),
    fan_out(
        "fan-out 1→1000 × 128 B, 64 outstanding",
        (1, 1000),
        128,
        Pace::Outstanding(64),
    ),
    fan_out(
        "fan-out 1→1000 × 128 B, 20 per second",
        (1, 1000),
        128,
        Pace::PerSecond(20),
    ),
    fan_out(
        "fan-out 1→100 × 1 KiB, 8 outstanding",
        (1, 100),
        1024,
        Pace::Outstanding(8),
    ),
    fan_out(
        "fan-out 10→100 × 128 B, 32 outstanding",
        (10, 100),
        128,
        Pace::Outstanding(32),
    ),
    fan_out(
        "fan-out 1→1 × 128 B, 64 outstanding",
        (1, 1),
        128,
        Pace::Outstanding(64),
    ),
    cost("cost of a delivery to 100 subscribers", 100, false),
    cost("cost of a delivery to 500 subscribers", 500, false),
    cost("cost of a delivery to 1000 subscribers", 1_000, false),
    cost("cost of a delivery to 2000 subscribers", 2_000, false),
    cost("cost of a delivery to 4000 subscribers", 4_000, true),
    work("queue 4→8", Kind::Queue, Metric::PerCpuSecond, true),
    work("idle memory", Kind::Idle, Metric::Memory, true),
    work(
        "memory after 64 KiB",
        Kind::AfterLarge,
        Metric::Memory,
        false,
    ),
    work("connects", Kind::Connects, Metric::PerCpuSecond, true),
    work(
        "receipts 1×1 beside 100 messages/s to 1000",
        beside(Pace::PerSecond(100), false),
        Metric::P99,
        true,
    ),
    work(
        "receipts 1×1 beside bursts of 64 to 1000",
        beside(Pace::Bursts(64), false),
        Metric::P99,
        true,
    ),
    work(
        "receipts 1×1 beside 100 messages/s to 1000, one thread",
        beside(Pace::PerSecond(100), true),
        Metric::P99,
        true,
    ),
    work(
        "receipts 1×1 beside bursts of 64 to 1000, one thread",
        beside(Pace::Bursts(64), true),
        Metric::P99,
        true,
    ),
    work(
        "socket: echo 50×16",
        Kind::SocketEcho { body: 64 },
        Metric::PerCpuSecond,
        true,
    ),
    work(
        "socket: echo 50×16 of 1 KiB",
        Kind::SocketEcho { body: 900 },
        Metric::PerCpuSecond,
        true,
    ),
    work(
        "socket: memory after 64 KiB",
        Kind::SocketAfterLarge,
        Metric::Memory,
        false,
    ),
];

impl Kind {
    /// True if the work measures the socket alone.
    pub(crate) fn is_socket(self) -> bool {
        matches!(self, Kind::SocketEcho { .. } | Kind::SocketAfterLarge)
    }

    /// True if the servers have a runtime of the current thread.
    pub(crate) fn is_one_thread(self) -> bool {
        matches!(
            self,
            Kind::Beside {
                is_one_thread: true,
                ..
            }
        )
    }

    /// True if each round needs fresh servers, because an allocator seldom returns the memory of a load.
    pub(crate) fn needs_fresh_servers(self) -> bool {
        matches!(self, Kind::Idle | Kind::AfterLarge | Kind::SocketAfterLarge)
    }
}
