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
    check_as(
        rules,
        action,
        destination,
        name.map(Principal::new).as_ref(),
    )
}

fn check_as(
    rules: &Rules,
    action: Action,
    destination: &str,
    principal: Option<&Principal>,
) -> Result<(), ClientError> {
    let request = Request::new(Frame::new(Command::Send));
    rules.check(action, &parse(destination), principal, &request)
}

/// The code of a refusal, or "ok".
fn code(rules: &Rules, action: Action, destination: &str, name: Option<&str>) -> String {
    code_of(check(rules, action, destination, name))
}

fn code_of(answer: Result<(), ClientError>) -> String {
    answer.map_or_else(|error| error.code().to_owned(), |()| "ok".to_owned())
}
