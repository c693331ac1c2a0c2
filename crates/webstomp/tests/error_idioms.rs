//! The usual ways in which a handler returns a `ClientError`: in each, the client sees its code and its text.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

mod support;

use anyhow::Context;
use std::{error::Error, fmt, io, sync::Arc, time::Duration};
use stomp_testing::frames::send;
use support::Server;
use tower::{BoxError, ServiceBuilder, timeout::TimeoutLayer};
use webstomp::{App, ClientError, Handler, middleware::from_fn, session::Destination};

const TEXT: &str = "There is none left.";

/// A check whose error is meant for the client.
fn check() -> Result<(), ClientError> {
    Err(ClientError::new("out-of-stock", TEXT))
}

/// A check whose error is meant for the log.
fn read() -> Result<(), io::Error> {
    Err(io::Error::other("secret: a disk is full"))
}

#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("the archive cannot be read")]
    Archive(#[from] io::Error),
}

#[derive(Debug, thiserror::Error)]
#[error("the order is refused")]
struct Refused(#[from] ClientError);

#[derive(Debug, thiserror::Error)]
#[error("the order is refused")]
struct RefusedBoxed(#[source] Box<dyn Error + Send + Sync>);

/// An error of the application that chooses its form for clients.
#[derive(Debug)]
struct OutOfStock;

impl From<OutOfStock> for ClientError {
    fn from(_: OutOfStock) -> ClientError {
        ClientError::new("out-of-stock", TEXT)
    }
}

async fn anyhow_plain() -> anyhow::Result<()> {
    check()?;
    Ok(())
}

async fn anyhow_with_context() -> anyhow::Result<()> {
    check().context("while buying").context("in a test")
}

async fn anyhow_in_anyhow() -> anyhow::Result<()> {
    Err(anyhow::Error::new(Refused(check().unwrap_err())))
}

async fn transparent() -> Result<(), OrderError> {
    read().or_else(|_| check())?;
    Ok(())
}

async fn transparent_in_anyhow() -> anyhow::Result<()> {
    Err(OrderError::from(check().unwrap_err()))?;
    Ok(())
}

async fn source() -> Result<(), Refused> {
    Ok(check()?)
}

async fn boxed_source() -> Result<(), RefusedBoxed> {
    check().map_err(|error| RefusedBoxed(Box::new(error)))
}

async fn mapped() -> Result<(), ClientError> {
    read().map_err(|_| ClientError::new("out-of-stock", TEXT))
}

async fn converted() -> Result<(), ClientError> {
    Err(OutOfStock)?;
    Ok(())
}

async fn boxed() -> Result<(), BoxError> {
    check()?;
    Ok(())
}

async fn boxed_twice() -> Result<(), BoxError> {
    Err(Box::new(Box::new(check().unwrap_err())))
}

async fn shared() -> Result<(), Arc<ClientError>> {
    check().map_err(Arc::new)
}

async fn in_io_error() -> Result<(), io::Error> {
    check().map_err(io::Error::other)
}

async fn formatted_away() -> anyhow::Result<()> {
    check().map_err(|error| anyhow::anyhow!("refused: {error}"))
}

async fn anyhow_mapped() -> anyhow::Result<()> {
    read().map_err(|_| ClientError::new("out-of-stock", TEXT))?;
    Ok(())
}

async fn anyhow_option() -> anyhow::Result<()> {
    None.ok_or_else(|| ClientError::new("out-of-stock", TEXT))?
}

async fn anyhow_bail() -> anyhow::Result<()> {
    anyhow::bail!(ClientError::new("out-of-stock", TEXT))
}

/// anyhow shows the context only as text.
async fn as_context() -> anyhow::Result<()> {
    read().context(ClientError::new("out-of-stock", TEXT))
}

async fn as_context_of_an_option() -> anyhow::Result<()> {
    None.context(ClientError::new("out-of-stock", TEXT))
}

async fn archive() -> Result<(), OrderError> {
    Ok(read()?)
}

async fn anyhow_archive() -> anyhow::Result<()> {
    read().context("while reading")
}

async fn bad_destination() -> anyhow::Result<()> {
    Destination::from_segments("/rooms", ["a/b"])?;
    Ok(())
}

fn app() -> App {
    let timeout = || TimeoutLayer::new(Duration::from_secs(1));
    App::new()
        .send("/anyhow", anyhow_plain)
        .send("/anyhow/context", anyhow_with_context)
        .send("/anyhow/anyhow", anyhow_in_anyhow)
        .send("/anyhow/mapped", anyhow_mapped)
        .send("/anyhow/option", anyhow_option)
        .send("/anyhow/bail", anyhow_bail)
        .send("/transparent", transparent)
        .send("/transparent/anyhow", transparent_in_anyhow)
        .send("/source", source)
        .send("/source/boxed", boxed_source)
        .send("/mapped", mapped)
        .send("/converted", converted)
        .send("/boxed", boxed)
        .send("/boxed/twice", boxed_twice)
        .send("/shared", shared)
        .send("/io", in_io_error)
        .send("/layer/timeout", anyhow_plain.layer(timeout()))
        .send(
            "/layer/buffer",
            transparent.layer(ServiceBuilder::new().buffer(4).layer(timeout())),
        )
        .send(
            "/layer/filter",
            converted.layer(tower::filter::FilterLayer::new(
                |request: webstomp::Request| {
                    check().context("while filtering")?;
                    Ok::<_, BoxError>(request)
                },
            )),
        )
        .send(
            "/layer/function",
            converted.layer(from_fn(|_, _| async {
                check().context("in a layer")?;
                anyhow::Ok(webstomp::Response::Done)
            })),
        )
        .send("/formatted", formatted_away)
        .send("/as-context", as_context)
        .send("/as-context/option", as_context_of_an_option)
        .send("/archive", archive)
        .send("/archive/anyhow", anyhow_archive)
        .send("/bad-destination", bad_destination)
        .layer(timeout())
}

#[tokio::test(start_paused = true)]
async fn a_client_error_is_shown_however_the_application_wraps_it() {
    let mut client = Server::new(app()).client().await;
    for destination in [
        "/anyhow",
        "/anyhow/context",
        "/anyhow/anyhow",
        "/anyhow/mapped",
        "/anyhow/option",
        "/anyhow/bail",
        "/transparent",
        "/transparent/anyhow",
        "/source",
        "/source/boxed",
        "/mapped",
        "/converted",
        "/boxed",
        "/boxed/twice",
        "/shared",
        "/io",
        "/layer/timeout",
        "/layer/buffer",
        "/layer/filter",
        "/layer/function",
    ] {
        client.send(send(destination, "")).await;
        let error = client.expect(webstomp::frame::Command::Error).await;
        assert_eq!(
            (error.headers.get("message"), &error.body[..]),
            (Some("out-of-stock"), TEXT.as_bytes()),
            "{destination}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_destination_is_shown_from_an_anyhow_error() {
    let mut client = Server::new(app()).client().await;
    let error = client
        .expect_refusal(send("/bad-destination", ""), "bad-destination")
        .await;
    assert_eq!(
        error.body,
        r#"The segment "a/b" contains a separator, "/" or "."."#
    );
}

#[tokio::test(start_paused = true)]
async fn an_error_without_a_client_error_reveals_nothing() {
    let mut client = Server::new(app()).client().await;
    for destination in [
        "/formatted",
        "/as-context",
        "/as-context/option",
        "/archive",
        "/archive/anyhow",
    ] {
        let error = client
            .expect_refusal(send(destination, ""), "internal-error")
            .await;
        assert_eq!(error.body, "The server failed to handle this frame.");
    }
}

#[test]
fn the_chain_of_an_error_says_what_the_client_sees() {
    let error = check().context("while buying").unwrap_err();
    assert_eq!(
        format!("{error:#}"),
        "while buying: out-of-stock: There is none left.: the client sees \"out-of-stock\""
    );
    assert!(fmt::format(format_args!("{error}")) == "while buying");
}
