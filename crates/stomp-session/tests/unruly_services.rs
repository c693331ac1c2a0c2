//! Services and streams that take long, say too much, keep the thread or go away: neither peers nor others suffer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{FutureExt, SinkExt, StreamExt, stream};
use std::{
    future::{pending, ready},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};
use stomp_frame::{Command, Frame, Limits, Version};
use stomp_session::{
    BoxError, ClientError, Config, Delivery, Mailbox, MailboxConfig, Message, Peer, Request,
    Requests, Response, Session, Topic,
};
use stomp_socket::{Inbound, Outbound, Socket};
use tokio::{
    task::JoinHandle,
    time::{advance, sleep, timeout},
};
use tower::{Service, limit::ConcurrencyLimit, service_fn};

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

    /// Sends a frame and gets its receipt, and nothing before it.
    async fn asks(&mut self, frame: Frame) {
        self.send(frame.with_header("receipt", "7")).await;
        self.gets(Command::Receipt).await;
    }

    async fn connects(&mut self, version: Version) -> Frame {
        self.send(Frame::new(Command::Connect).with_header("accept-version", version.as_str()))
            .await;
        let connected = self.gets(Command::Connected).await;
        self.0.resume(version, Limits::default());
        connected
    }
}

fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe)
        .with_header("id", id)
        .with_header("destination", destination)
}

fn send(destination: &str) -> Frame {
    Frame::new(Command::Send).with_header("destination", destination)
}

/// Both ends of a connection.
fn pair() -> (Socket, Client) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    let [ours, theirs] =
        [ours, theirs].map(|io| Socket::over_byte_stream(io, Peer::default(), &Default::default()));
    (ours, Client(theirs))
}

/// A session that runs `service`, and its peer, which is not yet connected.
fn run<S>(config: Config, service: S) -> (Session, Client, JoinHandle<()>)
where
    S: Service<Request, Response = Response, Error = BoxError, Future: Send> + Send + 'static,
{
    let (socket, client) = pair();
    let (session, _, connection) = Session::new(socket, config);
    (session, client, tokio::spawn(connection.run(service)))
}

