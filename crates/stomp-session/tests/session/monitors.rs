//! Monitors: the frames, requests and ends that they see.

use crate::support::*;
use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};
use stomp_session::{
    ClientError, CloseCode, Config, HandledRequest, Monitor, OutgoingFrame, Params, Pattern,
    Request, Response, Session, SessionEnd, Transfer,
};

/// Notes all calls, and adds up the bytes.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<(Vec<String>, Transfer)>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().unwrap().0.push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().0)
    }
}

impl Monitor for Notes {
    fn opened(&self, _: &Session) {
        self.add("opened".to_owned());
    }

    fn received(&self, _: &Session, frame: &Frame) {
        self.add(format!("received {}", frame.command));
    }

    fn handled(&self, _: &Session, request: &HandledRequest<'_>) {
        let outcome = request.outcome.as_str();
        let elapsed = request.elapsed;
        self.add(format!("handled {} {outcome} {elapsed:?}", request.command));
    }

    fn sent(&self, session: &Session, frame: OutgoingFrame<'_>) {
        // A handle may be used inside: no lock is held.
        assert!(session.get::<u8>().is_none());
        let note = match frame {
            OutgoingFrame::Frame(frame) => {
                let code = frame.headers.get("message").unwrap_or_default();
                format!("sent {} {code}", frame.command)
            }
            OutgoingFrame::Receipt { id, .. } => format!("sent RECEIPT {id}"),
            OutgoingFrame::Message { message, .. } => {
                format!("sent MESSAGE {:?}", message.body())
            }
            other => format!("sent {other:?}"),
        };
        self.add(note);
    }

    fn transferred(&self, _: &Session, transfer: &Transfer) {
        let sum = &mut self.0.lock().unwrap().1;
        sum.received_bytes += transfer.received_bytes;
        sum.sent_bytes += transfer.sent_bytes;
        sum.unsent_bytes += transfer.unsent_bytes;
    }

    fn ended(&self, _: &Session, end: &SessionEnd) {
        self.add(format!(
            "ended {} {:?} {:?} {} {}/{} frames",
            end.reason.as_str(),
            end.error_code,
            end.close_code.map(CloseCode::as_u16),
            end.was_connected,
            end.received_frames,
            end.sent_frames,
        ));
        let sum = self.0.lock().unwrap().1;
        assert_eq!(sum.received_bytes, end.received_bytes);
        assert_eq!(sum.sent_bytes, end.sent_bytes);
        assert_eq!(sum.unsent_bytes, 0, "nothing waits at the end");
    }
}

fn answer(request: &Request) -> Answer {
    match request.destination().as_str() {
        "/refused" => Err(ClientError::new("no", "No.").into()),
        "/panic" => panic!("boom"),
        "/reply" => {
            request.session().message("/replies", "reply").unwrap();
            Ok(Response::Done)
        }
        _ => Ok(Response::Done),
    }
}

