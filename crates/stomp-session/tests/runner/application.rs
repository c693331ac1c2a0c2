//! The application of a conversation: it expects requests, answers them, and uses the session's handle.

use crate::text::{Expected, Names, unescape, unescaped};
use futures_util::{
    FutureExt,
    future::{BoxFuture, ready},
    stream,
    task::AtomicWaker,
};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use stomp_frame::{Command, Headers};
use stomp_session::{
    BoxError, ClientError, Connected, Delivery, DestinationSyntax, Message, MessageStream, Request,
    Response, Session, SubscriptionInfo, Topic,
};
use stomp_socket::CloseCode;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};
use tower::Service;

type Answer = Result<Response, BoxError>;
type Call = (Request, oneshot::Sender<Answer>);
type Item = Result<Delivery, BoxError>;
type Outcome = Result<(), String>;

const NO_REQUEST_WAITS: &str = "no request waits for an answer";
const NO_QUEUE: &str = "no such queue";
const NO_TRANSACTION: &str = "the request belongs to no transaction";

pub(crate) struct Application {
    session: Session,
    readiness: Arc<Readiness>,
    calls: mpsc::UnboundedReceiver<Call>,
    /// The request that `app: answer` answers.
    waiting: Option<Call>,
    topic: Topic<String>,
    /// Each queue with the id of its subscription, or the destination if it has no id.
    queues: Vec<(String, mpsc::UnboundedSender<Item>)>,
    /// The ends of the futures that commit, by name.
    commits: Vec<(String, oneshot::Sender<Result<(), BoxError>>)>,
    log: Log,
}

/// The events of deliveries, staged effects and commits, in order.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn push(&self, event: String) {
        self.0.lock().unwrap().push_back(event);
    }

    fn next(&self) -> Option<String> {
        self.0.lock().unwrap().pop_front()
    }
}

impl Application {
    /// Creates an application, and the service that passes the requests to it.
    ///
    /// If `shows_own` is false, the service accepts `CONNECTED` and `UNSUBSCRIBE` requests that the session makes itself,
    /// and no step mentions them.
    pub(crate) fn new(session: Session, shows_own: bool) -> (Application, Calls) {
        let (sender, calls) = mpsc::unbounded_channel();
        let readiness = Arc::new(Readiness::default());
        let service = Calls {
            readiness: Arc::clone(&readiness),
            calls: sender,
            shows_own,
        };
        let application = Application {
            session,
            readiness,
            calls,
            waiting: None,
            topic: Topic::new(),
            queues: Vec::new(),
            commits: Vec::new(),
            log: Log::default(),
        };
        (application, service)
    }

    /// Performs a step `app: WHAT`.
    pub(crate) fn perform(&mut self, what: &str) -> Outcome {
        let words: Vec<_> = what.split(' ').collect();
        match words[..] {
            ["busy"] => self.readiness.set(false),
            ["ready"] => self.readiness.set(true),
            ["idle"] => return self.expect_idle(),
            ["answer", ref answer @ ..] => {
                let (request, sender) = self.waiting.take().ok_or(NO_REQUEST_WAITS)?;
                return self.answer(request, sender, answer);
            }
            ["cancelled"] => {
                let (_, sender) = self.waiting.as_ref().ok_or(NO_REQUEST_WAITS)?;
                return check(sender.is_closed(), || {
                    "the session still waits for the answer".into()
                });
            }
            ["publish", text] => {
                let published = self.topic.publish(text.to_owned());
                return published.map_err(|error| error.to_string());
            }
            ["deliver", text, ref options @ ..] => return self.deliver(text, options),
            ["end"] => drop(self.queues.pop().ok_or(NO_QUEUE)?),
            ["fail", code, ref close @ ..] => {
                let (_, queue) = self.queues.last().ok_or(NO_QUEUE)?;
                queue
                    .send(Err(error(code, close).into()))
                    .map_err(|_| "the session has dropped the queue")?;
            }
            ["commit", name, ref outcome @ ..] => return self.end_commit(name, outcome),
            ["settled" | "ran" | "dropped" | "began", ..] => {
                let next = self.log.next();
                return check(next.as_deref() == Some(what), || match next {
                    Some(next) => format!("the next event is {next:?}"),
                    None => "nothing happened".into(),
                });
            }
            _ => return self.perform_with_handle(what, &words),
        }
        Ok(())
    }

