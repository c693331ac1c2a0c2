//! What an application does through a session's handle and through streams, as the peer sees it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{SinkExt, StreamExt, stream};
use std::{
    future::ready,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_session::{
    AppErrors, BoxError, ClientError, Config, Connection, Delivery, DisconnectReason,
    MailboxConfig, Message, MessageStream, NotSubscribed, Peer, Principal, Request, Requests,
    Response, Session, Settlement, Topic,
};
use stomp_socket::{CloseCode, Inbound, Outbound, Socket};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

/// The peer.
struct Client(Socket);

impl Client {
    async fn send(&mut self, frame: Frame) {
        self.0.send(Outbound::Frame(frame)).await.unwrap();
    }

    /// The next frame; `None` at the end.
    async fn next(&mut self) -> Option<Frame> {
        match timeout(Duration::from_secs(100), self.0.next())
            .await
            .expect("a frame, or the end")
        {
            Some(Inbound::Frame(frame)) => Some(frame),
            Some(Inbound::End(_)) | None => None,
            other => panic!("{other:?}"),
        }
    }

    async fn gets(&mut self, command: Command) -> Frame {
        let frame = self
            .next()
            .await
            .unwrap_or_else(|| panic!("the end, and no {command}"));
        assert_eq!(frame.command, command, "{frame:?} {:?}", frame.body);
        frame
    }

    async fn gets_message(&mut self, subscription: &str, body: &str) {
        let message = self.gets(Command::Message).await;
        assert_eq!(message.headers.get("subscription"), Some(subscription));
        assert_eq!(message.body, body);
    }

    async fn gets_end(&mut self) {
        assert_eq!(self.next().await, None);
    }

    /// Sends a frame and gets its receipt, and nothing before it.
    async fn asks(&mut self, frame: Frame) {
        self.send(frame.with_header("receipt", "7")).await;
        assert_eq!(
            self.gets(Command::Receipt).await.headers.get("receipt-id"),
            Some("7")
        );
    }

    async fn subscribes(&mut self, id: &str, destination: &str) {
        self.asks(subscribe(id, destination)).await;
    }
}

fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe)
        .with_header("id", id)
        .with_header("destination", destination)
}

fn unsubscribe(id: &str) -> Frame {
    Frame::new(Command::Unsubscribe).with_header("id", id)
}

fn send(destination: &str) -> Frame {
    Frame::new(Command::Send).with_header("destination", destination)
}

fn connect() -> Frame {
    Frame::new(Command::Connect).with_header("accept-version", "1.2")
}

/// A session and its peer, with so many bytes of room between them.
fn pair(config: Config, bytes: usize) -> (Session, Requests, Connection, Client) {
    let (ours, theirs) = tokio::io::duplex(bytes);
    let (session, requests, connection) = Session::new(
        Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
        config,
    );
    let mut client = Socket::over_byte_stream(theirs, Peer::default(), &Default::default());
    client.resume(Version::V1_2, Limits::default());
    (session, requests, connection, Client(client))
}

type Answer = Result<Response, BoxError>;

fn accept(_: &Request) -> Answer {
    Ok(Response::Done)
}

/// A connected peer of a session that runs `handler`.
async fn start(
    config: Config,
    handler: impl Fn(&Request) -> Answer + Send + 'static,
) -> (Session, Client, JoinHandle<()>) {
    let (session, _, connection, mut client) = pair(config, 64 << 10);
    let service = tower::service_fn(move |request| ready(handler(&request)));
    let connection = tokio::spawn(connection.run(service));
    client.send(connect()).await;
    client.gets(Command::Connected).await;
    client.0.resume(Version::V1_2, Limits::default());
    (session, client, connection)
}

/// A connected peer of a session whose requests are handed out.
async fn start_asking() -> (Session, Requests, Client, JoinHandle<()>) {
    let (session, mut requests, connection, mut client) = pair(Config::default(), 1024);
    let connection = tokio::spawn(connection);
    client.send(connect()).await;
    requests.next().await.unwrap().1.ok();
    client.gets(Command::Connected).await;
    client.0.resume(Version::V1_2, Limits::default());
    (session, requests, client, connection)
}

