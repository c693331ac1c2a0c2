//! Tests of the staging area of a transaction: effects, slots and futures that services add.

use crate::support::*;
use std::{
    future::ready,
    sync::{Arc, Mutex},
};
use stomp_session::{BoxError, Config, Request, Response, Staging};
use stomp_testing::{Client, Received};

/// Commits a transaction with these messages, and returns its receipt or `ERROR`.
async fn commit(client: &mut Client, bodies: &[&str]) -> Frame {
    client.send(transaction(Command::Begin, "t")).await;
    for body in bodies {
        let send = send("/a", body).with_header("transaction", "t");
        client.send(send).await;
    }
    let commit = transaction(Command::Commit, "t");
    client.send(commit.with_header("receipt", "r")).await;
    match client.receive().await {
        Received::Frame(frame) => frame,
        other => panic!("received {other:?}"),
    }
}

/// Calls `stage` for each `SEND` of a transaction.
fn staging(
    stage: impl Fn(&Request, &Staging) + Send + 'static,
) -> impl Fn(&Request) -> Answer + Send {
    move |request| {
        if let Some(staging) = request.transaction() {
            stage(request, staging);
        }
        Ok(Response::Done)
    }
}

#[tokio::test(start_paused = true)]
async fn the_handlers_of_a_transaction_share_a_value_and_commit_it_once() {
    type Bodies = Mutex<Vec<String>>;
    let written = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&written);
    let service = staging(move |request, staging| {
        let bodies = staging.get_or_insert_with(|| {
            let (own, log) = (staging.clone(), Arc::clone(&log));
            staging.on_commit(move || {
                let bodies = own.get_or_insert_with(Bodies::default);
                log.lock().unwrap().push(bodies.lock().unwrap().join(" "));
                ready(Ok(()))
            });
            Bodies::default()
        });
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        bodies.lock().unwrap().push(body);
    });
    let (_session, mut client, _) = start(Config::default(), service).await;
    for _ in 0..2 {
        let answer = commit(&mut client, &["a", "b", "c"]).await;
        assert_eq!(answer.command, Command::Receipt);
    }
    assert_eq!(*written.lock().unwrap(), ["a b c", "a b c"]);
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_panics_refuses_the_transaction() {
    let service = staging(|request, staging| {
        let is_added = match &request.body()[..] {
            b"closure" => staging.on_commit(|| -> std::future::Ready<_> { panic!("planned") }),
            b"future" => staging.on_commit(|| async { panic!("planned") }),
            _ => staging.on_commit(|| {
                let held = PanicOnDrop;
                async move {
                    drop(held);
                    Ok(())
                }
            }),
        };
        assert!(is_added);
    });
    let (_session, mut client, _) = start(Config::default(), service).await;
    for body in ["closure", "future", "destructor"] {
        let error = commit(&mut client, &[body, "never run"]).await;
        assert_eq!(error.headers.get("message"), Some("engine-unavailable"));
        assert_eq!(error.headers.get("receipt-id"), Some("r"));
    }
}

struct PanicOnDrop;

impl Drop for PanicOnDrop {
    fn drop(&mut self) {
        panic!("planned");
    }
}

#[tokio::test(start_paused = true)]
async fn everything_of_a_transaction_is_dropped_with_the_connection() {
    let held = Arc::new(());
    let kept = Arc::clone(&held);
    let service = staging(move |_, staging| {
        let parts = (staging.clone(), Arc::clone(&kept));
        staging.stage(move || drop(parts));
        // A staging area may even be part of its own content.
        staging.get_or_insert_with(|| (staging.clone(), Arc::clone(&kept)));
        let parts = (staging.clone(), Arc::clone(&kept));
        staging.on_commit(move || async move {
            let _parts = parts;
            std::future::pending::<Result<(), BoxError>>().await
        });
    });
    let (_session, mut client, connection) = start(Config::default(), service).await;
    client.send(transaction(Command::Begin, "t")).await;
    let send = send("/a", "").with_header("transaction", "t");
    client.send(send).await;
    client.send(transaction(Command::Commit, "t")).await;
    settle().await;
    assert_eq!(Arc::strong_count(&held), 5);
    connection.abort();
    settle().await;
    assert_eq!(Arc::strong_count(&held), 1);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_added_to_a_transaction_that_has_ended() {
    let last = Arc::new(Mutex::new(None));
    let kept = Arc::clone(&last);
    let service = staging(move |_, staging| *kept.lock().unwrap() = Some(staging.clone()));
    let (_session, mut client, _) = start(Config::default(), service).await;
    assert_eq!(commit(&mut client, &["a"]).await.command, Command::Receipt);
    let staging = last.lock().unwrap().take().unwrap();
    let held = Arc::new(());
    let parts = [(); 2].map(|()| Arc::clone(&held));
    let [effect, future] = parts;
    staging.stage(move || drop(effect));
    let is_added = staging.on_commit(move || {
        drop(future);
        ready(Ok(()))
    });
    assert!(!is_added);
    assert_eq!(*staging.get_or_insert_with(|| 1_u8), 1);
    assert_eq!(*staging.get_or_insert_with(|| 2_u8), 2);
    assert_eq!(Arc::strong_count(&held), 1);
}