/// A session whose requests are handed out, and its peer, which is not yet connected.
fn hand_out() -> (Session, Requests, Client) {
    let (socket, client) = pair();
    let (session, requests, connection) = Session::new(socket, Config::default());
    tokio::spawn(connection);
    (session, requests, client)
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_does_comes_before_its_answer() {
    let (_, mut client, _) = run(
        Config::default(),
        service_fn(|request: Request| {
            if request.command() == Command::Connect {
                request.session().connected([("server", "tea/1")]);
            }
            ready(Ok(Response::Done))
        }),
    );
    assert_eq!(
        client.connects(Version::V1_2).await.headers.get("server"),
        Some("tea/1")
    );
}

#[tokio::test(start_paused = true)]
async fn whoever_was_let_in_stays_though_nobody_answers() {
    let (session, mut requests, mut client) = hand_out();
    tokio::spawn(async move {
        let (_request, responder) = requests.next().await.unwrap();
        session.connected([]);
        drop(responder);
        requests.next().await.unwrap().1.ok();
    });
    client.connects(Version::V1_2).await;
    client.asks(send("/a")).await;
}

#[tokio::test(start_paused = true)]
async fn when_nobody_asks_for_requests_any_more_the_session_is_closed() {
    let (_session, mut requests, mut client) = hand_out();
    tokio::spawn(async move { requests.next().await.unwrap().1.ok() });
    client.connects(Version::V1_2).await;
    assert_eq!(client.next().await, None);
}

/// A service that takes a second to think about subscriptions, and refuses the one of `/secret`.
async fn hesitates(request: Request) -> Result<Response, BoxError> {
    if request.command() == Command::Subscribe {
        sleep(Duration::from_secs(1)).await;
        if request.destination() == "/secret" {
            return Err(ClientError::new("forbidden", "Not for you.").into());
        }
    }
    Ok(Response::Done)
}

/// A session that sends, in both ways there are, to a subscription that is not yet agreed to.
async fn send_early(destination: &str) -> Client {
    let (session, mut client, _) = run(Config::default(), service_fn(hesitates));
    client.connects(Version::V1_2).await;
    client
        .send(subscribe("0", destination).with_header("receipt", "1"))
        .await;
    sleep(Duration::from_millis(1)).await;
    session.message(destination, "early").unwrap();
    session
        .observe(
            destination,
            stream::iter(["streamed"]).chain(stream::pending()),
        )
        .unwrap();
    client
}

#[tokio::test(start_paused = true)]
async fn messages_wait_until_the_subscription_is_agreed_to() {
    let mut client = send_early("/a").await;
    client.gets(Command::Receipt).await;
    assert_eq!(client.gets(Command::Message).await.body, "early");
    assert_eq!(client.gets(Command::Message).await.body, "streamed");
}

#[tokio::test(start_paused = true)]
async fn and_are_never_sent_where_it_is_refused() {
    let mut client = send_early("/secret").await;
    client.gets(Command::Error).await;
    client.asks(send("/b")).await;
    client.asks(send("/b")).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_wakes_itself_does_not_keep_the_thread() {
    const MOST: usize = 1_000_000;
    let polls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&polls);
    let (_session, mut client, _) = run(
        Config::default(),
        service_fn(move |request: Request| {
            let polls = Arc::clone(&counted);
            ready(Ok(match request.command() {
                Command::Subscribe => Response::Observe(
                    stream::poll_fn(move |cx| {
                        if polls.fetch_add(1, Ordering::Relaxed) == MOST {
                            return Poll::Ready(None);
                        }
                        cx.waker().wake_by_ref();
                        Poll::Pending
                    })
                    .boxed(),
                ),
                _ => Response::Done,
            }))
        }),
    );
    client.connects(Version::V1_2).await;
    client.asks(subscribe("0", "/a")).await;
    client.asks(send("/b")).await;
    let polls = polls.load(Ordering::Relaxed);
    assert!((1..MOST).contains(&polls), "{polls}");
}

#[test]
fn nor_is_it_noted_each_time() {
    let mut config = Config::default();
    config.max_outbound_bytes = 16 << 10;
    let service = service_fn(|request: Request| {
        ready(Ok(match request.command() {
            Command::Subscribe => Response::Observe(
                stream::poll_fn(|cx| {
                    cx.waker().wake_by_ref();
                    Poll::Ready(Some(Ok(Message::new("again").into())))
                })
                .boxed(),
            ),
            _ => Response::Done,
        }))
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let mut client = runtime.block_on(async {
        let (_, mut client, _) = run(config, service);
        client.connects(Version::V1_2).await;
        client.send(subscribe("0", "/a")).await;
        client
    });
    let mut gets = |count| {
        runtime.block_on(async {
            for _ in 0..count {
                client.gets(Command::Message).await;
            }
        });
    };
    gets(1_000);
    let measured = allocation_counter::measure(|| gets(50_000));
    assert!(measured.bytes_current < 100_000, "{measured:?}");
}

#[tokio::test(start_paused = true)]
async fn a_busy_stream_keeps_no_deadline_back() {
    let mut config = Config::default();
    // The stream never has to rest.
    config.max_outbound_bytes = usize::MAX;
    let late = config.handler_timeout * 2;
    let service = service_fn(|request: Request| async move {
        match request.command() {
            Command::Subscribe => Ok(Response::Observe(
                stream::repeat_with(|| Ok(Message::new("again").into())).boxed(),
            )),
            Command::Send => pending().await,
            _ => Ok(Response::Done),
        }
    });
    let (_session, mut client, _) = run(config, service);
    // In a task, so that the peer has its turn as often as the session.
    let peer = tokio::spawn(async move {
        client.connects(Version::V1_2).await;
        client.send(subscribe("0", "/a")).await;
        client.send(send("/b").with_header("receipt", "1")).await;
        for number in 0..50_000 {
            if number == 1_000 {
                advance(late).await;
            }
            let frame = client.next().await.unwrap();
            if frame.command == Command::Error {
                return frame.headers.get("message") == Some("timeout");
            }
        }
        false
    });
    assert!(
        peer.await.unwrap(),
        "the time is over, and nobody has noticed"
    );
}

/// A permit goes to whoever waited first, even if it has stopped waiting.
#[tokio::test(start_paused = true)]
async fn whoever_waited_for_the_service_in_vain_takes_no_permit() {
    let slow = service_fn(|request: Request| async move {
        if request.destination() == "/slow" {
            sleep(Duration::from_secs(5)).await;
        }
        Ok(Response::Done)
    });
    let service = ConcurrencyLimit::new(slow, 1);
    let mut impatient = Config::default();
    impatient.handler_timeout = Duration::from_secs(2);
    let (_, mut first, _) = run(Config::default(), service.clone());
    let (_, mut second, connection) = run(impatient, service.clone());
    let (_, mut third, _) = run(Config::default(), service);
    for client in [&mut first, &mut second, &mut third] {
        client.connects(Version::V1_2).await;
    }
    first.send(send("/slow").with_header("receipt", "1")).await;
    sleep(Duration::from_millis(1)).await;
    second.send(send("/a").with_header("receipt", "2")).await;
    first.gets(Command::Receipt).await;
    third.asks(send("/a")).await;
    let error = second.gets(Command::Error).await;
    assert_eq!(error.headers.get("message"), Some("overloaded"));
    assert_eq!(error.headers.get("receipt-id"), Some("2"));
    assert_eq!(second.next().await, None);
    drop(second);
    connection.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_error_that_the_version_cannot_express_is_told_as_well_as_it_can() {
    let (_session, mut client, _) = run(
        Config::default(),
        service_fn(|request: Request| {
            ready(match request.command() {
                Command::Send => Err(ClientError::new("two\nlines", "And\na text.").into()),
                _ => Ok(Response::Done),
            })
        }),
    );
    client.connects(Version::V1_0).await;
    client.send(send("/a").with_header("receipt", "1")).await;
    let error = client.gets(Command::Error).await;
    assert_eq!(error.headers.get("message"), Some("two lines"));
    assert_eq!(error.headers.get("receipt-id"), Some("1"));
    assert_eq!(error.body, "And\na text.");
}

#[tokio::test(start_paused = true)]
async fn the_values_of_a_session_are_dropped_when_it_ends() {
    let (session, mut client, connection) =
        run(Config::default(), service_fn(|_| ready(Ok(Response::Done))));
    let kept = Arc::new(());
    // A value may even hold the session that holds it.
    session.insert((session.clone(), Arc::clone(&kept)));
    client.connects(Version::V1_2).await;
    assert_eq!(Arc::strong_count(&kept), 2);
    drop(client);
    connection.await.unwrap();
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_that_nobody_can_push_to_any_more_ends() {
    let (mailbox, mut messages) = Mailbox::new(MailboxConfig::default());
    let other = mailbox.clone();
    let reader = tokio::spawn(async move {
        let first = messages.next().await.unwrap().unwrap();
        (first, messages.next().await.is_none())
    });
    drop(mailbox);
    sleep(Duration::from_millis(1)).await;
    assert!(!reader.is_finished(), "there is another handle");
    assert!(other.push(&[Message::new("last words")]));
    drop(other);
    let (last, is_end) = timeout(Duration::from_secs(1), reader)
        .await
        .expect("the end")
        .unwrap();
    assert_eq!(last.body(), "last words");
    assert!(is_end);
}

#[test]
fn a_topic_outlives_the_runtime_it_was_used_in() {
    let topic = Topic::new();
    let mut subscribers: Vec<_> = (0..200).map(|_| topic.subscribe()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    // So many are served by a task, which does not come to run.
    runtime.block_on(async { topic.publish("one").unwrap() });
    drop(runtime);
    topic.publish("two").unwrap();
    for subscriber in &mut subscribers {
        for expected in ["one", "two"] {
            let message = subscriber
                .next()
                .now_or_never()
                .expect("nothing to wait for");
            assert_eq!(message.unwrap().unwrap().body(), expected);
        }
    }
}

/// A mailbox counts in the budget of the session whose stream it is, and not of one that happens to call its reader.
#[tokio::test(start_paused = true)]
async fn who_is_told_of_a_settlement_reads_without_the_sessions_budget() {
    let (mailbox, mut messages) = Mailbox::new(MailboxConfig::default());
    let back = Arc::new(Mutex::new(None));
    let given = Arc::clone(&back);
    let delivery = Delivery::new(Message::new("x")).on_settled(move |_| {
        assert!(messages.next().now_or_never().is_none());
        *given.lock().unwrap() = Some(messages);
    });
    let stream = Mutex::new(Some(stream::iter([Ok(delivery)]).chain(stream::pending())));
    let mut config = Config::default();
    config.max_total_mailbox_bytes = 2000;
    let service = service_fn(move |request: Request| {
        ready(Ok::<_, BoxError>(match request.command() {
            Command::Subscribe => Response::Observe(stream.lock().unwrap().take().unwrap().boxed()),
            _ => Response::Done,
        }))
    });
    let (_session, mut client, _) = run(config, service);
    client.connects(Version::V1_2).await;
    client.send(subscribe("0", "/a")).await;
    client.gets(Command::Message).await;
    let mut messages = back.lock().unwrap().take().unwrap();
    for _ in 0..10 {
        mailbox.push(&[Message::new("x".repeat(1000))]);
    }
    for _ in 0..10 {
        let message = messages.next().now_or_never().expect("nothing to wait for");
        assert!(message.unwrap().is_ok());
    }
}
