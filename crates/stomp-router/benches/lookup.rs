//! Compares the cost of a lookup with few and with many routes. The results are ratios within one run.
//!
//! ```text
//! cargo bench -p stomp-router                    # time
//! cargo bench -p stomp-router -- instructions    # instructions, counted by valgrind
//! ```
//!
//! Consecutive requests have different destinations, so that the cache of the last match never helps. Requests go
//! either to ten of the routes or to all of them. In the second case, more routes also touch more memory, with more
//! cache misses.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "the benchmark has no peer, and a bug should stop it"
)]

use futures_util::FutureExt;
use std::{
    process::{Command as Program, ExitCode},
    time::Instant,
};
use stomp_frame::{Command, Frame};
use stomp_router::{Router, Routes};
use stomp_session::Request;
use tower::Service;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const ROUNDS: usize = 1_001;
/// Number of requests per measurement. It is small, so that their preparation does not evict the routes from the
/// processor's caches.
const REQUESTS: usize = 200;
/// The argument that the benchmark passes when it runs itself under valgrind.
const REPEAT: &str = "repeat";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let words: Vec<&str> = arguments
        .iter()
        .map(String::as_str)
        .filter(|word| !word.starts_with("--"))
        .collect();
    match words[..] {
        [] if is_bench => print_times(),
        // `cargo test --benches` passes no argument.
        [] => SIZES.iter().for_each(|size| work(*size, 1)),
        ["instructions"] => print_instructions(),
        [REPEAT, size, times] => work(size.parse().unwrap(), times.parse().unwrap()),
        _ => {
            eprintln!("The only valid argument is `instructions`.");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Creates `size` routes. Half of them are literal text, half have a parameter.
fn routes(size: usize) -> Routes {
    async fn sink() {}
    let router = (0..size / 2).fold(Router::new(), |router, number| {
        router
            .send(&format!("/fixed/{number}/news"), sink)
            .send(&format!("/rooms/{number}/{{id}}"), sink)
    });
    router.build().unwrap()
}

/// Returns requests to the first `used` routes. Consecutive destinations differ.
fn requests(used: usize) -> impl Iterator<Item = Request> {
    (0..).map(move |turn: usize| {
        let number = (turn * 7_919) % (used / 2);
        let destination = if turn % 2 == 0 {
            format!("/fixed/{number}/news")
        } else {
            format!("/rooms/{number}/{turn}")
        };
        Request::new(Frame::new(Command::Send).with_header("destination", &destination))
    })
}

fn call(routes: &mut Routes, requests: Vec<Request>) {
    for request in requests {
        assert!(
            routes
                .call(request)
                .now_or_never()
                .is_some_and(|response| response.is_ok())
        );
    }
}

fn work(size: usize, times: usize) {
    let (mut routes, mut requests) = (routes(size), requests(size));
    for _ in 0..times {
        call(&mut routes, requests.by_ref().take(REQUESTS).collect());
    }
}

fn print_times() {
    println!(
        "time of a call, relative to {} routes; columns: routes, requests to ten of them, requests to all; {ROUNDS} rounds",
        SIZES[0]
    );
    let [ten, all] = [times(|_| SIZES[0]), times(|size| size)];
    for ((size, ten), all) in SIZES.iter().zip(ten).zip(all) {
        println!("{size:>6} {ten:5.2} {all:5.2}");
    }
}

/// Measures the median time for each number of routes, and returns the ratio of each to the first. `used` maps a number
/// of routes to the number of them that get requests.
fn times(used: impl Fn(usize) -> usize) -> Vec<f64> {
    let side = |size: &usize| (routes(*size), requests(used(*size)), Vec::new());
    let mut sides: Vec<_> = SIZES.iter().map(side).collect();
    for _ in 0..ROUNDS {
        for (routes, requests, times) in &mut sides {
            let requests = requests.take(REQUESTS).collect();
            let start = Instant::now();
            call(routes, requests);
            times.push(start.elapsed());
        }
    }
    let medians = sides.iter_mut().map(|(_, _, times)| {
        times.sort();
        times[ROUNDS / 2].as_secs_f64()
    });
    ratios(medians.collect())
}

fn ratios(figures: Vec<f64>) -> Vec<f64> {
    figures.iter().map(|figure| figure / figures[0]).collect()
}

fn print_instructions() {
    println!(
        "instructions of a call and its request, relative to {} routes; columns: routes, requests to all",
        SIZES[0]
    );
    // The difference between two runs excludes the cost of the setup.
    let count = |size: usize| (collected(size, 30) - collected(size, 10)) / (20 * REQUESTS) as f64;
    for (size, ratio) in SIZES.iter().zip(ratios(SIZES.map(count).to_vec())) {
        println!("{size:>6} {ratio:5.2}");
    }
}

fn collected(size: usize, times: usize) -> f64 {
    let output = Program::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args([REPEAT, &size.to_string(), &times.to_string()])
        .output()
        .expect("valgrind must be installed, since it counts the instructions");
    // valgrind prints `==1234== Collected : 5678` on stderr.
    let report = String::from_utf8_lossy(&output.stderr);
    report
        .lines()
        .find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        .unwrap()
}
