//! Measures one work on one server.

use crate::{
    connects::Connects,
    histogram::Histogram,
    load::{Load, Pace, Tally},
    memory,
    options::Plan,
    proc,
    sample::{Sample, Times},
    server::Running,
    target::{self, Protocol},
    tool::{Attached, Tool},
    works::Kind,
};
use std::{
    io,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::{Duration, Instant},
};

const BESIDE_SUBSCRIBERS: usize = 1_000;
const BESIDE_BODY: usize = 128;
const BESIDE_SLICE: Duration = Duration::from_millis(50);
const REQUEST_BODY: usize = 64;
const SOCKET_CONNECTIONS: (usize, usize) = (50, 16);

const QUEUE_BODY: usize = 128;
const PRODUCERS: usize = 4;
const CONSUMERS: usize = 8;
const PREFETCH: usize = 64;
/// Outstanding messages of each producer: enough for the credit of all consumers.
const PRODUCER_OUTSTANDING: u64 = (CONSUMERS * PREFETCH / PRODUCERS) as u64;

const IDLE_PAUSE: Duration = Duration::from_millis(300);
const AFTER_LARGE_PAUSE: Duration = Duration::from_secs(5);

/// A server under test.
pub(crate) struct Subject<'a> {
    pub(crate) server: &'a Running,
    /// The text that a STOMP server delivers for a publication. The bare server delivers the same.
    pub(crate) delivery: &'a str,
    /// A tool that counts during the interval.
    pub(crate) tool: Option<Tool>,
}

impl Kind {
    /// The length of the bodies that this work publishes to a topic, if it does.
    pub(crate) fn published_body(self) -> Option<usize> {
        match self {
            Kind::FanOut { body, .. } => Some(body),
            Kind::Beside { .. } => Some(BESIDE_BODY),
            _ => None,
        }
    }

    /// Runs the work once. Returns an error if a message is lost, doubled or out of order.
    pub(crate) fn measure(self, subject: &Subject<'_>, plan: &Plan) -> io::Result<Sample> {
        match self {
            Kind::Requests {
                connections,
                outstanding,
            } => requests(subject, plan, (connections, outstanding), REQUEST_BODY),
            Kind::SocketEcho { body } => requests(subject, plan, SOCKET_CONNECTIONS, body),
            Kind::FanOut {
                publishers,
                subscribers,
                body,
                pace,
            } => {
                let mut load = Load::new(publishers, body)?;
                let sizes = (publishers, subscribers, body);
                add_fan_out(&mut load, subject, sizes, pace)?;
                run(load, subject, &plan.for_pace(pace), deliveries)
            }
            Kind::Beside { pace, .. } => beside(subject, &plan.for_pace(pace), pace),
            Kind::Queue => queue(subject, plan),
            Kind::Idle => memory(subject, plan, IDLE_PAUSE, false),
            Kind::AfterLarge | Kind::SocketAfterLarge => {
                memory(subject, plan, AFTER_LARGE_PAUSE, true)
            }
            Kind::Connects => connects(subject, plan),
        }
    }
}

/// The operations of a load, and their times.
type Figures = fn(&Tally) -> (u64, &Histogram);

fn answers(tally: &Tally) -> (u64, &Histogram) {
    (tally.answers, &tally.answer_times)
}

fn deliveries(tally: &Tally) -> (u64, &Histogram) {
    (tally.deliveries, &tally.delivery_times)
}

fn requests(
    subject: &Subject<'_>,
    plan: &Plan,
    connections: (usize, usize),
    body: usize,
) -> io::Result<Sample> {
    let mut load = Load::new(0, 0)?;
    add_requesters(&mut load, subject, connections, body)?;
    run(load, subject, plan, answers)
}

/// Measures one request at a time while a topic is busy.
///
/// Each side has a thread, and the system lets the one that waited most run first. In one thread, an answer would wait
/// until the generator has read a thousand deliveries, and that time would count as the server's.
fn beside(subject: &Subject<'_>, plan: &Plan, pace: Pace) -> io::Result<Sample> {
    let mut load = Load::new(1, BESIDE_BODY)?;
    let sizes = (1, BESIDE_SUBSCRIBERS, BESIDE_BODY);
    add_fan_out(&mut load, subject, sizes, pace)?;
    let is_measured = AtomicBool::new(false);
    thread::scope(|scope| {
        let busy = scope.spawn(|| {
            while !is_measured.load(Relaxed) {
                load.run_for(BESIDE_SLICE)?;
            }
            load.drain()
        });
        let sample = requests(subject, plan, (1, 1), REQUEST_BODY);
        is_measured.store(true, Relaxed);
        let busy = busy
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")));
        busy.and(sample)
    })
}

