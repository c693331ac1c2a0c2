//! Has one test for each kind of invalid input over each transport: `<transport>/<kind>`.
//!
//! `cargo test --test malformed tcp/` runs the tests over TCP. `cargo test --test malformed -- --list` lists all tests.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod invalid;
mod transports;

use invalid::{INVALID_FRAMES, TestApp, send_invalid_frame, send_violation, violations};
use libtest_mimic::{Arguments, Failed, Trial};
use std::{collections::HashSet, process::ExitCode};
use stomp_testing::Rng;
use tokio::runtime::Builder;
use transports::{Server, Transport};

/// The seed of each test's random numbers. They select how much is sent before the invalid frame, and in which pieces.
const SEED: u64 = 5;

/// The number of times that each frame is sent in each version. It is sent whole or in pieces, at random.
const REPETITIONS: usize = 4;

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for transport in Transport::ALL {
        for frame in INVALID_FRAMES {
            trials.push(trial(transport, frame.name, async move |server| {
                let mut rng = Rng::with_seed(SEED);
                for version in frame.versions {
                    for _ in 0..REPETITIONS {
                        send_invalid_frame(server, transport, frame, *version, &mut rng).await;
                    }
                }
            }));
        }
    }
    for transport in Transport::ALL.into_iter().filter(|t| t.is_websocket()) {
        for violation in violations() {
            let name = violation.name.clone();
            trials.push(trial(transport, &name, async move |server| {
                send_violation(server, transport, &violation, 0).await;
            }));
        }
    }
    let names: HashSet<_> = trials.iter().map(Trial::name).collect();
    assert_eq!(names.len(), trials.len(), "names of kinds are unique");
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// Creates a test that runs `body` with its own server, and then checks that the server still serves other clients.
fn trial<F>(transport: Transport, kind: &str, body: F) -> Trial
where
    F: AsyncFnOnce(&Server) + Send + 'static,
{
    let name = format!("{transport}/{}", kind.replace(' ', "_"));
    Trial::test(name, move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let app = TestApp::new();
            let server = app.start().await;
            body(&server).await;
            let mut client = server.connect(transport).await;
            client
                .receipt(stomp_testing::frames::send("/sink", ""))
                .await;
            match app.forbidden_calls() {
                0 => Ok(()),
                calls => Err(Failed::from(format!(
                    "{calls} frames after an invalid one were handled"
                ))),
            }
        })
    })
}
