//! Sessions that join and leave, and the end of a session.

use crate::support::*;
use futures_util::{FutureExt, StreamExt};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use stomp_frame::Version;
use stomp_session::{
    CloseCode, Config, Connected, PresenceChange, PresenceChanges, Principal, Request, Response,
    Session, Sessions,
};
use stomp_testing::{Client, seeded};
use tokio::task::JoinHandle;
use tower::service_fn;

/// A service that takes the `login` header as the principal and accepts everything.
async fn log_in(request: Request) -> Answer {
    Ok(match request.headers().get("login") {
        Some(login) => Response::Connected(Connected::from(Principal::new(login))),
        None => Response::Done,
    })
}

async fn join(config: &Arc<Config>, login: Option<&str>) -> (Session, Client, JoinHandle<()>) {
    let (session, mut client, connection) = run(Arc::clone(config), service_fn(log_in));
    let frame = connect(Version::V1_2);
    client
        .connect_with(match login {
            Some(login) => frame.with_header("login", login),
            None => frame,
        })
        .await;
    (session, client, connection)
}

/// The changes that the stream can return now: `+ann 1` if ann has joined and has one other session.
fn now(changes: &mut PresenceChanges) -> Vec<String> {
    let described = |change: PresenceChange| {
        let sign = if matches!(change, PresenceChange::Joined(_)) {
            '+'
        } else {
            '-'
        };
        let presence = change.presence();
        let name = presence.principal().map_or("nobody", Principal::name);
        format!("{sign}{name} {}", presence.other_sessions())
    };
    let next = || changes.next().now_or_never().flatten();
    std::iter::from_fn(next).map(described).collect()
}

#[tokio::test(start_paused = true)]
async fn changes_tell_the_first_and_the_last_session_of_a_principal() {
    let config = Arc::new(Config::default());
    let mut changes = config.sessions.changes();
    let (_, mut first, _) = join(&config, Some("ann")).await;
    let (second, _second, _) = join(&config, Some("ann")).await;
    let (_, anonymous, _) = join(&config, None).await;
    assert_eq!(now(&mut changes), ["+ann 0", "+ann 1", "+nobody 0"]);
    assert_eq!(config.sessions.principals(), [Principal::new("ann")]);
    first.receipt(disconnect()).await;
    drop(anonymous);
    settle().await;
    assert_eq!(now(&mut changes), ["-ann 1", "-nobody 0"]);
    second.close(CloseCode::Policy);
    assert_eq!(now(&mut changes), ["-ann 0"]);
    assert!(config.sessions.principals().is_empty());
}

#[tokio::test(start_paused = true)]
async fn changes_name_the_principal_that_comes_online_or_goes_offline() {
    let config = Arc::new(Config::default().sessions(Sessions::for_node("berlin")));
    let ann = Principal::new("ann");
    let (first, _first, _) = join(&config, Some("ann")).await;
    let mut changes = config.sessions.changes();
    let joined = changes.next().await.unwrap();
    assert_eq!(
        (joined.came_online(), joined.went_offline()),
        (Some(&ann), None)
    );
    assert_eq!(joined.presence().session(), first.id());
    assert_eq!(joined.presence().node(), "berlin");
    let (second, _second, _) = join(&config, Some("ann")).await;
    assert!(changes.next().await.unwrap().came_online().is_none());
    first.close(CloseCode::Normal);
    assert!(changes.next().await.unwrap().went_offline().is_none());
    second.close(CloseCode::Normal);
    let left = changes.next().await.unwrap();
    assert_eq!(
        (left.came_online(), left.went_offline()),
        (None, Some(&ann))
    );
}

#[tokio::test(start_paused = true)]
async fn a_session_that_comes_and_goes_unseen_leaves_nothing_behind() {
    let config = Arc::new(Config::default());
    let (held, _held, _) = join(&config, Some("ann")).await;
    let mut changes = config.sessions.changes();
    assert_eq!(now(&mut changes), ["+ann 0"]);
    for _ in 0..3 {
        let (session, _client, _) = join(&config, Some("ann")).await;
        session.close(CloseCode::Normal);
    }
    assert!(now(&mut changes).is_empty());
    // The last session that the reader knows leaves, although another one joins and leaves around it.
    let (session, _client, _) = join(&config, Some("ann")).await;
    held.close(CloseCode::Normal);
    session.close(CloseCode::Normal);
    assert_eq!(now(&mut changes), ["-ann 0"]);
}