    /// Performs a step that uses the session's handle, or expects a request.
    fn perform_with_handle(&mut self, what: &str, words: &[&str]) -> Outcome {
        match *words {
            ["message", destination, text, ref headers @ ..] => {
                let message = message(text, headers);
                let sent = self.session.message(&unescaped(destination), message);
                return sent.map_err(|error| error.to_string());
            }
            ["no-subscription", destination] => {
                let sent = self.session.message(&unescaped(destination), "unexpected");
                return check(sent.is_err(), || "a subscription exists".into());
            }
            ["subscribe", destination, ref expected @ ..] => {
                let destination = DestinationSyntax::default()
                    .parse(unescaped(destination))
                    .map_err(|error| error.to_string())?;
                let stream = self.open_queue(destination.as_str());
                return match (self.session.subscribe(&destination, stream), expected) {
                    (Ok(()), []) => Ok(()),
                    (Err(error), ["err", code]) => {
                        let found = ClientError::from(error);
                        check(found.code() == *code, || format!("it failed with {found}"))
                    }
                    (result, _) => Err(format!("it ended with {result:?}")),
                };
            }
            ["connected"] => self.session.connected([("server", "early")]),
            ["error", code, ref close @ ..] => {
                let sent = self.session.error(error(code, close));
                return sent.map_err(|error| error.to_string());
            }
            ["expires", after] => {
                let seconds = after
                    .strip_prefix('+')
                    .and_then(|after| after.strip_suffix('s')?.parse().ok())
                    .ok_or("the time is not like +1.5s")?;
                let time = Instant::now() + Duration::from_secs_f64(seconds);
                self.session.expires_at(time.into_std());
            }
            ["close"] => self.session.close(CloseCode::Away),
            ["close", reason] => self
                .session
                .close_with(CloseCode::Policy, &unescaped(reason)),
            ["subscriptions", ref expected @ ..] => {
                let subscriptions = self.session.subscriptions();
                let found: Vec<_> = subscriptions.iter().map(described).collect();
                return check(found == expected, || format!("they are {found:?}"));
            }
            _ => return self.expect_request(what),
        }
        Ok(())
    }

    /// Checks that no request and no event is left that no step mentioned.
    pub(crate) fn expect_done(&mut self) -> Outcome {
        self.expect_idle()?;
        match self.log.next() {
            Some(event) => Err(format!("no step expects the event {event:?}")),
            None => Ok(()),
        }
    }

    fn expect_idle(&mut self) -> Outcome {
        match self.calls.try_recv() {
            Ok((request, _)) => Err(format!("the application was called with {request:?}")),
            Err(_) => Ok(()),
        }
    }

    /// Performs a step `COMMAND header:value … ANSWER | body`.
    fn expect_request(&mut self, what: &str) -> Outcome {
        let (request, sender) = self
            .calls
            .try_recv()
            .map_err(|_| "the application was not called")?;
        let (head, body) = what
            .split_once(" |")
            .map_or((what, String::new()), |(head, body)| {
                (head, format!(" |{body}"))
            });
        let words: Vec<_> = head.split(' ').collect();
        let is_header = |word: &&str| word.contains(':') || word.starts_with('-');
        let headers = words[1..].iter().take_while(|word| is_header(word)).count();
        let (frame, answer) = words.split_at(1 + headers);
        let expected = Expected::parse(&(frame.join(" ") + &body))?;
        let fits = expected.fits(
            request.command(),
            request.headers(),
            request.body(),
            &mut Names::default(),
        );
        check(fits, || {
            format!("called with {request:?} {:?}", request.body())
        })?;
        self.answer(request, sender, answer)
    }

