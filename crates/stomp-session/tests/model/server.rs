//! The session under test, over a byte stream in memory, with its client and its application.

use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
    stream,
};
use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    mem::take,
    pin::Pin,
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};
use stomp_frame::{Command, Frame, Version};
use stomp_session::{
    BoxError, ClientError, Config, Delivery, Message, MessageId, Peer, Request, Response, Session,
};
use stomp_socket::{CloseCode, Socket};
use stomp_testing::{Client, Received, frames::connect};
use tokio::sync::{mpsc, oneshot};
use tower::Service;

type Answer = Result<Response, BoxError>;
type Call = (Request, oneshot::Sender<Answer>);
type Item = Result<Delivery, BoxError>;

pub(crate) struct Server {
    client: Option<Client>,
    connection: Option<Pin<Box<dyn Future<Output = ()>>>>,
    wakes: Arc<WakeFlag>,
    session: Session,
    calls: Calls,
    answer: Option<(Option<usize>, oneshot::Sender<Answer>)>,
    /// The subscription that the request in `answer` asks for.
    asked: Option<String>,
    queues: BTreeMap<usize, mpsc::UnboundedSender<Item>>,
    log: Log,
    /// A pointer that all callbacks and effects hold. Its count shows if they are dropped.
    held: Arc<()>,
}

type Log = Arc<Mutex<Vec<String>>>;

/// The waker of the connection. It notes that it was woken, because the test polls the connection by hand.
#[derive(Default)]
struct WakeFlag(AtomicBool);

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The service. It collects its requests for the test.
#[derive(Clone, Default)]
struct Calls {
    calls: Arc<Mutex<VecDeque<Call>>>,
    live: Live,
}

/// The names of the subscriptions that the service has accepted, until it was called with their `UNSUBSCRIBE`.
#[derive(Clone, Default)]
struct Live(Arc<Mutex<Vec<String>>>);

impl Live {
    fn add(&self, name: String) {
        self.0.lock().unwrap().push(name);
    }

    fn remove(&self, name: &str) {
        let mut live = self.0.lock().unwrap();
        let at = live.iter().position(|known| known == name);
        live.remove(at.expect("each accepted subscription ends once"));
    }
}

/// The name of a subscription in a `SUBSCRIBE` or `UNSUBSCRIBE`.
fn name(request: &Request) -> String {
    let id = request.headers().get("id");
    id.unwrap_or(request.destination().as_str()).to_owned()
}

impl Service<Request> for Calls {
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.command() == Command::Unsubscribe {
            self.live.remove(&name(&request));
        }
        if !request.is_from_peer() && request.command() != Command::Disconnect {
            return ready(Ok(Response::Done)).boxed();
        }
        if request.command() == Command::Disconnect {
            let live = self.live.0.lock().unwrap();
            assert!(live.is_empty(), "{live:?} live at DISCONNECT");
        }
        let (sender, receiver) = oneshot::channel();
        self.calls.lock().unwrap().push_back((request, sender));
        receiver
            .map(|answer| answer.unwrap_or_else(|_| Err("the request was dropped".into())))
            .boxed()
    }
}

impl Server {
    /// Creates a session that is connected.
    pub(crate) fn connected(version: Version, config: Config) -> Server {
        let (near, far) = tokio::io::duplex(1 << 20);
        let client = Client::over_byte_stream(near);
        let socket = Socket::over_byte_stream(far, Peer::default(), &Default::default());
        let (session, _, connection) = Session::new(socket, config);
        let calls = Calls::default();
        let mut server = Server {
            client: Some(client),
            connection: Some(Box::pin(connection.run(calls.clone()))),
            wakes: Arc::default(),
            session,
            calls,
            answer: None,
            asked: None,
            queues: BTreeMap::new(),
            log: Log::default(),
            held: Arc::new(()),
        };
        server.send(connect(version));
        server.run();
        assert_eq!(server.requests(), ["CONNECT "]);
        server.answer(Ok(()));
        server.run();
        assert_eq!(server.frames().len(), 1);
        server
    }

    /// Polls the connection until it can do nothing more.
    pub(crate) fn run(&mut self) {
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.wakes.0.store(true, Ordering::Relaxed);
        while self.wakes.0.swap(false, Ordering::Relaxed) {
            let Some(connection) = &mut self.connection else {
                return;
            };
            if connection
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_ready()
            {
                self.connection = None;
            }
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.connection.is_none()
    }

    pub(crate) fn send(&mut self, frame: Frame) {
        let sent = self.client.as_mut().unwrap().send(frame).now_or_never();
        sent.expect("the pipe has room");
    }

    pub(crate) fn end_client(&mut self) {
        let _ = self.client.as_mut().unwrap().shutdown().now_or_never();
    }

    pub(crate) fn drop_client(&mut self) {
        self.client = None;
    }

    pub(crate) fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// Takes the frames that the client has received since the last call.
    pub(crate) fn frames(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(client) = &mut self.client {
            match client.receive().now_or_never() {
                Some(Received::Frame(frame)) => frames.push(frame),
                Some(Received::HeartBeat) => {}
                _ => break,
            }
        }
        frames
    }

    /// Takes the requests that the application has received. Each `SEND` of a transaction stages an effect.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        let calls = take(&mut *self.calls.calls.lock().unwrap());
        calls
            .into_iter()
            .map(|(request, sender)| self.request(&request, sender))
            .collect()
    }

