//! Limits that all sessions of one principal share.

use crate::support::*;
use futures_util::stream;
use std::{sync::Arc, time::Duration};
use stomp_frame::{HeartBeat, Version};
use stomp_session::{CloseCode, Config, Connected, Message, Principal, Request, Response};
use stomp_testing::Client;
use tokio::time::sleep;
use tower::service_fn;

fn forever() -> stream::Pending<Message> {
    stream::pending()
}

/// Takes the header `login` as the principal. Refuses subscriptions to `/refused`, ends those to `/ended`, and adds an
/// implicit subscription for a `SEND` to `/ask`.
async fn log_in(request: Request) -> Answer {
    if let Some(login) = request.headers().get("login") {
        let principal = Principal::new(login).with_role(request.session().id().to_string());
        return Ok(Response::Connected(Connected::from(principal)));
    }
    match request.destination().as_str() {
        "/ask" => {
            let destination = request.parse_destination("/temp-queue/x")?;
            request.session().subscribe(&destination, forever())?;
            Ok(Response::Done)
        }
        "/refused" => Err("refused".into()),
        "/ended" => Ok(Response::observe(stream::empty::<String>())),
        _ => Ok(Response::Done),
    }
}

/// A client that has sent `CONNECT` with this login, unless the login is empty.
async fn client_as(config: &Arc<Config>, login: &str) -> Client {
    let (_, mut client, _) = run(Arc::clone(config), service_fn(log_in));
    let connect = connect(Version::V1_2);
    client
        .send(match login {
            "" => connect,
            login => connect.with_header("login", login),
        })
        .await;
    client
}

async fn connected_as(config: &Arc<Config>, login: &str) -> Client {
    let mut client = client_as(config, login).await;
    client.expect(Command::Connected).await;
    client
}