    fn answer(
        &mut self,
        request: Request,
        sender: oneshot::Sender<Answer>,
        answer: &[&str],
    ) -> Outcome {
        let answer = match *answer {
            [] | ["ok"] => Ok(Response::Done),
            ["ok", ref headers @ ..] => Ok(Response::Connected(connected(headers))),
            ["err", code, ref close @ ..] => Err(error(code, close).into()),
            ["fail"] => Err("secret: a database is gone".into()),
            ["wait"] => {
                self.waiting = Some((request, sender));
                return Ok(());
            }
            ["observe"] => Ok(Response::observe(self.topic.subscribe())),
            ["queue"] => Ok(self.queue(&request)),
            ["forward"] => {
                let message =
                    Message::from_parts(request.headers().clone(), request.body().clone());
                self.push(message.into(), None)?;
                Ok(Response::Done)
            }
            ["stage", name, ref rest @ ..] => {
                let effect = Effect::new(name, &self.log);
                let staging = request.transaction().ok_or(NO_TRANSACTION)?;
                staging.stage(move || effect.run());
                return self.answer(request, sender, rest);
            }
            ["commit-later", name, ref rest @ ..] => {
                self.commit_later(name, &request)?;
                return self.answer(request, sender, rest);
            }
            [reason] if format!("{:?}", request.reason()) == format!("Some({reason})") => {
                Ok(Response::Done)
            }
            _ => {
                let reason = request.reason();
                return Err(format!("unknown answer; the reason is {reason:?}"));
            }
        };
        // An error means that the session has cancelled the call.
        let _ = sender.send(answer);
        Ok(())
    }

    /// Adds a future to a transaction that completes with a step `commit NAME OUTCOME`.
    fn commit_later(&mut self, name: &str, request: &Request) -> Outcome {
        let staging = request.transaction().ok_or(NO_TRANSACTION)?;
        let effect = Effect::new(name, &self.log);
        let (end, ended) = oneshot::channel();
        self.commits.push((name.to_owned(), end));
        staging.on_commit(move || {
            effect.log.push(format!("began {}", effect.name));
            async move {
                let result = ended.await;
                effect.finish();
                result?
            }
        });
        Ok(())
    }

    /// Performs a step `commit NAME OUTCOME`.
    fn end_commit(&mut self, name: &str, outcome: &[&str]) -> Outcome {
        let place = self.commits.iter().position(|(known, _)| known == name);
        let (_, end) = self.commits.remove(place.ok_or("no such commit")?);
        let result = match *outcome {
            ["ok"] => Ok(()),
            ["err", code, ref close @ ..] => Err(error(code, close).into()),
            ["fail"] => Err("secret: a database is gone".into()),
            ["vanish"] => return Ok(()),
            _ => return Err("unknown outcome".into()),
        };
        end.send(result)
            .map_err(|_| "the session has dropped the future".into())
    }

    /// The answer with a stream of what later steps deliver.
    fn queue(&mut self, request: &Request) -> Response {
        let name = request.headers().get("id");
        Response::Observe(self.open_queue(name.unwrap_or(request.destination().as_str())))
    }