fn add_requesters(
    load: &mut Load,
    subject: &Subject<'_>,
    (connections, outstanding): (usize, usize),
    body: usize,
) -> io::Result<()> {
    let target = &subject.server.target;
    let request = target.request(body);
    for _ in 0..connections {
        let setup = target.requester()?;
        load.add_requester(setup, &request, target.answer_marker(), outstanding)?;
    }
    Ok(())
}

fn add_fan_out(
    load: &mut Load,
    subject: &Subject<'_>,
    (publishers, subscribers, body): (usize, usize, usize),
    pace: Pace,
) -> io::Result<()> {
    let target = &subject.server.target;
    for _ in 0..subscribers {
        load.add_subscriber(target.subscriber()?, publishers)?;
    }
    let message = match target.protocol {
        Protocol::Stomp => target::publication(target.destinations.topic, body),
        Protocol::Bare | Protocol::Frames => subject.delivery.to_owned(),
    };
    for _ in 0..publishers {
        load.add_publisher(target.publisher()?, &message, pace)?;
    }
    Ok(())
}

fn queue(subject: &Subject<'_>, plan: &Plan) -> io::Result<Sample> {
    let target = &subject.server.target;
    let mut load = Load::new(PRODUCERS, QUEUE_BODY)?;
    for _ in 0..CONSUMERS {
        load.add_consumer(target.consumer(PREFETCH)?, PRODUCERS)?;
    }
    let message = target::publication(target.destinations.queue, QUEUE_BODY);
    for _ in 0..PRODUCERS {
        let pace = Pace::Outstanding(PRODUCER_OUTSTANDING);
        load.add_publisher(target.publisher()?, &message, pace)?;
    }
    run(load, subject, plan, deliveries)
}

/// Warms the server up, measures one interval, and waits for the messages that are outstanding.
fn run(mut load: Load, subject: &Subject<'_>, plan: &Plan, figures: Figures) -> io::Result<Sample> {
    load.run_for(plan.warm_up)?;
    load.clear_times();
    let (before, clock) = (figures(load.tally()).0, Clock::start(subject)?);
    load.run_for(plan.interval)?;
    let (after, times) = figures(load.tally());
    let sample = Sample {
        times: Times::of(times),
        ..clock.stop(after - before)?
    };
    load.drain()?;
    Ok(sample)
}

fn connects(subject: &Subject<'_>, plan: &Plan) -> io::Result<Sample> {
    let mut connects = Connects::new(subject.server.target.clone())?;
    connects.run_for(plan.warm_up)?;
    let (before, clock) = (connects.completed, Clock::start(subject)?);
    connects.run_for(plan.interval)?;
    clock.stop(connects.completed - before)
}

fn memory(
    subject: &Subject<'_>,
    plan: &Plan,
    pause: Duration,
    is_large: bool,
) -> io::Result<Sample> {
    let server = subject.server;
    Ok(Sample {
        bytes_per_connection: memory::per_connection(server, plan.idle, pause, is_large)?,
        ..Sample::default()
    })
}

/// The start of an interval.
struct Clock<'a> {
    server: &'a Running,
    tool: Option<Attached>,
    start: Reading,
}

/// The clocks and counters at one moment.
struct Reading {
    time: Instant,
    server: Option<Duration>,
    generator: Option<Duration>,
    wakes: Option<u64>,
}

impl Reading {
    fn now(server: &Running) -> Reading {
        Reading {
            time: Instant::now(),
            server: server.cpu_time(),
            generator: proc::cpu_time(std::process::id()),
            wakes: server.pid.and_then(proc::wakes),
        }
    }
}

impl<'a> Clock<'a> {
    fn start(subject: &Subject<'a>) -> io::Result<Clock<'a>> {
        let server = subject.server;
        let tool = subject.tool.zip(server.pid);
        Ok(Clock {
            server,
            tool: tool.map(|(tool, pid)| tool.attach(pid)).transpose()?,
            start: Reading::now(server),
        })
    }

    fn stop(self, operations: u64) -> io::Result<Sample> {
        let (start, end) = (self.start, Reading::now(self.server));
        let counts = self.tool.map(Attached::detach).transpose()?;
        let since = |end: Option<Duration>, start| Some(end?.saturating_sub(start?));
        if operations == 0 {
            return Err(io::Error::other("the server does not answer under load"));
        }
        Ok(Sample {
            operations,
            wall: end.time - start.time,
            server_cpu: since(end.server, start.server),
            generator_cpu: since(end.generator, start.generator),
            wakes: end
                .wakes
                .zip(start.wakes)
                .map(|(end, start)| end.saturating_sub(start)),
            counts,
            ..Sample::default()
        })
    }
}
