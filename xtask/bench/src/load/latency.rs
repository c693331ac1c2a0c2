//! `receipt 1x1`: the time until a request is answered, with one connection and one request at a time.

use super::{Peers, run_for};
use crate::{client::Client, dialect, options::Plan, server::Server, wire};
use std::{
    cell::RefCell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

/// Percentiles of the response times in an interval, in seconds.
pub(crate) struct Latency {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

pub(crate) async fn run(server: &Server, plan: &Plan) -> io::Result<Latency> {
    let times = Rc::new(RefCell::new(Vec::new()));
    let mut peers = Peers::new();
    let client = server.requester().await?;
    peers.spawn_local(request_repeatedly(client, times.clone()));
    run_for(&mut peers, plan.warm_up).await?;
    times.borrow_mut().clear();
    run_for(&mut peers, plan.interval).await?;
    peers.shutdown().await;
    let mut times = times.take();
    times.sort_unstable();
    percentile(&times, 50)
        .zip(percentile(&times, 99))
        .map(|(p50, p99)| Latency { p50, p99 })
        .ok_or_else(|| io::Error::other("the server does not answer"))
}

async fn request_repeatedly(
    mut client: Client,
    times: Rc<RefCell<Vec<Duration>>>,
) -> io::Result<()> {
    let request = wire::message(&dialect::request(0));
    loop {
        let start = Instant::now();
        client.send(&request).await?;
        while client.count().await? == 0 {}
        times.borrow_mut().push(start.elapsed());
    }
}

fn percentile(sorted: &[Duration], percent: usize) -> Option<f64> {
    let time = sorted.get(sorted.len() * percent / 100)?;
    Some(time.as_secs_f64())
}
