//! Brokers, judged by the same clients: one of ours, and RabbitMQ, which tells whether the checks are fair.

use std::{ffi::OsString, net::SocketAddr};

use super::{rabbitmq::RabbitMq, script, tools::Tools};
use crate::Result;

/// Those in `xtask/interop/`, for any broker.
const SCRIPTS: &[&str] = &["broker/stompjs.mjs", "broker/webstomp.mjs", "broker/stompit.mjs", "broker/stomp-py.mjs"];

/// The outcome of each script with each broker.
pub(crate) fn judge(tools: &Tools) -> Vec<Result> {
    match RabbitMq::start(&tools.rabbitmq) {
        Ok(rabbitmq) => run_all(&variables("rabbitmq", rabbitmq.ws, rabbitmq.tcp)),
        Err(reason) => vec![Err(reason)],
    }
}

fn run_all(variables: &[(String, OsString)]) -> Vec<Result> {
    SCRIPTS.iter().map(|name| script::run(name, variables)).collect()
}

/// What the scripts learn about a broker. All have an account for guests.
fn variables(name: &str, ws: SocketAddr, tcp: SocketAddr) -> Vec<(String, OsString)> {
    let variables = [
        ("BROKER", name.to_owned()),
        ("BROKER_WS", format!("ws://{ws}/ws")),
        ("BROKER_TCP", tcp.to_string()),
        ("BROKER_LOGIN", "guest".to_owned()),
        ("BROKER_PASSCODE", "guest".to_owned()),
    ];
    variables.map(|(variable, value)| (variable.to_owned(), value.into())).into()
}
