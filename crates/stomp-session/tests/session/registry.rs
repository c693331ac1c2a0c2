//! The registry of connected sessions, and credentials that expire.

use crate::support::*;
use std::{sync::Arc, time::Duration};
use stomp_frame::Version;
use stomp_session::{
    BoxError, CloseCode, Config, Connected, Principal, Request, Response, Sessions,
};
use stomp_testing::Client;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tower::service_fn;

/// A service that takes the `login` header as the principal and accepts everything.
async fn log_in(request: Request) -> Answer {
    Ok(match request.headers().get("login") {
        Some(login) => Response::Connected(Connected::from(Principal::new(login))),
        None => Response::Done,
    })
}

/// A client that has logged in, and its connection's task.
async fn log_in_as(config: &Arc<Config>, login: &str) -> (Client, JoinHandle<()>) {
    let (_, mut client, connection) = run(Arc::clone(config), service_fn(log_in));
    let connect = connect(Version::V1_2).with_header("login", login);
    client.connect_with(connect).await;
    (client, connection)
}

#[tokio::test(start_paused = true)]
async fn the_registry_holds_sessions_while_they_are_connected() {
    let config = Arc::new(Config::default());
    let sessions = config.sessions.clone();
    let ann = Principal::new("ann");
    let (mut client, first_connection) = log_in_as(&config, "ann").await;
    let (other, second_connection) = log_in_as(&config, "ann").await;
    let (_bob, bobs_connection) = log_in_as(&config, "bob").await;
    assert_eq!((sessions.len(), sessions.all().len()), (3, 3));
    let of_ann = sessions.for_principal(&ann);
    assert_eq!(of_ann.len(), 2);
    let [first, second] = [of_ann[0].id(), of_ann[1].id()];
    assert_ne!(first, second);
    assert_eq!(sessions.get(first).unwrap().principal(), Some(&ann));
    assert!(sessions.for_principal(&Principal::new("eve")).is_empty());

    let unsubscribed = sessions.send(&ann, "/notices", "unsubscribed");
    assert!(unsubscribed.is_err());
    client.receipt(subscribe("0", "/notices")).await;
    sessions.send(&ann, "/notices", "hello").unwrap();
    client.expect_message("hello").await;

    assert_eq!(sessions.close(&ann, CloseCode::Policy), 2);
    drop((client, other));
    finished(first_connection).await;
    finished(second_connection).await;
    assert_eq!(sessions.len(), 1);
    assert!(sessions.get(first).is_none());
    assert!(sessions.for_principal(&ann).is_empty());
    bobs_connection.abort();
    assert!(bobs_connection.await.unwrap_err().is_cancelled());
    assert!(sessions.is_empty(), "a dropped connection is still held");
}

#[tokio::test(start_paused = true)]
async fn the_registry_never_holds_a_session_that_is_refused() {
    let sessions = Sessions::default();
    let mut config = Config::default();
    config.sessions = sessions.clone();
    let refuse = service_fn(async |_| Err::<Response, BoxError>("nobody".into()));
    let (_, mut client, _) = run(config, refuse);
    client.send(connect(Version::V1_2)).await;
    client.expect(Command::Error).await;
    assert!(sessions.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_connected_frame_carries_the_id_of_the_session() {
    let config = Arc::new(Config::default());
    let (mut client, _) = log_in_as(&config, "ann").await;
    let id = config.sessions.all()[0].id();
    client.receipt(disconnect()).await;
    let (session, mut requests, connection, mut client) = pair(config, PIPE);
    tokio::spawn(connection);
    client.send(connect(Version::V1_2)).await;
    requests.next().await.unwrap().1.ok();
    let connected = client.expect(Command::Connected).await;
    assert_eq!(
        connected.headers.get("session"),
        Some(&*session.id().to_string())
    );
    assert_ne!(session.id(), id);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_expire_end_the_session_unless_they_are_renewed() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.receipt(subscribe("0", "/a")).await;
    let start = Instant::now();
    session.expires_at((start + Duration::from_secs(10)).into_std());
    sleep(Duration::from_secs(9)).await;
    session.expires_at((start + Duration::from_secs(20)).into_std());
    client.expect_error("credentials-expired").await;
    assert_eq!(start.elapsed(), Duration::from_secs(20));
    assert!(session.message("/a", "too late").is_err());
    client.expect_end().await;
}