#[tokio::test(start_paused = true)]
async fn a_monitor_sees_all_frames_in_both_directions_and_the_outcome_of_each_request() {
    let notes = Notes::default();
    let config = Config::default().monitor(notes.clone());
    let (_session, mut client, connection) = start(config, answer).await;
    client.receipt(subscribe("0", "/replies")).await;
    assert_eq!(
        notes.take(),
        [
            "received CONNECT",
            "handled CONNECT ok 0ns",
            "sent CONNECTED ",
            "opened",
            "handled CONNECTED ok 0ns",
            "received SUBSCRIBE",
            "handled SUBSCRIBE ok 0ns",
            "sent RECEIPT receipt-1",
        ]
    );
    client.send(send("/reply", "")).await;
    client.expect_message("reply").await;
    client.expect_refusal(send("/refused", ""), "no").await;
    client
        .expect_refusal(send("/panic", ""), "internal-error")
        .await;
    assert_eq!(
        notes.take(),
        [
            "received SEND",
            "sent MESSAGE b\"reply\"",
            "handled SEND ok 0ns",
            "received SEND",
            "handled SEND refused 0ns",
            "sent ERROR no",
            "received SEND",
            "handled SEND panic 0ns",
            "sent ERROR internal-error",
        ]
    );
    client.send_bytes("NONSENSE\n\n\0").await;
    client.expect_error("malformed-frame").await;
    client.expect_end().await;
    finished(connection).await;
    assert_eq!(
        notes.take(),
        [
            "sent ERROR malformed-frame",
            "handled UNSUBSCRIBE ok 0ns",
            "handled DISCONNECT ok 0ns",
            "ended fault Some(\"malformed-frame\") Some(1002) true 5/6 frames",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_monitor_sees_requests_that_take_too_long_or_are_given_up() {
    let notes = Notes::default();
    let config = Config::default()
        .handler_timeout(Duration::from_secs(7))
        .monitor(notes.clone());
    let service = tower::service_fn(async |request: Request| {
        if request.command() == Command::Send {
            std::future::pending::<()>().await;
        }
        Answer::Ok(Response::Done)
    });
    let (_session, mut client, connection) = run(config, service);
    client.connect(stomp_frame::Version::V1_2).await;
    client.expect_refusal(send("/a", ""), "timeout").await;
    client.send(send("/b", "")).await;
    settle().await;
    connection.abort();
    assert!(connection.await.unwrap_err().is_cancelled());
    let notes = notes.take();
    assert_eq!(
        notes[6..],
        [
            "handled SEND timeout 7s",
            "sent ERROR timeout",
            "received SEND",
            "handled SEND cancelled 0ns",
            "ended server None None true 3/2 frames",
        ],
        "{notes:#?}"
    );
}

/// A service that is ready this many times, and says that it has found a route.
struct ReadyTimes(u8);

impl tower::Service<Request> for ReadyTimes {
    type Response = Response;
    type Error = stomp_session::BoxError;
    type Future = std::future::Ready<Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if self.0 == 0 {
            return Poll::Pending;
        }
        self.0 -= 1;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let pattern = Pattern::new("/{name}", Vec::new(), 0);
        request.set_params(Params::new(Arc::new(pattern), Vec::new()));
        std::future::ready(Ok(Response::Done))
    }
}

/// Notes the route and the outcome of each request.
#[derive(Clone, Default)]
struct Routes(Arc<Mutex<Vec<(String, &'static str)>>>);

impl Monitor for Routes {
    fn handled(&self, _: &Session, request: &HandledRequest<'_>) {
        let route = request.route.map_or("", |route| route.text());
        let outcome = request.outcome.as_str();
        self.0.lock().unwrap().push((route.to_owned(), outcome));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_for_which_no_service_was_ready_has_not_the_route_of_the_one_before() {
    let routes = Routes::default();
    let config = Config::default().monitor(routes.clone());
    let (_session, mut client, _) = run(config, ReadyTimes(3));
    client.connect(stomp_frame::Version::V1_2).await;
    client.receipt(send("/a", "")).await;
    client.send(send("/b", "")).await;
    client.expect_nothing_for(Duration::from_secs(59)).await;
    client.expect_error("overloaded").await;
    // The first two are CONNECT and CONNECTED.
    let routes = routes.0.lock().unwrap()[2..].to_vec();
    let expected = [("/{name}".to_owned(), "ok"), (String::new(), "overloaded")];
    assert_eq!(routes, expected);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_never_sends_connect_only_ends() {
    let notes = Notes::default();
    let config = Config::default().monitor(notes.clone());
    let (_session, client, connection) = run(
        config,
        tower::service_fn(async |_| Answer::Ok(Response::Done)),
    );
    drop(client);
    finished(connection).await;
    assert_eq!(
        notes.take(),
        ["ended closed None Some(1000) false 0/0 frames"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_nothing_ends_with_the_code_write_timeout() {
    let notes = Notes::default();
    let config = Config::default().monitor(notes.clone());
    let (session, mut client, connection) = start(config, accept).await;
    client.receipt(subscribe("0", "/a")).await;
    for _ in 0..100 {
        session.message("/a", "x".repeat(2_000)).unwrap();
    }
    finished(connection).await;
    let last = notes.take().pop().unwrap();
    assert!(
        last.starts_with("ended timeout Some(\"write-timeout\") Some(1008) true"),
        "{last}"
    );
}

struct Panicking;

impl Monitor for Panicking {
    fn opened(&self, _: &Session) {
        panic!("opened");
    }

    fn received(&self, _: &Session, _: &Frame) {
        panic!("received");
    }

    fn sent(&self, _: &Session, _: OutgoingFrame<'_>) {
        panic!("sent");
    }

    fn ended(&self, _: &Session, _: &SessionEnd) {
        panic!("ended");
    }
}

#[tokio::test(start_paused = true)]
async fn a_monitor_that_panics_harms_neither_the_session_nor_other_monitors() {
    let notes = Notes::default();
    let config = Config::default().monitor(Panicking).monitor(notes.clone());
    let (_session, mut client, connection) = start(config, accept).await;
    client.receipt(send("/a", "")).await;
    client.receipt(disconnect()).await;
    client.expect_end().await;
    finished(connection).await;
    let notes = notes.take();
    assert_eq!(
        notes.last().unwrap(),
        "ended requested None Some(1000) true 3/3 frames"
    );
}
