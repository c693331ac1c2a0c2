//! Errors of the application: their form for the client, and errors whose own code fails.

use crate::support::*;
use futures_util::{StreamExt, stream};
use std::{error::Error, fmt, future::ready};
use stomp_frame::Version;
use stomp_session::{
    BoxError, ClientError, Config, Destination, InvalidDestination, NotSubscribed, Request,
    Response, SlowConsumer,
};
use tower::service_fn;

/// A session in which each `SEND` fails with the error that `make` returns, and its connected client.
async fn failing(make: impl Fn() -> BoxError + Send + 'static) -> stomp_testing::Client {
    let handler = move |request: &Request| match request.command() {
        Command::Send => Err(make()),
        _ => Ok(Response::Done),
    };
    let (_, client, _) = start(Config::default(), handler).await;
    client
}

#[tokio::test(start_paused = true)]
async fn an_error_has_headers_and_a_body_of_its_own_behind_those_of_the_session() {
    let mut client = failing(|| {
        let error = ClientError::new("out-of-stock", "There is none left.")
            .with_header("retry-after", "60")
            .with_header("receipt-id", "forged")
            .with_header("a:b", "c\nd")
            .with_body("application/json", r#"{"left":0}"#);
        error.into()
    })
    .await;
    let frame = send("/a", "").with_header("receipt", "7");
    client.send(frame).await;
    let error = client.expect_error("out-of-stock").await;
    let headers: Vec<_> = error.headers.iter().collect();
    assert_eq!(
        headers,
        [
            ("message", "out-of-stock"),
            ("content-type", "application/json"),
            ("receipt-id", "7"),
            ("retry-after", "60"),
            ("a:b", "c\nd"),
            ("content-length", "10"),
        ]
    );
    assert_eq!(error.body, r#"{"left":0}"#);
}

/// An error that hides its type, as `anyhow::Error` and `#[error(transparent)]` do.
#[derive(Debug)]
struct Transparent<E>(E);

impl<E: fmt::Display> fmt::Display for Transparent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<E: Error> Error for Transparent<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

fn invalid() -> InvalidDestination {
    Destination::from_segments("/a", [""]).unwrap_err()
}

#[test]
fn an_invalid_prefix_is_a_mistake_of_the_application_and_an_invalid_segment_is_not() {
    for (result, code) in [
        (Destination::from_segments("/a.b", ["c"]), "internal-error"),
        (Destination::from_segments("/a", [""; 0]), "internal-error"),
        (Destination::from_segments("/a", ["b.c"]), "bad-destination"),
    ] {
        let invalid = result.unwrap_err();
        assert_eq!(ClientError::from_error(&invalid).code(), code, "{invalid}");
        assert_eq!(ClientError::from(invalid).code(), code);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_for_the_client_are_found_behind_errors_that_hide_their_type() {
    type Make = fn() -> BoxError;
    let cases: [(Make, &str, &str); 4] = [
        (
            || Transparent(ClientError::new("own", "Own words.")).into(),
            "own",
            "Own words.",
        ),
        (
            || Transparent(Transparent(Box::new(ClientError::new("own", "Own words.")))).into(),
            "own",
            "Own words.",
        ),
        (
            || Transparent(invalid()).into(),
            "bad-destination",
            "The segment \"\" is empty.",
        ),
        (
            || Transparent(NotSubscribed).into(),
            "not-subscribed",
            "The session has no subscription for the reply to this frame.",
        ),
    ];
    for (make, code, text) in cases {
        let mut client = failing(make).await;
        let error = client.expect_refusal(send("/a", ""), code).await;
        assert_eq!(error.body, text);
    }
}

/// An error whose message or destructor panics.
#[derive(Debug)]
enum Bomb {
    Message,
    Drop,
}

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bomb::Message => panic!("a bug in a message"),
            Bomb::Drop => f.write_str("a bomb"),
        }
    }
}

impl Error for Bomb {}

impl Drop for Bomb {
    fn drop(&mut self) {
        if matches!(self, Bomb::Drop) {
            panic!("a bug in a destructor");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_whose_own_code_panics_leaves_its_session_open() {
    let handler = |request: Request| {
        ready(match (request.command(), request.destination().as_str()) {
            (Command::Send, "/message") => Err(Bomb::Message.into()),
            (Command::Send, "/drop") => Err(Bomb::Drop.into()),
            (Command::Send, "/commit") => {
                let staging = request.transaction().unwrap();
                staging.on_commit(|| ready(Ok(())));
                staging.on_commit(|| ready(Err(Bomb::Drop.into())));
                Ok(Response::Done)
            }
            (Command::Subscribe, _) => {
                Ok(Response::observe(stream::iter([Err::<String, BoxError>(
                    Bomb::Drop.into(),
                )])))
            }
            _ => Ok::<_, BoxError>(Response::Done),
        })
    };
    let mapper = |error: &(dyn Error + 'static)| {
        // The default mapper formats the error only if there is a subscriber for the log.
        let _ = error.to_string();
        ClientError::from_error(error)
    };
    let config = Config::default().error_mapper(mapper);
    let (_session, mut client, _) = run(config, service_fn(handler));
    client.connect(Version::V1_2).await;
    for frame in [
        send("/message", ""),
        send("/drop", ""),
        subscribe("0", "/drop"),
    ] {
        client.send(frame).await;
        client.expect_error("internal-error").await;
        client.receipt(send("/sink", "")).await;
    }
    client.send(transaction(Command::Begin, "t")).await;
    let frame = send("/commit", "").with_header("transaction", "t");
    client.send(frame).await;
    client.send(transaction(Command::Commit, "t")).await;
    client.expect_error("engine-unavailable").await;
    client.receipt(send("/sink", "")).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_is_disconnected_also_if_its_error_is_wrapped() {
    let wrap = |_: &str| stream::iter([Err(Transparent(SlowConsumer).into())]).boxed();
    let (_session, mut client, _) = start(Config::default(), streaming(wrap)).await;
    client.send(subscribe("0", "/a")).await;
    client.expect_error("slow-consumer").await;
    client.expect_end().await;
}