async fn refuse(config: &Arc<Config>, login: &str) {
    let mut client = client_as(config, login).await;
    let error = client.expect_error("too-many-sessions").await;
    let body = String::from_utf8(error.body.to_vec()).unwrap();
    assert!(
        body.contains("at most 2") && body.contains("max_sessions_per_principal"),
        "{body}"
    );
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_principal_with_too_many_sessions_is_refused_until_one_ends() {
    let config = Arc::new(Config::default().max_sessions_per_principal(2));
    let mut first = connected_as(&config, "ann").await;
    let second = connected_as(&config, "ann").await;
    refuse(&config, "ann").await;
    assert_eq!(config.sessions.len(), 2);
    // Others are not affected, and neither are clients without a login.
    let _bob = connected_as(&config, "bob").await;
    let mut anonymous = Vec::new();
    for _ in 0..3 {
        anonymous.push(connected_as(&config, "").await);
    }

    first.receipt(disconnect()).await;
    let third = connected_as(&config, "ann").await;
    refuse(&config, "ann").await;
    drop(second);
    settle().await;
    let _fourth = connected_as(&config, "ann").await;
    refuse(&config, "ann").await;
    assert_eq!(
        config
            .sessions
            .close(&Principal::new("ann"), CloseCode::Policy),
        2
    );
    settle().await;
    let _fifth = connected_as(&config, "ann").await;
    drop(third);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_vanished_counts_until_its_heart_beats_are_missed() {
    let config = Config::default()
        .max_sessions_per_principal(1)
        .heart_beat(HeartBeat {
            send: 0,
            receive: 1_000,
        });
    let config = Arc::new(config);
    let (_, mut vanished, _) = run(Arc::clone(&config), service_fn(log_in));
    let connect = connect(Version::V1_2)
        .with_header("login", "ann")
        .with_header("heart-beat", "1000,0");
    vanished.connect_with(connect).await;
    let mut early = client_as(&config, "ann").await;
    early.expect_error("too-many-sessions").await;
    sleep(Duration::from_secs(4)).await;
    connected_as(&config, "ann").await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_a_handle_has_accepted_is_closed_if_its_principal_has_too_many() {
    let accept_early = async |request: Request| {
        request.session().connected([]);
        log_in(request).await
    };
    let config = Arc::new(Config::default().max_sessions_per_principal(1));
    let _first = connected_as(&config, "ann").await;
    let (_, mut second, _) = run(Arc::clone(&config), service_fn(accept_early));
    second
        .connect_with(connect(Version::V1_2).with_header("login", "ann"))
        .await;
    second.expect_error("too-many-sessions").await;
    second.expect_end().await;
    assert_eq!(config.sessions.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn sessions_of_one_principal_share_the_maximum_of_subscriptions() {
    let config = Config::default().max_subscriptions_per_principal(2);
    let config = Arc::new(config);
    let mut first = connected_as(&config, "ann").await;
    let mut second = connected_as(&config, "ann").await;
    let mut other = connected_as(&config, "bob").await;
    first.receipt(subscribe("0", "/a")).await;
    second.receipt(subscribe("0", "/a")).await;
    other.receipt(subscribe("0", "/a")).await;
    let refused = second
        .expect_refusal(subscribe("1", "/b"), "too-many-subscriptions")
        .await;
    assert_eq!(refused.headers.get("subscription"), Some("1"));
    // The session continues, and may unsubscribe from what was refused.
    second.receipt(unsubscribe("1")).await;

    first.receipt(unsubscribe("0")).await;
    second.receipt(subscribe("1", "/b")).await;
    first
        .expect_refusal(subscribe("1", "/b"), "too-many-subscriptions")
        .await;
    second.receipt(disconnect()).await;
    first.receipt(subscribe("2", "/b")).await;
    first.receipt(subscribe("3", "/b")).await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_that_are_refused_or_end_take_no_place() {
    let config = Config::default()
        .max_subscriptions_per_principal(1)
        .max_unacked_messages(10);
    let config = Arc::new(config);
    let mut client = connected_as(&config, "ann").await;
    for id in ["0", "1"] {
        client
            .expect_refusal(subscribe(id, "/refused"), "internal-error")
            .await;
        let greedy = subscribe_with_ack(id, "/a", "client").with_header("prefetch-count", "11");
        client.receipt(unsubscribe(id)).await;
        client.expect_refusal(greedy, "prefetch-too-large").await;
        client.receipt(unsubscribe(id)).await;
        client.receipt(subscribe(id, "/ended")).await;
        settle().await;
        client.receipt(unsubscribe(id)).await;
    }
    client.receipt(subscribe("0", "/a")).await;
    client
        .expect_refusal(subscribe("1", "/a"), "too-many-subscriptions")
        .await;
}

#[tokio::test(start_paused = true)]
async fn implicit_subscriptions_count_towards_the_maximum_of_their_principal() {
    let config = Config::default().max_subscriptions_per_principal(2);
    let config = Arc::new(config);
    let mut first = connected_as(&config, "ann").await;
    let mut second = connected_as(&config, "ann").await;
    for _ in 0..3 {
        // The second of the two adds nothing, because the session has this subscription.
        first.receipt(send("/ask", "?")).await;
        first.receipt(send("/ask", "?")).await;
        second.receipt(subscribe("0", "/a")).await;
        second
            .expect_refusal(subscribe("1", "/a"), "too-many-subscriptions")
            .await;
        let refused = second
            .expect_refusal(send("/ask", "?"), "too-many-subscriptions")
            .await;
        assert!(
            refused
                .body
                .ends_with(b"(max_subscriptions_per_principal).")
        );
        first.receipt(unsubscribe("/temp-queue/x")).await;
        second.receipt(unsubscribe("0")).await;
    }
    first.receipt(send("/ask", "?")).await;
    first.receipt(disconnect()).await;
    second.receipt(subscribe("0", "/a")).await;
    second.receipt(subscribe("1", "/a")).await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_takes_the_place_of_the_implicit_one_that_it_replaces() {
    let config = Config::default().max_subscriptions_per_principal(1);
    let config = Arc::new(config);
    let mut client = connected_as(&config, "ann").await;
    for id in ["0", "/temp-queue/x"] {
        client.receipt(send("/ask", "?")).await;
        client
            .expect_refusal(subscribe("/temp-queue/x", "/refused"), "internal-error")
            .await;
        client
            .expect_refusal(subscribe("1", "/a"), "too-many-subscriptions")
            .await;
        client.receipt(subscribe(id, "/temp-queue/x")).await;
        client
            .expect_refusal(subscribe("1", "/a"), "too-many-subscriptions")
            .await;
        client.receipt(unsubscribe(id)).await;
        client.receipt(subscribe("1", "/a")).await;
        client.receipt(unsubscribe("1")).await;
    }
}
