//! The rules about clients: who may send and subscribe, and to which destinations.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod decisions;
mod properties;

use std::sync::LazyLock;
use stomp_broker::{Action, Rules, destination_syntax};
use stomp_frame::{Command, Frame};
use stomp_session::{ClientError, Destination, DestinationSyntax, Principal, Request};

const BOTH: [Action; 2] = [Action::Send, Action::Subscribe];

fn parse(text: &str) -> Destination {
    static SYNTAX: LazyLock<DestinationSyntax> = LazyLock::new(destination_syntax);
    SYNTAX.parse(text.to_owned()).unwrap()
}

/// Asks the rules about a client with a principal of this name, or without one.
fn check(
    rules: &Rules,
    action: Action,
    destination: &str,
    name: Option<&str>,
) -> Result<(), ClientError> {
    let request = Request::new(Frame::new(Command::Send));
    let principal = name.map(Principal::new);
    rules.check(action, &parse(destination), principal.as_ref(), &request)
}

/// The code of a refusal, or "ok".
fn code(rules: &Rules, action: Action, destination: &str, name: Option<&str>) -> String {
    match check(rules, action, destination, name) {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.code().to_owned(),
    }
}