    fn request(&mut self, request: &Request, sender: oneshot::Sender<Answer>) -> String {
        let serial = request
            .headers()
            .get("serial")
            .and_then(|serial| serial.parse().ok());
        self.answer = Some((serial, sender));
        self.asked = (request.command() == Command::Subscribe).then(|| name(request));
        let said = format!("{} {}", request.command(), request.destination());
        let body = String::from_utf8_lossy(request.body()).into_owned();
        match (request.command(), request.transaction()) {
            (Command::Send, None) => format!("{said} {body} at once"),
            (Command::Send, Some(staging)) => {
                let effect = Effect {
                    name: body.clone(),
                    log: Arc::clone(&self.log),
                    has_run: false,
                };
                let held = Arc::clone(&self.held);
                staging.stage(move || {
                    effect.run();
                    drop(held);
                });
                format!("{said} {body} held")
            }
            (Command::Disconnect, None) => format!("{said}{:?}", request.reason().unwrap()),
            (_, None) => said,
            (_, Some(_)) => format!("{said} in a transaction"),
        }
    }

    pub(crate) fn answer(&mut self, answer: Result<(), &'static str>) {
        let (serial, sender) = self.answer.take().unwrap();
        if let (Some(name), Ok(())) = (self.asked.take(), answer) {
            self.calls.live.add(name);
        }
        let answer = match (answer, serial) {
            (Err(code), _) => Err(ClientError::new(code, "").into()),
            (Ok(()), None) => Ok(Response::Done),
            (Ok(()), Some(serial)) => {
                let (queue, receiver) = mpsc::unbounded_channel::<Item>();
                self.queues.insert(serial, queue);
                let stream = stream::unfold(receiver, |mut receiver| async {
                    Some((receiver.recv().await?, receiver))
                });
                Ok(Response::observe(stream))
            }
        };
        // An error means that the connection was dropped.
        let _ = sender.send(answer);
    }

    pub(crate) fn deliver(
        &mut self,
        serial: usize,
        body: &str,
        is_redelivered: bool,
        id: MessageId,
    ) {
        let (log, text, held) = (
            Arc::clone(&self.log),
            body.to_owned(),
            Arc::clone(&self.held),
        );
        let delivery = Delivery::new(Message::new(body.to_owned()).with_id(id)).on_settled(
            move |settlement| {
                log.lock().unwrap().push(format!("{text} {settlement:?}"));
                drop(held);
            },
        );
        let delivery = if is_redelivered {
            delivery.with_redelivered()
        } else {
            delivery
        };
        assert!(
            self.queues[&serial].send(Ok(delivery)).is_ok(),
            "the stream of {serial} is gone"
        );
    }

    pub(crate) fn end_stream(&mut self, serial: usize) {
        self.queues.remove(&serial).unwrap();
    }

    pub(crate) fn fail_stream(&mut self, serial: usize, code: &'static str) {
        let _ = self.queues[&serial].send(Err(ClientError::new(code, "").into()));
    }

    /// Checks that the streams of all subscriptions are dropped, except the live ones.
    pub(crate) fn assert_streams_dropped_except(&mut self, live: impl Fn(usize) -> bool) {
        let held = self
            .queues
            .iter()
            .find(|(serial, queue)| !live(**serial) && !queue.is_closed());
        assert!(held.is_none(), "the session still holds a stream");
    }

    pub(crate) fn error(&mut self, code: &'static str) {
        let _ = self.session.error(ClientError::new(code, ""));
    }

    pub(crate) fn close(&mut self) {
        self.session.close(CloseCode::Away);
    }

    /// Takes the events of deliveries and effects since the last call.
    pub(crate) fn log(&mut self) -> Vec<String> {
        take(&mut *self.log.lock().unwrap())
    }

    /// Checks that everything of this session is dropped.
    pub(crate) fn assert_empty(self) {
        assert!(self.connection.is_none());
        assert!(
            self.queues.values().all(mpsc::UnboundedSender::is_closed),
            "the session still holds a stream"
        );
        let held: Weak<()> = Arc::downgrade(&self.held);
        drop(self);
        assert!(
            held.upgrade().is_none(),
            "a callback or an effect is not dropped"
        );
    }
}

/// A staged effect that logs whether it ran or was dropped.
struct Effect {
    name: String,
    log: Log,
    has_run: bool,
}

impl Effect {
    fn run(mut self) {
        self.has_run = true;
        self.log.lock().unwrap().push(format!("{} ran", self.name));
    }
}

impl Drop for Effect {
    fn drop(&mut self) {
        if !self.has_run {
            self.log
                .lock()
                .unwrap()
                .push(format!("{} dropped", self.name));
        }
    }
}
