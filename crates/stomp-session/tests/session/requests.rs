//! Requests that the application takes one by one, and values that it stores in a session.

use crate::support::*;
use std::{future::ready, iter, sync::Arc};
use stomp_frame::Version;
use stomp_session::{ClientError, Config, Params, Pattern, Principal, Request, Response};
use tower::service_fn;

#[tokio::test(start_paused = true)]
async fn the_handle_can_accept_a_peer_before_connect_is_answered() {
    let (session, mut requests, connection, mut client) = pair(Config::default(), PIPE);
    tokio::spawn(connection);
    client.send(connect(Version::V1_2)).await;
    let (request, responder) = requests.next().await.unwrap();
    assert_eq!(request.command(), Command::Connect);
    session.connected([("server", "tea/1"), ("version", "9.9")]);
    session.connected([("server", "twice")]);
    let connected = client.expect(Command::Connected).await;
    assert_eq!(connected.headers.get("server"), Some("tea/1"));
    let headers = connected.headers.iter();
    assert_eq!(
        headers
            .filter(|(name, _)| *name == "version")
            .collect::<Vec<_>>(),
        [("version", "1.2")]
    );
    responder.ok();
    accept_next(&mut requests, Command::Connected).await;
    let receipt = client.request(send("/a", "")).await;
    requests.next().await.unwrap().1.ok();
    client.expect_receipt(&receipt).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_the_handle_accepted_stays_connected_if_connect_gets_no_answer() {
    let (session, mut requests, connection, mut client) = pair(Config::default(), PIPE);
    tokio::spawn(connection);
    tokio::spawn(async move {
        let (_request, responder) = requests.next().await.unwrap();
        session.connected([]);
        drop(responder);
        accept_next(&mut requests, Command::Connected).await;
        accept_next(&mut requests, Command::Send).await;
    });
    client.connect(Version::V1_2).await;
    client.receipt(send("/a", "")).await;
}

#[tokio::test(start_paused = true)]
async fn a_connect_handler_can_send_connected_before_its_answer() {
    let accept_early = |request: Request| {
        if request.command() == Command::Connect {
            request.session().connected([("server", "tea/1")]);
        }
        ready(Ok(Response::Done))
    };
    let (_, mut client, _) = run(Config::default(), service_fn(accept_early));
    let connected = client.connect(Version::V1_2).await;
    assert_eq!(connected.headers.get("server"), Some("tea/1"));
}

#[tokio::test(start_paused = true)]
async fn the_connect_handler_names_the_principal() {
    let name = |request: &Request| match request.command() {
        Command::Connect => Ok(Response::Connected(Principal::new("ann").into())),
        _ => Ok(Response::Done),
    };
    let (session, _client, _) = start(Config::default(), name).await;
    assert_eq!(session.principal(), Some(&Principal::new("ann")));
}

#[tokio::test(start_paused = true)]
async fn a_request_fails_if_its_responder_is_dropped() {
    let (_, mut requests, mut client, _) = start_with_requests().await;
    let receipt = client.request(send("/a", "")).await;
    drop(requests.next().await.unwrap());
    let error = client.expect_error("internal-error").await;
    assert_eq!(error.headers.get("receipt-id"), Some(&*receipt));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_requests_stream_closes_the_session_after_the_current_request() {
    let (_, mut requests, mut client, connection) = start_with_requests().await;
    let receipt = client.request(send("/a", "")).await;
    let (_, responder) = requests.next().await.unwrap();
    drop(requests);
    responder.ok();
    // A request that was taken before is still answered.
    client.expect_receipt(&receipt).await;
    client.expect_end().await;
    drop(client);
    finished(connection).await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_requests_stream_closes_an_idle_session_at_once() {
    let (_session, mut requests, connection, mut client) = pair(Config::default(), PIPE);
    tokio::spawn(connection);
    tokio::spawn(async move { requests.next().await.unwrap().1.ok() });
    client.connect(Version::V1_2).await;
    client.expect_end().await;
}

#[tokio::test(start_paused = true)]
async fn an_error_that_the_version_cannot_encode_is_sent_altered() {
    let fail = |request: Request| {
        ready(match request.command() {
            Command::Send => Err(ClientError::new("two\nlines", "And\na text.").into()),
            _ => Ok(Response::Done),
        })
    };
    let (_session, mut client, _) = run(Config::default(), service_fn(fail));
    client.connect(Version::V1_0).await;
    let error = client.expect_refusal(send("/a", ""), "two lines").await;
    assert_eq!(error.body, "And\na text.");
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_one_value_of_each_type() {
    let count = |request: &Request| {
        let count: u32 = request.session().get().unwrap_or_default();
        request.session().insert(count + 1);
        Ok(Response::Done)
    };
    let (session, mut client, _) = start(Config::default(), count).await;
    client.receipt(send("/a", "")).await;
    assert_eq!(session.get::<u32>(), Some(3), "CONNECT, CONNECTED and SEND");
    assert_eq!(session.clone().insert(7_u32), Some(3));
    assert_eq!(session.insert("another type"), None);
    client.receipt(send("/a", "")).await;
    assert_eq!(
        (session.get(), session.get()),
        (Some(8_u32), Some("another type"))
    );
    assert_eq!(session.get::<u8>(), None);

    let (other, _, _, _) = pair(Config::default(), PIPE);
    assert_eq!(other.get::<u32>(), None);
}

#[tokio::test(start_paused = true)]
async fn the_values_of_a_session_are_dropped_when_it_ends() {
    let (session, mut client, connection) =
        run(Config::default(), service_fn(|_| ready(Ok(Response::Done))));
    let kept = Arc::new(());
    // A value may even hold its own session.
    session.insert((session.clone(), Arc::clone(&kept)));
    client.connect(Version::V1_2).await;
    assert_eq!(Arc::strong_count(&kept), 2);
    drop(client);
    finished(connection).await;
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn a_request_can_be_rewritten_and_turned_into_its_frame() {
    let frame = send("/old", "body")
        .with_header("content-length", "4")
        .with_header("receipt", "1");
    let mut request = Request::new(frame);
    assert_eq!(request.destination().as_str(), "/old");
    request.headers_mut().append("unit", "kg");
    request.headers_mut().insert("destination", "/forged");
    assert_eq!(request.destination().as_str(), "/old");

    let new = request.parse_destination("/new").unwrap();
    let request = request.with_destination(new).with_body("another body");
    assert_eq!(request.destination().as_str(), "/new");
    assert_eq!(request.headers().get("destination"), Some("/new"));
    assert_eq!(request.headers().get("receipt"), Some("1"));

    let mut forged = request;
    forged.headers_mut().insert("destination", "/forged");
    let frame = forged.into_frame();
    assert_eq!(frame.body, "another body");
    let headers: Vec<_> = frame.headers.iter().collect();
    assert_eq!(
        headers,
        [("destination", "/new"), ("receipt", "1"), ("unit", "kg")]
    );
    assert!(frame.to_bytes(Version::V1_2).is_ok());

    let mut removed = Request::new(send("/a", ""));
    removed.headers_mut().remove("destination");
    let headers = removed.into_frame().headers;
    assert_eq!(headers.get("destination"), Some("/a"));
    let headers = Request::new(disconnect()).into_frame().headers;
    assert!(headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_send_recalls_the_route_of_the_send_before_it_to_the_same_destination() {
    let (_session, mut requests, mut client, _) = start_with_requests().await;
    let pattern = Arc::new(Pattern::new("/{name}", vec!["name".into()], 0));
    // The session makes new memory for a destination while the application keeps requests, and otherwise reuses it.
    for is_kept in [false, true] {
        let mut kept = Vec::new();
        for (frame, is_recalled) in [
            (send("/a", ""), false),
            (send("/a", ""), true),
            (send("/b", ""), false),
            (send("/b", ""), true),
            (send("/a", ""), false),
            (send("/c", ""), false),
        ] {
            client.send(frame).await;
            let (mut request, responder) = requests.next().await.unwrap();
            assert_eq!(request.recall_params(|_| true), is_recalled);
            if !is_recalled {
                request.set_params(Params::new(Arc::clone(&pattern), iter::once(1..2)));
            }
            kept.extend(Some(request).filter(|_| is_kept));
            responder.ok();
        }
        for request in kept {
            let destination = request.destination();
            assert_eq!(
                request.headers().get("destination"),
                Some(destination.as_str())
            );
            let name = request.params().get(destination, "name");
            assert_eq!(name, destination.as_str().get(1..));
        }
    }
    client.send(subscribe("1", "/c")).await;
    let (mut request, _responder) = requests.next().await.unwrap();
    assert!(!request.recall_params(|_| true));
}