    /// A stream of what later steps deliver to this subscription.
    fn open_queue(&mut self, name: &str) -> MessageStream {
        let (sender, receiver) = mpsc::unbounded_channel::<Item>();
        self.queues.push((name.to_owned(), sender));
        let stream = stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        });
        MessageStream::new(stream)
    }

    /// Performs a step `deliver TEXT to ID redelivered header:value …`.
    fn deliver(&mut self, text: &str, mut options: &[&str]) -> Outcome {
        let mut queue = None;
        if let ["to", id, rest @ ..] = options {
            (queue, options) = (Some(*id), rest);
        }
        let is_redelivered = options.first() == Some(&"redelivered");
        options = &options[usize::from(is_redelivered)..];
        let mut id = None;
        if let ["as", number, rest @ ..] = options {
            let number: u128 = number.parse().map_err(|_| "the id is not a number")?;
            (id, options) = (Some(number), rest);
        }
        let mut message = message(text, options);
        if let Some(number) = id {
            message = message.with_id(number.into());
        }
        let (log, text) = (self.log.clone(), text.to_owned());
        let delivery = Delivery::new(message).on_settled(move |settlement| {
            log.push(format!(
                "settled {text} {}",
                format!("{settlement:?}").to_lowercase()
            ));
        });
        self.push(
            if is_redelivered {
                delivery.with_redelivered()
            } else {
                delivery
            },
            queue,
        )
    }

    fn push(&self, delivery: Delivery, queue: Option<&str>) -> Outcome {
        let mut queues = self.queues.iter().rev();
        let (_, sender) = queues
            .find(|(name, _)| queue.is_none_or(|queue| queue == name))
            .ok_or(NO_QUEUE)?;
        // If the session has dropped the queue, the delivery settles itself as unsent.
        let _ = sender.send(Ok(delivery));
        Ok(())
    }
}

/// An effect or a commit of a transaction that logs whether it ran or was dropped.
struct Effect {
    name: String,
    log: Log,
    has_run: bool,
}

impl Effect {
    fn new(name: &str, log: &Log) -> Effect {
        Effect {
            name: name.to_owned(),
            log: log.clone(),
            has_run: false,
        }
    }

    fn run(self) {
        self.log.push(format!("ran {}", self.name));
        self.finish();
    }

    fn finish(mut self) {
        self.has_run = true;
    }
}

impl Drop for Effect {
    fn drop(&mut self) {
        if !self.has_run {
            self.log.push(format!("dropped {}", self.name));
        }
    }
}

/// The id and the destination of a subscription, as a step writes them.
fn described(subscription: &SubscriptionInfo) -> String {
    let id = subscription.id().unwrap_or_default();
    format!("{id}:{}", subscription.destination())
}

fn check(holds: bool, reason: impl FnOnce() -> String) -> Outcome {
    if holds { Ok(()) } else { Err(reason()) }
}

/// The error of a step. `options` is `close`, or nothing.
fn error(code: &str, options: &[&str]) -> ClientError {
    let error = ClientError::new(code.to_owned(), "Refused.");
    match options {
        [] => error,
        ["close"] => error.with_close(CloseCode::Internal),
        unknown => panic!("unknown options {unknown:?}"),
    }
}

fn headers(words: &[&str]) -> Headers {
    words
        .iter()
        .filter_map(|word| word.split_once(':'))
        .map(|(name, value)| (unescaped(name), unescaped(value)))
        .collect()
}

fn message(text: &str, words: &[&str]) -> Message {
    Message::from_parts(headers(words), unescape(text).into())
}

fn connected(words: &[&str]) -> Connected {
    headers(words)
        .iter()
        .fold(Connected::new(), |connected, (name, value)| {
            connected.with_header(name, value)
        })
}

/// State of the service: ready or busy.
#[derive(Debug, Default)]
struct Readiness {
    is_busy: AtomicBool,
    waiting: AtomicWaker,
}

impl Readiness {
    fn set(&self, is_ready: bool) {
        self.is_busy.store(!is_ready, Ordering::Relaxed);
        self.waiting.wake();
    }
}

/// The service, which passes its requests to the application.
pub(crate) struct Calls {
    readiness: Arc<Readiness>,
    calls: mpsc::UnboundedSender<Call>,
    shows_own: bool,
}

impl Service<Request> for Calls {
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.readiness.waiting.register(cx.waker());
        if self.readiness.is_busy.load(Ordering::Relaxed) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let is_hidden = !request.is_from_peer() && request.command() != Command::Disconnect;
        if is_hidden && !self.shows_own {
            return ready(Ok(Response::Done)).boxed();
        }
        let (sender, receiver) = oneshot::channel();
        let _ = self.calls.send((request, sender));
        receiver
            .map(|answer| answer.unwrap_or_else(|_| Err("the request was dropped".into())))
            .boxed()
    }
}
