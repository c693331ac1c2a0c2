//! The loads. Each load opens connections, keeps a server busy, and measures the server.

pub(crate) mod after_large;
pub(crate) mod fan_out;
pub(crate) mod latency;
pub(crate) mod memory;
pub(crate) mod receipts;

use crate::{options::Plan, server::Server};
use std::{
    cell::Cell,
    io,
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The tasks of a load. They run until the load ends, so a task that ends earlier is an error.
pub(crate) type Peers = JoinSet<io::Result<()>>;

/// The work of a server in an interval.
pub(crate) struct Work {
    operations: u64,
    wall: Duration,
    cpu: Option<Duration>,
}

impl Work {
    pub(crate) fn per_second(&self) -> f64 {
        self.operations as f64 / self.wall.as_secs_f64()
    }

    pub(crate) fn per_cpu_second(&self) -> Option<f64> {
        Some(self.operations as f64 / self.cpu?.as_secs_f64())
    }

    /// The share of the interval in which the server ran on a processor.
    pub(crate) fn busy(&self) -> Option<f64> {
        Some(self.cpu?.as_secs_f64() / self.wall.as_secs_f64())
    }
}

/// Warms the server up, then measures one interval.
pub(crate) async fn measure(
    server: &Server,
    plan: &Plan,
    count: &Cell<u64>,
    mut peers: Peers,
) -> io::Result<Work> {
    run_for(&mut peers, plan.warm_up).await?;
    let (operations, cpu, start) = (count.get(), server.cpu_time(), Instant::now());
    run_for(&mut peers, plan.interval).await?;
    let work = Work {
        operations: count.get() - operations,
        wall: start.elapsed(),
        cpu: server
            .cpu_time()
            .zip(cpu)
            .map(|(end, start)| end.saturating_sub(start)),
    };
    peers.shutdown().await;
    match work.operations {
        0 => Err(io::Error::other("the server does not answer under load")),
        _ => Ok(work),
    }
}

pub(crate) async fn run_for(peers: &mut Peers, span: Duration) -> io::Result<()> {
    tokio::select! {
        () = tokio::time::sleep(span) => Ok(()),
        Some(ended) = peers.join_next() => {
            ended.map_err(io::Error::other)?.and(Err(io::Error::other("a client of the load ended")))
        }
    }
}
