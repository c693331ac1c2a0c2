//! The handlers of each command, and requests without a handler.

use super::{rejection, request, send};
use stomp_frame::Command;
use stomp_router::{Router, State};
use stomp_session::{ClientError, Response};
use tower::ServiceExt;

#[tokio::test]
async fn send_and_subscribe_without_a_matching_route_are_not_found() {
    async fn sink() {}
    let routes = Router::new()
        .send("/in", sink)
        .subscribe("/out", sink)
        .build()
        .unwrap();
    for (command, destination) in [
        (Command::Send, "/nowhere"),
        (Command::Subscribe, "/nowhere"),
        // A route of one command does not match requests with the other.
        (Command::Send, "/out"),
        (Command::Subscribe, "/in"),
    ] {
        let error = rejection(&routes, request(command, destination, b"")).await;
        assert_eq!(error.code(), "not-found");
        assert!(
            error.text().contains(command.as_str()) && error.text().contains(destination),
            "{error}"
        );
    }
    let error = rejection(&routes, send(&"\u{1b}".repeat(200), b"")).await;
    assert!(
        !error.text().contains('\u{1b}') && error.text().len() < 1_000,
        "{error}"
    );
}

#[tokio::test]
async fn other_commands_succeed_without_a_handler() {
    let routes = Router::new().build().unwrap();
    for command in [
        Command::Connect,
        Command::Stomp,
        Command::Unsubscribe,
        Command::Disconnect,
    ] {
        let result = routes.clone().oneshot(request(command, "/a", b"")).await;
        assert!(
            matches!(result, Ok(Response::Done)),
            "{command}: {result:?}"
        );
    }
}

#[tokio::test]
async fn each_command_reaches_only_its_own_handler() {
    async fn reject(State(code): State<&'static str>) -> Result<(), ClientError> {
        Err(ClientError::new(code, "Rejected."))
    }
    let router = |code| -> Router<&'static str> {
        match code {
            "connect" => Router::new().connect(reject),
            "unsubscribe" => Router::new().unsubscribe("/{*all}", reject),
            _ => Router::new().disconnect(reject),
        }
    };
    for (code, expected) in [
        ("connect", &[Command::Connect, Command::Stomp][..]),
        ("unsubscribe", &[Command::Unsubscribe]),
        ("disconnect", &[Command::Disconnect]),
    ] {
        let routes = router(code).with_state(code).build().unwrap();
        for command in [
            Command::Connect,
            Command::Stomp,
            Command::Unsubscribe,
            Command::Disconnect,
        ] {
            match routes.clone().oneshot(request(command, "/a", b"")).await {
                Ok(_) => assert!(
                    !expected.contains(&command),
                    "{command} did not reach {code}"
                ),
                Err(error) => {
                    assert_eq!(error.downcast::<ClientError>().unwrap().code(), code);
                    assert!(expected.contains(&command), "{command} reached {code}");
                }
            }
        }
    }
}
