//! Errors that the application sends through a session's handle, and sessions that it closes.

use crate::support::*;
use std::sync::{Arc, Mutex};
use stomp_session::{
    AppErrors, BacklogConfig, ClientError, CloseCode, Config, DisconnectReason, Request, Response,
};

#[tokio::test(start_paused = true)]
async fn an_error_sent_through_the_handle_leaves_the_session_open() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    session
        .error(ClientError::new("going-down", "In five minutes."))
        .unwrap();
    let error = client.expect_error("going-down").await;
    assert_eq!(error.headers.get("receipt-id"), None);
    assert_eq!(error.headers.get("subscription"), None);
    assert_eq!(error.body, "In five minutes.");
    client.receipt(send("/a", "")).await;
}

#[tokio::test(start_paused = true)]
async fn an_error_sent_through_the_handle_closes_the_session_if_app_errors_close() {
    let mut config = Config::default();
    config.app_errors = AppErrors::Close;
    let (session, mut client, connection) = start(config, accept).await;
    session
        .error(ClientError::new("going-down", "Now."))
        .unwrap();
    client.expect_error("going-down").await;
    client.expect_end().await;
    drop(client);
    finished(connection).await;
}

#[tokio::test(start_paused = true)]
async fn everything_that_was_sent_before_a_close_arrives() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reasons);
    let note = move |request: &Request| {
        seen.lock().unwrap().extend(request.reason());
        Ok(Response::Done)
    };
    let (session, mut client, connection) = start(Config::default(), note).await;
    client.receipt(subscribe("0", "/a")).await;
    for number in 0..100 {
        session.message("/a", number.to_string()).unwrap();
    }
    session
        .error(ClientError::new("going-down", "Now."))
        .unwrap();
    session.close(CloseCode::Away);
    for number in 0..100 {
        client.expect_message_for("0", &number.to_string()).await;
    }
    client.expect_error("going-down").await;
    client.expect_end().await;
    assert!(is_not_subscribed(session.message("/a", "too late")));
    drop(client);
    finished(connection).await;
    assert!(session.is_closed());
    assert_eq!(*reasons.lock().unwrap(), [DisconnectReason::Server]);
}

#[tokio::test(start_paused = true)]
async fn a_session_carries_out_the_calls_of_its_handle_in_order() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.receipt(subscribe("0", "/a")).await;
    session
        .error(ClientError::new("first", "An error."))
        .unwrap();
    session.message("/a", "second").unwrap();
    session.close(CloseCode::Away);
    session
        .error(ClientError::new("too-late", "An error."))
        .unwrap();
    assert!(is_not_subscribed(session.message("/a", "too late")));
    client.expect_error("first").await;
    client.expect_message_for("0", "second").await;
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_close_overtakes_messages_for_which_the_outbound_buffer_has_no_room() {
    let config = Config::default()
        .max_outbound_bytes(16 << 10)
        .backlog(BacklogConfig::default().max_messages(1_000));
    let (session, mut client, connection) = start(config, accept).await;
    client.receipt(subscribe("0", "/a")).await;
    for _ in 0..200 {
        session.message("/a", "x".repeat(1_000)).unwrap();
    }
    session
        .error(ClientError::new("going-down", "Now."))
        .unwrap();
    session.close(CloseCode::Away);
    settle().await;
    let mut messages = 0;
    let error = loop {
        let frame = client.next_frame().await.unwrap();
        if frame.command == Command::Error {
            break frame;
        }
        messages += 1;
    };
    assert!((10..20).contains(&messages), "{messages}");
    assert_eq!(error.body, "Now.");
    client.expect_end().await;
    drop(client);
    finished(connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_session_that_closes_before_connect_makes_no_disconnect_request() {
    for is_error in [false, true] {
        let (session, mut requests, connection, mut client) = pair(Config::default(), PIPE);
        let connection = tokio::spawn(connection);
        if is_error {
            session
                .error(ClientError::new("full", "Come back later."))
                .unwrap();
            client.expect_error("full").await;
        } else {
            session.close(CloseCode::Away);
        }
        client.expect_end().await;
        drop(client);
        finished(connection).await;
        assert!(requests.next().await.is_none(), "error: {is_error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_being_handled_completes_after_a_close() {
    let (session, mut requests, mut client, connection) = start_with_requests().await;
    client.request(subscribe("0", "/a")).await;
    let (_, responder) = requests.next().await.unwrap();
    session.close(CloseCode::Away);
    client.expect_end().await;

    let (stream, held) = open_stream(&["too late"]);
    responder.respond(Response::observe(stream));
    accept_next(&mut requests, Command::Unsubscribe).await;
    let (request, responder) = requests.next().await.unwrap();
    assert_eq!(request.reason(), Some(DisconnectReason::Server));
    responder.ok();
    finished(connection).await;
    assert!(is_dropped(&held));
    assert!(requests.next().await.is_none());
}
