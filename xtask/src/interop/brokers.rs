//! Brokers, judged by the same clients: the example, and RabbitMQ, which shows that the checks are fair.

use super::{
    rabbitmq::{RabbitMq, free_addresses},
    script,
    server::{Killed, READY_WITHIN, accepts},
    tools::Tools,
};
use crate::{Result, artifact, shell};
use std::{ffi::OsString, net::SocketAddr, path::Path, process::Stdio, time::Instant};

/// Those in `xtask/interop/` that are for any broker.
const SCRIPTS: &[&str] = &[
    "broker/stompjs.mjs",
    "broker/webstomp.mjs",
    "broker/stompit.mjs",
    "broker/stomp-py.mjs",
];

/// The one for the example's own page.
const PAGE: &str = "broker/page.mjs";

/// The outcome of each script with each broker.
pub(crate) fn judge(tools: &Tools) -> Vec<Result> {
    let brokers = [judge_example(tools), judge_rabbitmq(tools)];
    brokers
        .into_iter()
        .flat_map(|outcome| outcome.unwrap_or_else(|reason| vec![Err(reason)]))
        .collect()
}

fn judge_example(tools: &Tools) -> Result<Vec<Result>> {
    let program = artifact::build("broker")?;
    let [ws, tcp] = free_addresses().map_err(|error| format!("no free port: {error}"))?;
    let _running = start(&program, ws, tcp)?;
    let mut variables = variables("webstomp", ws, tcp);
    variables.push(("CHROMIUM".to_owned(), tools.chromium.clone().into()));
    variables.push(("BROKER_BIN".to_owned(), program.into()));
    let scripts = SCRIPTS.iter().chain([&PAGE]);
    Ok(scripts.map(|name| script::run(name, &variables)).collect())
}

fn judge_rabbitmq(tools: &Tools) -> Result<Vec<Result>> {
    let rabbitmq = RabbitMq::start(&tools.rabbitmq)?;
    let variables = variables("rabbitmq", rabbitmq.ws, rabbitmq.tcp);
    Ok(SCRIPTS
        .iter()
        .map(|name| script::run(name, &variables))
        .collect())
}

/// Starts the example, and waits until it accepts connections.
fn start(program: &Path, ws: SocketAddr, tcp: SocketAddr) -> Result<Killed> {
    let mut command = shell::command(
        program,
        &["--ws", &ws.to_string(), "--tcp", &tcp.to_string()],
    );
    println!("\n$ {} &", shell::line(&command));
    let child = command
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| format!("the broker did not start: {error}"))?;
    let running = Killed::new(child);
    let deadline = Instant::now() + READY_WITHIN;
    for address in [ws, tcp] {
        accepts(address, deadline).map_err(|error| format!("the broker at {address}: {error}"))?;
    }
    Ok(running)
}

/// What the scripts learn about a broker. All let guests in.
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