async fn ends(connection: JoinHandle<()>) {
    timeout(Duration::from_secs(100), connection)
        .await
        .expect("the connection ends")
        .unwrap();
}

/// A stream that gives these and goes on, and a pointer that tells when it is dropped.
fn open_stream(
    texts: &[&'static str],
) -> (impl futures_core::Stream<Item = Message> + use<>, Arc<()>) {
    let (pointer, texts) = (Arc::new(()), texts.to_vec());
    let held = Arc::clone(&pointer);
    let stream = stream::iter(texts)
        .chain(stream::pending())
        .map(move |text| {
            let _held = &held;
            Message::new(text)
        });
    (stream, pointer)
}

fn is_dropped(pointer: &Arc<()>) -> bool {
    Arc::strong_count(pointer) == 1
}

fn is_not_subscribed(result: Result<(), BoxError>) -> bool {
    result.is_err_and(|error| error.is::<NotSubscribed>())
}

#[tokio::test(start_paused = true)]
async fn a_message_tells_where_it_was_sent_to() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.subscribes("0", "/stocks/*").await;
    client
        .asks(subscribe("1", "/stocks/*").with_header("ack", "client"))
        .await;
    let sent_to = |destination: &str| {
        Message::new("7")
            .with_destination(destination.to_owned())
            .with_header("a", "b")
    };
    for destination in ["/stocks/abc", "/stocks/*", "/stocks/\nabc"] {
        session.message("/stocks/*", sent_to(destination)).unwrap();
    }
    let mut told = [const { Vec::new() }; 2];
    for _ in 0..6 {
        let message = client.gets(Command::Message).await;
        let subscription: usize = message
            .headers
            .get("subscription")
            .unwrap()
            .parse()
            .unwrap();
        told[subscription].push(message.headers.get("destination").unwrap().to_owned());
        assert_eq!(message.headers.contains("ack"), subscription == 1);
        assert_eq!(message.headers.get("a"), Some("b"));
    }
    assert_eq!(
        told[0],
        ["/stocks/abc", "/stocks/*", "/stocks/*"],
        "what cannot be expressed is not told"
    );
    assert_eq!(told[1], told[0]);
}

#[tokio::test(start_paused = true)]
async fn a_delivery_may_be_settled_without_a_session() {
    let settled = Arc::new(Mutex::new(Vec::new()));
    let delivery = || {
        let settled = Arc::clone(&settled);
        Delivery::new(Message::new("7"))
            .on_settled(move |settlement| settled.lock().unwrap().push(settlement))
    };
    delivery().settle(Settlement::Nacked);
    let again = delivery().with_redelivered();
    assert!(again.is_redelivered() && !delivery().is_redelivered());
    again.settle(Settlement::Acked);
    assert_eq!(
        *settled.lock().unwrap(),
        [Settlement::Nacked, Settlement::Unsent, Settlement::Acked]
    );
}

#[tokio::test(start_paused = true)]
async fn a_message_reaches_the_peers_own_subscriptions() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    for (id, destination) in [("0", "/a"), ("1", "/b"), ("2", "/a")] {
        client.subscribes(id, destination).await;
    }
    session.message("/b", "one").unwrap();
    session
        .message("/a", Message::new("two").with_header("colour", "red"))
        .unwrap();
    let message = client.gets(Command::Message).await;
    assert_eq!(message.headers.get("subscription"), Some("1"));
    assert_eq!(message.headers.get("destination"), Some("/b"));
    assert_eq!(message.headers.get("content-type"), Some("text/plain"));
    assert_eq!(message.body, "one");
    let (first, second) = (
        client.gets(Command::Message).await,
        client.gets(Command::Message).await,
    );
    for (message, subscription) in [(&first, "0"), (&second, "2")] {
        assert_eq!(message.headers.get("subscription"), Some(subscription));
        assert_eq!(message.headers.get("colour"), Some("red"));
        assert_eq!(message.body, "two");
    }
    assert!(
        first
            .headers
            .get("message-id")
            .is_some_and(|id| !id.is_empty())
    );
}