#[tokio::test(start_paused = true)]
async fn a_reader_is_woken_by_changes() {
    let config = Arc::new(Config::default());
    let mut changes = config.sessions.changes();
    let reader = tokio::spawn(async move { changes.next().await.is_some() });
    settle().await;
    let (_session, _client, _) = join(&config, None).await;
    assert!(reader.await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn readers_at_any_pace_see_the_same_sessions_in_the_end() {
    let mut random = seeded(3);
    for _ in 0..20 {
        let config = Arc::new(Config::default());
        let mut readers: Vec<(PresenceChanges, Vec<_>)> = Vec::new();
        let mut live = Vec::new();
        for _ in 0..40 {
            match random.usize(..4) {
                0 => live.push(join(&config, Some(["ann", "bob"][random.usize(..2)])).await),
                1 if !live.is_empty() => {
                    let (session, ..) = live.swap_remove(random.usize(..live.len()));
                    session.close(CloseCode::Normal);
                }
                2 if readers.len() < 4 => readers.push((config.sessions.changes(), Vec::new())),
                _ if !readers.is_empty() => {
                    let reader = random.usize(..readers.len());
                    read(&mut readers[reader], random.usize(..4));
                }
                _ => {}
            }
        }
        let mut expected: Vec<_> = live.iter().map(|(session, ..)| session.id()).collect();
        expected.sort();
        for reader in &mut readers {
            read(reader, usize::MAX);
            reader.1.sort();
            let seen: Vec<_> = reader.1.iter().map(|(id, _)| *id).collect();
            assert_eq!(seen, expected);
        }
    }
}

/// Reads some changes, and checks each against the sessions that the reader knows.
fn read(
    (changes, known): &mut (PresenceChanges, Vec<(stomp_session::SessionId, Principal)>),
    count: usize,
) {
    for _ in 0..count {
        let Some(change) = changes.next().now_or_never().flatten() else {
            return;
        };
        let presence = change.presence();
        let (id, principal) = (presence.session(), presence.principal().unwrap().clone());
        let before = known.len();
        known.retain(|(known, _)| *known != id);
        let others = known
            .iter()
            .filter(|(_, other)| *other == principal)
            .count();
        assert_eq!(presence.other_sessions(), others);
        let is_known = known.len() < before;
        assert_eq!(is_known, matches!(change, PresenceChange::Left(_)));
        if !is_known {
            known.push((id, principal));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_is_registered_before_its_service_is_called_with_connected_and_not_with_disconnect()
 {
    let config = Arc::new(Config::default());
    let seen = config.sessions.clone();
    let service = service_fn(move |request: Request| {
        let is_registered = seen.get(request.session().id()).is_some();
        let expected = !matches!(request.command(), Command::Connect | Command::Disconnect);
        assert_eq!(is_registered, expected, "{}", request.command());
        assert_eq!(request.session().sessions().len(), seen.len());
        std::future::ready(Answer::Ok(Response::Done))
    });
    let (_, mut client, connection) = run(config, service);
    client.connect(Version::V1_2).await;
    client.receipt(subscribe("0", "/a")).await;
    client.receipt(disconnect()).await;
    client.expect_end().await;
    finished(connection).await;
}

#[tokio::test(start_paused = true)]
async fn closed_waits_for_the_last_handler_and_for_the_connection() {
    let (session, mut requests, client, connection) = start_with_requests().await;
    let mut closed = Box::pin(session.closed());
    assert!(closed.as_mut().now_or_never().is_none());
    drop(client);
    let (request, last) = requests.next().await.unwrap();
    assert_eq!(request.command(), Command::Disconnect);
    settle().await;
    assert!(closed.as_mut().now_or_never().is_none());
    last.ok();
    closed.await;
    finished(connection).await;
    session.closed().await;
}

#[tokio::test(start_paused = true)]
async fn closed_completes_when_the_connection_is_dropped() {
    let (session, _client, connection) = start(Config::default(), accept).await;
    let waiting = [(); 3].map(|()| {
        let session = session.clone();
        tokio::spawn(async move { session.closed().await })
    });
    settle().await;
    connection.abort();
    for waiting in waiting {
        waiting.await.unwrap();
    }
    Request::new(Frame::new(Command::Send))
        .session()
        .closed()
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_one_unsubscribe_handler_does_not_stop_the_others() {
    let (log, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let service = service_fn(move |request: Request| {
        let destination = request.destination().as_str().to_owned();
        let said = log.send(format!("{} {destination}", request.command()));
        let must_panic = request.command() == Command::Unsubscribe && destination == "/b";
        async move {
            said?;
            assert!(!must_panic, "expected");
            Answer::Ok(Response::Done)
        }
    });
    let (_, mut client, connection) = run(Config::default(), service);
    client.connect(Version::V1_2).await;
    for (id, destination) in [("0", "/a"), ("1", "/b"), ("2", "/c")] {
        client.receipt(subscribe(id, destination)).await;
    }
    drop(client);
    finished(connection).await;
    let mut all = Vec::new();
    while let Some(said) = seen.recv().now_or_never().flatten() {
        all.push(said);
    }
    let ends = [
        "UNSUBSCRIBE /a",
        "UNSUBSCRIBE /b",
        "UNSUBSCRIBE /c",
        "DISCONNECT ",
    ];
    assert_eq!(all[all.len() - 4..], ends);
}

#[tokio::test(start_paused = true)]
async fn a_waker_that_panics_does_not_stop_the_end_of_a_session() {
    let (session, _client, connection) = start(Config::default(), accept).await;
    struct Panics;
    impl std::task::Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("expected");
        }
    }
    let waker = std::task::Waker::from(Arc::new(Panics));
    let mut closed = Box::pin(session.closed());
    let mut cx = std::task::Context::from_waker(&waker);
    assert!(closed.as_mut().poll(&mut cx).is_pending());
    connection.abort();
    assert!(connection.await.unwrap_err().is_cancelled());
    let _ = catch_unwind(AssertUnwindSafe(|| drop(closed)));
    session.closed().await;
}
