//! Tests two brokers with the same clients: the example `broker`, and RabbitMQ, which shows that the checks are fair.

use super::{Outcome, Selection, rabbitmq::RabbitMq, script, server::Server, tools::Tools};
use crate::{Result, artifact};
use std::{ffi::OsString, iter, net::SocketAddr};

/// The scripts in `xtask/interop/broker/` that test any broker.
const SCRIPTS: &[&str] = &[
    "stompjs", "rx-stomp", "webstomp", "stompit", "stomp-py", "php", "ruby", "perl",
];

/// The script that tests the example's web page.
const PAGE: &str = "page";

/// The script that sends bursts to the example. Other brokers have other bounds.
const BURST: &str = "burst";

const EXAMPLE: &str = "broker";
const RABBITMQ: &str = "rabbitmq";

/// The names of all suites.
pub(super) fn names() -> Vec<String> {
    let suites = |broker: &'static str| SCRIPTS.iter().map(move |script| suite(broker, script));
    iter::once(suite(EXAMPLE, PAGE))
        .chain(suites(EXAMPLE))
        .chain([suite(EXAMPLE, BURST)])
        .chain(suites(RABBITMQ))
        .collect()
}

fn suite(broker: &str, script: &str) -> String {
    format!("{broker}/{script}")
}

/// Runs the selected suites.
pub(super) fn run(tools: &Tools, selection: Selection<'_>) -> Vec<Outcome> {
    // The page comes first: it shows a limited number of destinations, and the other scripts leave many behind.
    let of_example = [&[PAGE], SCRIPTS, &[BURST]].concat();
    let mut outcomes = run_selected(EXAMPLE, of_example, selection, |scripts| {
        test_example(tools, scripts)
    });
    outcomes.extend(run_selected(
        RABBITMQ,
        SCRIPTS.to_vec(),
        selection,
        |scripts| test_rabbitmq(tools, scripts),
    ));
    outcomes
}

/// Calls `test` with the selected scripts, if there are any.
fn run_selected(
    broker: &str,
    mut scripts: Vec<&str>,
    selection: Selection<'_>,
    test: impl FnOnce(&[&str]) -> Result<Vec<Outcome>>,
) -> Vec<Outcome> {
    scripts.retain(|script| selection.includes(&suite(broker, script)));
    if scripts.is_empty() {
        return Vec::new();
    }
    // A broker that does not start is reported once, not once for each script.
    test(&scripts)
        .unwrap_or_else(|reason| vec![Outcome::of(suite(broker, "start"), || Err(reason))])
}

fn test_example(tools: &Tools, scripts: &[&str]) -> Result<Vec<Outcome>> {
    let program = artifact::build("broker")?;
    let arguments = ["--ws", "127.0.0.1:0", "--tcp", "127.0.0.1:0"];
    let running = Server::start(&program, &arguments, ["ws://", "TCP: "])?;
    let [ws, tcp] = running.addresses;
    // In the scripts' table of differences between brokers, the example has the project's name.
    let mut variables = variables("webstomp", ws, tcp);
    variables.push(("CHROMIUM".to_owned(), tools.chromium.clone().into()));
    variables.push(("BROKER_BIN".to_owned(), program.into()));
    Ok(test(EXAMPLE, scripts, &variables))
}

fn test_rabbitmq(tools: &Tools, scripts: &[&str]) -> Result<Vec<Outcome>> {
    let rabbitmq = RabbitMq::start(&tools.rabbitmq)?;
    let variables = variables("rabbitmq", rabbitmq.ws, rabbitmq.tcp);
    Ok(test(RABBITMQ, scripts, &variables))
}

fn test(broker: &str, scripts: &[&str], variables: &[(String, OsString)]) -> Vec<Outcome> {
    let run = |script: &&str| script::run(&format!("broker/{script}.mjs"), variables);
    scripts
        .iter()
        .map(|script| Outcome::of(suite(broker, script), || run(script)))
        .collect()
}

/// The environment variables for the scripts. Each broker accepts the login `guest`.
fn variables(name: &str, ws: SocketAddr, tcp: SocketAddr) -> Vec<(String, OsString)> {
    let variables = [
        ("BROKER", name.to_owned()),
        ("BROKER_WS", format!("ws://{ws}/ws")),
        ("BROKER_TCP", tcp.to_string()),
        ("BROKER_LOGIN", "guest".to_owned()),
        ("BROKER_PASSCODE", "guest".to_owned()),
    ];
    variables
        .map(|(variable, value)| (variable.to_owned(), value.into()))
        .into()
}
