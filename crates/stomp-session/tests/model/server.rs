//! The real thing: a session over a pipe in memory, its client and its application, each doing one thing at a time.

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};
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
use stomp_frame::{Command, Decoded, Decoder, Frame, Limits, Version};
use stomp_session::{
    BoxError, ClientError, Config, Delivery, Message, Peer, Request, Response, Session,
};
use stomp_socket::{CloseCode, Socket};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::{mpsc, oneshot},
};
use tower::Service;

type Answer = Result<Response, BoxError>;
type Call = (Request, oneshot::Sender<Answer>);
type Item = Result<Delivery, BoxError>;

pub(crate) struct Server {
    version: Version,
    client: Option<DuplexStream>,
    decoder: Decoder,
    connection: Option<Pin<Box<dyn Future<Output = ()>>>>,
    alarm: Arc<Alarm>,
    session: Session,
    calls: Calls,
    answer: Option<(Option<usize>, oneshot::Sender<Answer>)>,
    queues: BTreeMap<usize, mpsc::UnboundedSender<Item>>,
    log: Log,
    /// What callbacks and effects hold.
    held: Arc<()>,
}

type Log = Arc<Mutex<Vec<String>>>;

/// Wakes the connection, which is polled by hand.
#[derive(Default)]
struct Alarm(AtomicBool);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The service: it keeps what it is called with.
#[derive(Clone, Default)]
struct Calls(Arc<Mutex<VecDeque<Call>>>);

impl Service<Request> for Calls {
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push_back((request, sender));
        receiver
            .map(|answer| answer.unwrap_or_else(|_| Err("nobody answers".into())))
            .boxed()
    }
}

impl Server {
    /// A connected session.
    pub(crate) fn connected(version: Version, config: Config) -> Server {
        let (client, ours) = tokio::io::duplex(1 << 20);
        let (session, _, connection) = Session::new(
            Socket::over_byte_stream(ours, Peer::default(), &Default::default()),
            config,
        );
        let calls = Calls::default();
        let mut server = Server {
            version,
            client: Some(client),
            decoder: Decoder::new(Limits::default()),
            connection: Some(Box::pin(connection.run(calls.clone()))),
            alarm: Arc::default(),
            session,
            calls,
            answer: None,
            queues: BTreeMap::new(),
            log: Log::default(),
            held: Arc::new(()),
        };
        server.send(&Frame::new(Command::Connect).with_header("accept-version", version.as_str()));
        server.run();
        assert_eq!(server.requests(), ["CONNECT "]);
        server.answer(Ok(()));
        server.run();
        assert_eq!(server.frames().len(), 1);
        server
    }

    /// Lets the connection do all it can.
    pub(crate) fn run(&mut self) {
        let waker = Waker::from(Arc::clone(&self.alarm));
        self.alarm.0.store(true, Ordering::Relaxed);
        while self.alarm.0.swap(false, Ordering::Relaxed) {
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

    pub(crate) fn send(&mut self, frame: &Frame) {
        let bytes = frame.to_bytes(self.version).unwrap();
        // It may have been closed already.
        let _ = self
            .client
            .as_mut()
            .unwrap()
            .write_all(&bytes)
            .now_or_never()
            .expect("there is room");
    }

    pub(crate) fn end_client(&mut self) {
        let _ = self.client.as_mut().unwrap().shutdown().now_or_never();
    }

    pub(crate) fn cut_client(&mut self) {
        self.client = None;
    }

    pub(crate) fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// What the client has been sent.
    pub(crate) fn frames(&mut self) -> Vec<Frame> {
        let mut bytes = Vec::new();
        if let Some(client) = &mut self.client {
            while let Some(Ok(1..)) = client.read_buf(&mut bytes).now_or_never() {}
        }
        self.decoder.feed(bytes);
        let mut frames = Vec::new();
        while let Some(item) = self.decoder.decode().unwrap() {
            if let Decoded::Frame(frame) = item {
                if frame.command == Command::Connected {
                    self.decoder.resume(self.version, Limits::default());
                }
                frames.push(frame);
            }
        }
        frames
    }

    /// What the application has been asked. Each `SEND` of a transaction stages something.
    pub(crate) fn requests(&mut self) -> Vec<String> {
        let calls = take(&mut *self.calls.0.lock().unwrap());
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
        let answer = match (answer, serial) {
            (Err(code), _) => Err(ClientError::new(code, "").into()),
            (Ok(()), None) => Ok(Response::Done),
            (Ok(()), Some(serial)) => {
                let (queue, receiver) = mpsc::unbounded_channel::<Item>();
                self.queues.insert(serial, queue);
                let stream = stream::unfold(receiver, |mut receiver| async {
                    Some((receiver.recv().await?, receiver))
                });
                Ok(Response::Observe(stream.boxed()))
            }
        };
        // Where the connection was dropped, nobody waits.
        let _ = sender.send(answer);
    }

    pub(crate) fn deliver(&mut self, serial: usize, body: &str, is_redelivered: bool) {
        let (log, text, held) = (
            Arc::clone(&self.log),
            body.to_owned(),
            Arc::clone(&self.held),
        );
        let delivery = Delivery::new(Message::new(body.to_owned())).on_settled(move |settlement| {
            log.lock().unwrap().push(format!("{text} {settlement:?}"));
            drop(held);
        });
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

    /// The streams of all other subscriptions are dropped.
    pub(crate) fn assert_dropped_but(&mut self, live: impl Fn(usize) -> bool) {
        let held = self
            .queues
            .iter()
            .find(|(serial, queue)| !live(**serial) && !queue.is_closed());
        assert!(held.is_none(), "a stream is held");
    }

    pub(crate) fn error(&mut self, code: &'static str) {
        self.session.error(ClientError::new(code, ""));
    }

    pub(crate) fn close(&mut self) {
        self.session.close(CloseCode::Away);
    }

    /// What has become of deliveries and effects.
    pub(crate) fn log(&mut self) -> Vec<String> {
        take(&mut *self.log.lock().unwrap())
    }

    /// Nothing is held any more for this session.
    pub(crate) fn assert_empty(self) {
        assert!(self.connection.is_none());
        assert!(
            self.queues.values().all(mpsc::UnboundedSender::is_closed),
            "a stream is held"
        );
        let held: Weak<()> = Arc::downgrade(&self.held);
        drop(self);
        assert!(held.upgrade().is_none(), "a callback is held");
    }
}

/// Something that is staged, and notes what becomes of it.
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