#[tokio::test(start_paused = true)]
async fn without_a_subscription_there_is_no_message() {
    let (session, mut client, connection) = start(Config::default(), accept).await;
    assert!(is_not_subscribed(session.message("/a", "too early")));
    client.subscribes("0", "/a").await;
    assert!(is_not_subscribed(session.message("/b", "elsewhere")));
    assert!(session.observe("/b", stream::empty::<Message>()).is_err());
    session.message("/a", "in time").unwrap();
    client.gets_message("0", "in time").await;
    client.asks(unsubscribe("0")).await;
    assert!(is_not_subscribed(session.message("/a", "too late")));

    client.subscribes("0", "/a").await;
    client.asks(Frame::new(Command::Disconnect)).await;
    client.gets_end().await;
    assert!(is_not_subscribed(session.message("/a", "too late")));
    drop(client);
    ends(connection).await;
    assert!(session.is_closed());
    assert!(is_not_subscribed(session.message("/a", "too late")));
    assert!(session.observe("/a", stream::empty::<Message>()).is_err());
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_is_none() {
    let refuse = |request: &Request| match request.command() {
        Command::Subscribe => Err(ClientError::new("forbidden", "Not for you.").into()),
        _ => Ok(Response::Done),
    };
    let (session, mut client, _) = start(Config::default(), refuse).await;
    client.send(subscribe("0", "/a")).await;
    assert_eq!(
        client
            .gets(Command::Error)
            .await
            .headers
            .get("subscription"),
        Some("0")
    );
    assert!(is_not_subscribed(session.message("/a", "never")));
    client.asks(unsubscribe("0")).await;
}

#[tokio::test(start_paused = true)]
async fn what_is_sent_to_a_subscription_waits_until_it_is_agreed_to() {
    let greet = |request: &Request| match request.command() {
        Command::Subscribe => {
            request
                .session()
                .message(request.destination(), "welcome")?;
            match request.headers().get("id") {
                Some("0") => Err(ClientError::new("forbidden", "Not for you.").into()),
                _ => Ok(Response::Done),
            }
        }
        _ => Ok(Response::Done),
    };
    let (_session, mut client, _) = start(Config::default(), greet).await;
    client.send(subscribe("0", "/a")).await;
    client.gets(Command::Error).await;
    client.subscribes("1", "/a").await;
    client.gets_message("1", "welcome").await;
    client.asks(send("/b")).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_sent_until_it_is_unhooked() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.subscribes("0", "/a").await;
    let topic = Topic::new();
    let observed = session.observe("/a", topic.subscribe()).unwrap();
    topic.publish("one").unwrap();
    client.gets_message("0", "one").await;

    observed.unhook();
    client.asks(send("/b")).await;
    assert_eq!(topic.subscribers(), 0, "the stream is dropped");
    topic.publish("two").unwrap();
    session
        .message("/a", "the subscription is still there")
        .unwrap();
    client
        .gets_message("0", "the subscription is still there")
        .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_when_nobody_holds_on_to_it() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.subscribes("0", "/a").await;
    let topic = Topic::new();
    drop(session.observe("/a", topic.subscribe()).unwrap());
    drop(session);
    client.asks(send("/b")).await;
    topic.publish("one").unwrap();
    client.gets_message("0", "one").await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_dropped_with_its_subscription() {
    let (session, mut client, connection) = start(Config::default(), accept).await;
    client.subscribes("0", "/a").await;
    let (stream, pointer) = open_stream(&["one"]);
    let _observed = session.observe("/a", stream).unwrap();
    client.gets_message("0", "one").await;
    assert!(!is_dropped(&pointer));
    client.asks(unsubscribe("0")).await;
    assert!(is_dropped(&pointer));

    client.subscribes("0", "/a").await;
    let (stream, pointer) = open_stream(&["two"]);
    let _observed = session.observe("/a", stream).unwrap();
    client.gets_message("0", "two").await;
    drop(client);
    ends(connection).await;
    assert!(is_dropped(&pointer));
}

/// Gives the stream to the first `SUBSCRIBE` by the session's handle, before it is answered with `answer`.
fn observing(
    stream: impl futures_core::Stream<Item = Message> + Send + 'static,
    answer: impl Fn() -> Answer + Send,
) -> impl Fn(&Request) -> Answer + Send {
    let stream = Mutex::new(Some(stream));
    move |request| match request.command() {
        Command::Subscribe => {
            let stream = stream.lock().unwrap().take().unwrap();
            drop(request.session().observe(request.destination(), stream)?);
            answer()
        }
        _ => Ok(Response::Done),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_given_to_a_subscription_that_is_refused_is_dropped() {
    let (stream, pointer) = open_stream(&[]);
    let refused = || Err(ClientError::new("forbidden", "Not for you.").into());
    let (_session, mut client, _) = start(Config::default(), observing(stream, refused)).await;
    client.send(subscribe("0", "/a")).await;
    client.gets(Command::Error).await;
    client.asks(send("/b")).await;
    assert!(is_dropped(&pointer));
}

#[tokio::test(start_paused = true)]
async fn a_stream_given_to_a_subscription_that_ends_at_once_is_dropped() {
    let (stream, pointer) = open_stream(&[]);
    let (_session, mut client, _) =
        start(Config::default(), observing(stream, || Ok(Response::Done))).await;
    client
        .0
        .put(&Outbound::Frame(subscribe("0", "/a")))
        .unwrap();
    client.0.put(&Outbound::Frame(unsubscribe("0"))).unwrap();
    client.asks(send("/b")).await;
    client.asks(send("/b")).await;
    assert!(is_dropped(&pointer));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_too_late_for_its_subscription_is_dropped() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.subscribes("0", "/a").await;
    client.subscribes("1", "/b").await;
    let topic = Topic::new();
    let (late, pointer) = open_stream(&[]);
    let (mut late, handle) = (Some(late), session.clone());
    // This is polled before UNSUBSCRIBE is read, and what it wants is done after.
    let acting = topic
        .subscribe()
        .inspect(move |_| drop(handle.observe("/a", late.take().unwrap()).unwrap()));
    let _observed = session.observe("/b", acting).unwrap();
    client.asks(send("/c")).await;

    topic.publish("now").unwrap();
    client
        .send(unsubscribe("0").with_header("receipt", "7"))
        .await;
    client.gets_message("1", "now").await;
    client.gets(Command::Receipt).await;
    client.asks(send("/c")).await;
    assert!(is_dropped(&pointer));
}

#[tokio::test(start_paused = true)]
async fn an_error_is_told_and_the_session_goes_on() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    session.error(ClientError::new("going-down", "In five minutes."));
    let error = client.gets(Command::Error).await;
    assert_eq!(error.headers.get("message"), Some("going-down"));
    assert_eq!(
        (
            error.headers.get("receipt-id"),
            error.headers.get("subscription")
        ),
        (None, None)
    );
    assert_eq!(error.body, "In five minutes.");
    client.asks(send("/a")).await;
}

#[tokio::test(start_paused = true)]
async fn or_the_session_ends_where_errors_close() {
    let mut config = Config::default();
    config.app_errors = AppErrors::Close;
    let (session, mut client, connection) = start(config, accept).await;
    session.error(ClientError::new("going-down", "Now."));
    client.gets(Command::Error).await;
    client.gets_end().await;
    drop(client);
    ends(connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_close_comes_after_all_that_was_sent_before() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&reasons);
    let note = move |request: &Request| {
        seen.lock().unwrap().extend(request.reason());
        Ok(Response::Done)
    };
    let (session, mut client, connection) = start(Config::default(), note).await;
    client.subscribes("0", "/a").await;
    for number in 0..100 {
        session.message("/a", number.to_string()).unwrap();
    }
    session.error(ClientError::new("going-down", "Now."));
    session.close(CloseCode::Away);
    for number in 0..100 {
        client.gets_message("0", &number.to_string()).await;
    }
    assert_eq!(
        client.gets(Command::Error).await.headers.get("message"),
        Some("going-down")
    );
    client.gets_end().await;
    assert!(is_not_subscribed(session.message("/a", "too late")));
    drop(client);
    ends(connection).await;
    assert!(session.is_closed());
    assert_eq!(*reasons.lock().unwrap(), [DisconnectReason::Server]);
}

#[tokio::test(start_paused = true)]
async fn all_that_is_called_for_is_done_in_that_order() {
    let (session, mut client, _) = start(Config::default(), accept).await;
    client.subscribes("0", "/a").await;
    session.error(ClientError::new("first", "An error."));
    session.message("/a", "second").unwrap();
    session.close(CloseCode::Away);
    session.error(ClientError::new("too-late", "An error."));
    session.message("/a", "too late").unwrap();
    assert_eq!(
        client.gets(Command::Error).await.headers.get("message"),
        Some("first")
    );
    client.gets_message("0", "second").await;
    client.gets_end().await;
}

#[tokio::test(start_paused = true)]
async fn even_if_there_was_no_room_for_it_yet() {
    let mut config = Config::default();
    config.max_outbound_bytes = 16 << 10;
    let (session, mut client, _) = start(config, accept).await;
    client.subscribes("0", "/a").await;
    for _ in 0..100 {
        session.message("/a", "x".repeat(1_000)).unwrap();
    }
    // The connection takes them, and then nothing more before the client reads.
    tokio::task::yield_now().await;
    session.message("/a", "last").unwrap();
    session.close(CloseCode::Away);
    tokio::time::sleep(Duration::from_secs(1)).await;
    for _ in 0..100 {
        client.gets_message("0", &"x".repeat(1_000)).await;
    }
    client.gets_message("0", "last").await;
    client.gets_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_session_may_be_closed_before_it_begins() {
    for is_error in [false, true] {
        let (session, mut requests, connection, mut client) = pair(Config::default(), 1024);
        let connection = tokio::spawn(connection);
        if is_error {
            session.error(ClientError::new("full", "Come back later."));
            client.gets(Command::Error).await;
        } else {
            session.close(CloseCode::Away);
        }
        client.gets_end().await;
        drop(client);
        ends(connection).await;
        assert!(
            requests.next().await.is_none(),
            "nothing was connected, so nothing is disconnected"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_in_flight_runs_to_its_end_when_the_session_is_closed() {
    let (session, mut requests, mut client, connection) = start_asking().await;
    client
        .send(subscribe("0", "/a").with_header("receipt", "1"))
        .await;
    let (_, responder) = requests.next().await.unwrap();
    session.close(CloseCode::Away);
    client.gets_end().await;

    let (stream, pointer) = open_stream(&["too late"]);
    responder.respond(Response::observe(stream));
    let (request, responder) = requests.next().await.unwrap();
    assert_eq!(request.reason(), Some(DisconnectReason::Server));
    responder.ok();
    ends(connection).await;
    assert!(is_dropped(&pointer));
    assert!(requests.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_session_keeps_one_value_of_each_type() {
    let keep = |request: &Request| {
        let count: u32 = request.session().get().unwrap_or_default();
        request.session().insert(count + 1);
        Ok(Response::Done)
    };
    let (session, mut client, _) = start(Config::default(), keep).await;
    client.asks(send("/a")).await;
    assert_eq!(session.get::<u32>(), Some(2), "of CONNECT and SEND");
    assert_eq!(session.clone().insert(7_u32), Some(2));
    assert_eq!(session.insert("another type"), None);
    client.asks(send("/a")).await;
    assert_eq!(
        (session.get(), session.get()),
        (Some(8_u32), Some("another type"))
    );
    assert_eq!(session.get::<u8>(), None);

    let (other, _, _, _) = pair(Config::default(), 1024);
    assert_eq!(other.get::<u32>(), None);
}

/// Answers `SUBSCRIBE` with what `streams` gives for its destination.
fn streaming(
    streams: impl Fn(&str) -> MessageStream + Send + 'static,
) -> impl Fn(&Request) -> Answer + Send {
    move |request| match request.command() {
        Command::Subscribe => Ok(Response::Observe(streams(request.destination()))),
        _ => Ok(Response::Done),
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_fails_ends_its_subscription_only() {
    let streams = |destination: &str| match destination {
        "/fails" => {
            let failure = ClientError::new("out-of-stock", "There is none left.");
            stream::iter([
                Ok(Message::new("one").into()),
                Err(failure.into()),
                Ok(Message::new("never").into()),
            ])
            .boxed()
        }
        "/breaks" => stream::iter([Err("secret: a database is gone".into())]).boxed(),
        "/panics" => stream::poll_fn(|_| panic!("secret: a bug")).boxed(),
        _ => stream::pending().boxed(),
    };
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.subscribes("good", "/good").await;
    client.subscribes("0", "/fails").await;
    client.gets_message("0", "one").await;
    let error = client.gets(Command::Error).await;
    assert_eq!(error.headers.get("subscription"), Some("0"));
    assert_eq!(error.headers.get("message"), Some("out-of-stock"));
    assert_eq!(error.body, "There is none left.");
    assert!(is_not_subscribed(session.message("/fails", "too late")));

    for destination in ["/breaks", "/panics"] {
        client.subscribes("1", destination).await;
        let error = client.gets(Command::Error).await;
        assert_eq!(error.headers.get("subscription"), Some("1"));
        assert_eq!(error.headers.get("message"), Some("internal-error"));
        assert!(
            error
                .headers
                .iter()
                .all(|(_, value)| !value.contains("secret"))
        );
        assert_eq!(error.body, "The server failed to handle this frame.");
    }

    session.message("/good", "still here").unwrap();
    client.gets_message("good", "still here").await;
    client.asks(unsubscribe("0")).await;
    client.subscribes("0", "/good").await;
    client.asks(send("/a")).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_ends_its_subscription() {
    let streams = |destination: &str| match destination {
        "/one" => stream::iter([Ok(Message::new("one").into())]).boxed(),
        _ => stream::empty().boxed(),
    };
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.subscribes("0", "/one").await;
    client.gets_message("0", "one").await;
    client.asks(send("/a")).await;
    assert!(is_not_subscribed(session.message("/one", "too late")));

    // The peer does not know, and unsubscribes; once.
    client.asks(unsubscribe("0")).await;
    client.subscribes("0", "/empty").await;
    client.subscribes("0", "/one").await;
    client.gets_message("0", "one").await;
    client.asks(unsubscribe("0")).await;
    client.send(unsubscribe("0")).await;
    assert_eq!(
        client.gets(Command::Error).await.headers.get("message"),
        Some("unknown-subscription")
    );
    client.gets_end().await;
}

#[tokio::test(start_paused = true)]
async fn a_subscription_ends_with_the_stream_it_was_answered_with() {
    let topic = Topic::new();
    let shared = topic.clone();
    let streams = move |_: &str| shared.subscribe().take(2).boxed();
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.subscribes("0", "/a").await;
    let _one = session
        .observe("/a", stream::iter(["of a handle"]))
        .unwrap();
    client.gets_message("0", "of a handle").await;
    let (stream, pointer) = open_stream(&["of another"]);
    let _another = session.observe("/a", stream).unwrap();
    client.gets_message("0", "of another").await;

    topic.publish("one").unwrap();
    client.gets_message("0", "one").await;
    client.asks(send("/b")).await;
    session.message("/a", "still there").unwrap();
    client.gets_message("0", "still there").await;

    topic.publish("two").unwrap();
    client.gets_message("0", "two").await;
    client.asks(send("/b")).await;
    assert!(is_not_subscribed(session.message("/a", "too late")));
    assert!(is_dropped(&pointer));
}

#[tokio::test(start_paused = true)]
async fn a_stream_for_a_session_that_has_ended_meanwhile_is_dropped_at_once() {
    let (session, mut requests, mut client, _) = start_asking().await;
    client.send(subscribe("0", "/a")).await;
    let (_, responder) = requests.next().await.unwrap();
    session.close(CloseCode::Away);
    client.gets_end().await;
    let (stream, pointer) = open_stream(&[]);
    responder.respond(Response::observe(stream));
    // DISCONNECT is asked next, so the answer has been heard.
    assert_eq!(
        requests.next().await.unwrap().0.command(),
        Command::Disconnect
    );
    assert!(is_dropped(&pointer));
}

#[tokio::test(start_paused = true)]
async fn an_endless_stream_lets_others_have_their_turn() {
    let streams = |destination: &str| match destination {
        "/endless" => stream::repeat_with(|| Ok(Message::new("again").into())).boxed(),
        _ => stream::iter(["one", "two"])
            .map(|text| Ok(Message::new(text).into()))
            .chain(stream::pending())
            .boxed(),
    };
    let (session, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.send(subscribe("0", "/endless")).await;
    client.send(subscribe("1", "/other")).await;
    client.send(send("/a").with_header("receipt", "7")).await;
    let (mut others, mut pushed, mut receipt) = (Vec::new(), false, false);
    for _ in 0..100_000 {
        let frame = client.next().await.unwrap();
        match frame.headers.get("subscription") {
            Some("1") => others.push(frame.body),
            None => receipt |= frame.command == Command::Receipt,
            _ => {}
        }
        if others.len() == 2 && !pushed {
            session.message("/other", "three").unwrap();
            pushed = true;
        }
        if others.len() == 3 && receipt {
            assert_eq!(others, ["one", "two", "three"]);
            return;
        }
    }
    panic!("{others:?}, receipt: {receipt}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_read_is_sent_no_more_than_fits_and_then_left() {
    const MESSAGE: usize = 1_000;
    const BETWEEN: usize = 64 << 10;
    let (session, _, connection, mut client) = pair(Config::default(), BETWEEN);
    let (polls, reasons) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(Mutex::new(Vec::new())),
    );
    let (counted, seen) = (Arc::clone(&polls), Arc::clone(&reasons));
    let service = tower::service_fn(move |request: Request| {
        seen.lock().unwrap().extend(request.reason());
        ready(Ok::<_, BoxError>(match request.command() {
            Command::Subscribe => {
                let polls = Arc::clone(&counted);
                let endless = stream::repeat_with(move || {
                    polls.fetch_add(1, Ordering::Relaxed);
                    Message::new(vec![b'x'; MESSAGE])
                });
                // Not quite endless, so that a failure ends.
                Response::observe(endless.take(10_000).chain(stream::pending()))
            }
            _ => Response::Done,
        }))
    });
    let connection = tokio::spawn(connection.run(service));
    client.send(connect()).await;
    client.send(subscribe("0", "/endless")).await;

    let started = Instant::now();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let polled = polls.load(Ordering::Relaxed);
    let room = BETWEEN + Config::default().max_outbound_bytes;
    assert!(polled > 10, "{polled}");
    assert!(
        polled * MESSAGE < room + 2 * MESSAGE,
        "{polled} messages of {MESSAGE} bytes in {room}"
    );

    ends(connection).await;
    assert_eq!(
        started.elapsed().as_secs(),
        Config::default().write_timeout.as_secs()
    );
    assert_eq!(polls.load(Ordering::Relaxed), polled);
    assert_eq!(Arc::strong_count(&polls), 1, "the stream is dropped");
    assert_eq!(*reasons.lock().unwrap(), [DisconnectReason::Timeout]);
    assert!(session.is_closed());
}

#[tokio::test(start_paused = true)]
async fn nor_is_more_read_of_what_it_sends() {
    const BETWEEN: usize = 64 << 10;
    let (_, _, connection, mut client) = pair(Config::default(), BETWEEN);
    let connection = tokio::spawn(connection.run(tower::service_fn(|_| {
        ready(Ok::<_, BoxError>(Response::Done))
    })));
    client.send(connect()).await;
    let receipt = "7".repeat(1_000);
    let request = send("/a").with_header("receipt", &receipt);
    let mut sent = 0;
    while let Ok(Ok(())) = timeout(
        Duration::from_secs(1),
        client.0.send(Outbound::Frame(request.clone())),
    )
    .await
    {
        sent += 1;
        assert!(
            sent * receipt.len() < Config::default().max_outbound_bytes + 3 * BETWEEN,
            "{sent}"
        );
    }
    ends(connection).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_slowly_is_kept() {
    let streams = |_: &str| {
        stream::iter(0..2_000)
            .map(|_| Ok(Message::new(vec![b'x'; 1_000]).into()))
            .boxed()
    };
    let (_, mut client, _) = start(Config::default(), streaming(streams)).await;
    client.send(subscribe("0", "/a")).await;
    for number in 0..2_000 {
        if number % 40 == 0 {
            tokio::time::advance(Duration::from_secs(9)).await;
        }
        client.gets(Command::Message).await;
    }
    client.asks(send("/b")).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_pushed_too_much_is_closed_and_told_why() {
    let (session, mut client, connection) = start(Config::default(), accept).await;
    client.subscribes("0", "/a").await;
    for number in 0..=Config::default().mailbox.max_messages {
        session.message("/a", number.to_string()).unwrap();
    }
    assert_eq!(
        client.gets(Command::Error).await.headers.get("message"),
        Some("slow-consumer")
    );
    client.gets_end().await;
    drop(client);
    ends(connection).await;
}

#[tokio::test(start_paused = true)]
async fn as_is_one_that_a_topic_is_too_fast_for() {
    let topic = Topic::with_mailboxes(MailboxConfig::default().max_messages(4));
    let shared = topic.clone();
    let streams = move |_: &str| shared.subscribe().boxed();
    let (_, mut client, connection) = start(Config::default(), streaming(streams)).await;
    client.subscribes("0", "/a").await;
    for text in ["one", "two", "three", "four"] {
        topic.publish(text).unwrap();
    }
    for text in ["one", "two", "three", "four"] {
        client.gets_message("0", text).await;
    }
    for _ in 0..5 {
        topic.publish("more").unwrap();
    }
    assert_eq!(
        client.gets(Command::Error).await.headers.get("message"),
        Some("slow-consumer")
    );
    client.gets_end().await;
    drop(client);
    ends(connection).await;
    assert_eq!(topic.subscribers(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_may_be_let_in_before_connect_is_answered() {
    let (session, mut requests, connection, mut client) = pair(Config::default(), 1024);
    tokio::spawn(connection);
    client.send(connect()).await;
    let (request, responder) = requests.next().await.unwrap();
    assert_eq!(request.command(), Command::Connect);
    session.connected([("server", "tea/1"), ("version", "9.9")]);
    session.connected([("server", "twice")]);
    let connected = client.gets(Command::Connected).await;
    assert_eq!(connected.headers.get("server"), Some("tea/1"));
    assert_eq!(
        connected
            .headers
            .iter()
            .filter(|(name, _)| *name == "version")
            .collect::<Vec<_>>(),
        [("version", "1.2")]
    );
    client.0.resume(Version::V1_2, Limits::default());
    responder.ok();
    client.send(send("/a").with_header("receipt", "1")).await;
    requests.next().await.unwrap().1.ok();
    client.gets(Command::Receipt).await;
}

#[tokio::test(start_paused = true)]
async fn the_connect_handler_names_the_principal_for_good() {
    let name = |request: &Request| match request.command() {
        Command::Connect => Ok(Response::Connected(Principal::new("ann").into())),
        _ => Ok(Response::Done),
    };
    let (session, _client, _) = start(Config::default(), name).await;
    assert_eq!(session.principal(), Some(&Principal::new("ann")));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_answers_has_failed() {
    let (_, mut requests, mut client, _) = start_asking().await;
    client.send(send("/a").with_header("receipt", "1")).await;
    drop(requests.next().await.unwrap());
    let error = client.gets(Command::Error).await;
    assert_eq!(error.headers.get("message"), Some("internal-error"));
    assert_eq!(error.headers.get("receipt-id"), Some("1"));
}

#[tokio::test(start_paused = true)]
async fn where_nobody_takes_requests_any_more_the_session_closes() {
    let (_, mut requests, mut client, connection) = start_asking().await;
    client.send(send("/a").with_header("receipt", "1")).await;
    let (_, responder) = requests.next().await.unwrap();
    drop(requests);
    responder.ok();
    assert_eq!(
        client
            .gets(Command::Receipt)
            .await
            .headers
            .get("receipt-id"),
        Some("1"),
        "what was asked is answered"
    );
    client.gets_end().await;
    drop(client);
    ends(connection).await;
}
