//! The application of a conversation: what it is asked, what it answers, and what it does of its own accord.

use crate::text::{Expected, unescape, unescaped};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream, task::AtomicWaker};
use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use stomp_frame::Headers;
use stomp_session::{
    BoxError, ClientError, Connected, Delivery, Message, Request, Response, Session, Topic,
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

pub(crate) struct Application {
    session: Session,
    door: Arc<Door>,
    calls: mpsc::UnboundedReceiver<Call>,
    /// A request that is being answered.
    waiting: Option<Call>,
    topic: Topic<String>,
    /// By the id, or the destination, of the subscription.
    queues: Vec<(String, mpsc::UnboundedSender<Item>)>,
    log: Log,
}

/// What became of deliveries and staged effects, in order.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<VecDeque<String>>>);

impl Log {
    fn note(&self, what: String) {
        self.0.lock().unwrap().push_back(what);
    }

    fn next(&self) -> Option<String> {
        self.0.lock().unwrap().pop_front()
    }
}

impl Application {
    pub(crate) fn start(session: Session) -> (Application, Calls) {
        let (sender, calls) = mpsc::unbounded_channel();
        let door = Arc::new(Door::default());
        let service = Calls {
            door: Arc::clone(&door),
            calls: sender,
        };
        let (topic, queues, log) = (Topic::new(), Vec::new(), Log::default());
        (
            Application {
                session,
                door,
                calls,
                waiting: None,
                topic,
                queues,
                log,
            },
            service,
        )
    }

    pub(crate) fn does(&mut self, what: &str) -> Outcome {
        let words: Vec<_> = what.split(' ').collect();
        match words[..] {
            ["busy"] => self.door.set(true),
            ["ready"] => self.door.set(false),
            ["idle"] => return self.is_idle(),
            ["answer", ref answer @ ..] => {
                let (request, sender) = self.waiting.take().ok_or("nothing waits")?;
                return self.answer(request, sender, answer);
            }
            ["given-up"] => {
                let (_, sender) = self.waiting.as_ref().ok_or("nothing waits")?;
                return if sender.is_closed() {
                    Ok(())
                } else {
                    Err("but it is waited for".into())
                };
            }
            ["publish", text] => {
                return self
                    .topic
                    .publish(text.to_owned())
                    .map_err(|error| error.to_string());
            }
            ["deliver", text, ref how @ ..] => return self.deliver(text, how),
            ["end"] => drop(self.queues.pop().ok_or("no queue")?),
            ["fail", code] => {
                let (_, queue) = self.queues.last().ok_or("no queue")?;
                queue
                    .send(Err(refused(code).into()))
                    .map_err(|_| "nobody takes it")?;
            }
            ["settled" | "ran" | "dropped", ..] => {
                let next = self.log.next();
                return if next.as_deref() == Some(what) {
                    Ok(())
                } else {
                    Err(format!("but {next:?}"))
                };
            }
            ["message", destination, text, ref headers @ ..] => {
                let message = message(text, headers);
                return self
                    .session
                    .message(&unescaped(destination), message)
                    .map_err(|error| error.to_string());
            }
            ["connected"] => self.session.connected([("server", "early")]),
            ["unheard", destination] => {
                let is_heard = self
                    .session
                    .message(&unescaped(destination), "nobody")
                    .is_ok();
                return if is_heard {
                    Err("but somebody is subscribed".into())
                } else {
                    Ok(())
                };
            }
            ["error", code] => self.session.error(refused(code)),
            ["expires", after] => {
                let after = after
                    .strip_prefix('+')
                    .and_then(|after| after.strip_suffix('s'))
                    .ok_or("when?")?;
                let after = Duration::from_secs_f64(after.parse().map_err(|_| "when?")?);
                self.session.expires_at((Instant::now() + after).into_std());
            }
            ["close"] => self.session.close(CloseCode::Away),
            _ => return self.is_asked(what),
        }
        Ok(())
    }

    /// Nothing is left that nobody has spoken of.
    pub(crate) fn is_done(&mut self) -> Outcome {
        self.is_idle()?;
        self.log
            .next()
            .map_or(Ok(()), |left| Err(format!("but also {left}")))
    }

    fn is_idle(&mut self) -> Outcome {
        self.calls
            .try_recv()
            .map_or(Ok(()), |(request, _)| Err(format!("but {request:?}")))
    }

    /// `COMMAND header:value … ANSWER | body`
    fn is_asked(&mut self, what: &str) -> Outcome {
        let (request, sender) = self.calls.try_recv().map_err(|_| "no request")?;
        let (head, body) = what
            .split_once(" |")
            .map_or((what, String::new()), |(head, body)| {
                (head, format!(" |{body}"))
            });
        let words: Vec<_> = head.split(' ').collect();
        let is_header = |word: &&str| word.contains(':') || word.starts_with('-');
        let headers = words[1..].iter().take_while(|word| is_header(word)).count();
        let (frame, answer) = words.split_at(1 + headers);
        if !Expected::parse(&(frame.join(" ") + &body))?.fits(
            request.command(),
            request.headers(),
            request.body(),
        ) {
            return Err(format!("but {request:?} {:?}", request.body()));
        }
        self.answer(request, sender, answer)
    }

    fn answer(
        &mut self,
        request: Request,
        sender: oneshot::Sender<Answer>,
        how: &[&str],
    ) -> Outcome {
        let answer = match *how {
            [] | ["ok"] => Ok(Response::Done),
            ["ok", ref headers @ ..] => Ok(Response::Connected(connected(headers))),
            ["err", code] => Err(refused(code).into()),
            ["fail"] => Err("secret: a database is gone".into()),
            ["wait"] => {
                self.waiting = Some((request, sender));
                return Ok(());
            }
            ["observe"] => Ok(Response::Observe(self.topic.subscribe().boxed())),
            ["queue"] => Ok(self.queue(&request)),
            ["forward"] => {
                let message =
                    Message::from_parts(request.headers().clone(), request.body().clone());
                self.push(message.into(), None)?;
                Ok(Response::Done)
            }
            ["stage", name, ref rest @ ..] => {
                let effect = Effect {
                    name: name.to_owned(),
                    log: self.log.clone(),
                    has_run: false,
                };
                let staging = request.transaction().ok_or("it is in no transaction")?;
                staging.stage(move || effect.run());
                return self.answer(request, sender, rest);
            }
            [reason] if format!("{:?}", request.reason()) == format!("Some({reason})") => {
                Ok(Response::Done)
            }
            _ => return Err(format!("but {:?}", request.reason())),
        };
        // Where nobody waits any more, the call was given up.
        let _ = sender.send(answer);
        Ok(())
    }

    fn queue(&mut self, request: &Request) -> Response {
        let (sender, receiver) = mpsc::unbounded_channel::<Item>();
        let name = request.headers().get("id").unwrap_or(request.destination());
        self.queues.push((name.to_owned(), sender));
        let stream = stream::unfold(receiver, |mut receiver| async {
            Some((receiver.recv().await?, receiver))
        });
        Response::Observe(stream.boxed())
    }

    /// `TEXT to ID redelivered header:value …`
    fn deliver(&mut self, text: &str, mut how: &[&str]) -> Outcome {
        let mut queue = None;
        if let ["to", id, rest @ ..] = how {
            (queue, how) = (Some(*id), rest);
        }
        let is_redelivered = how.first() == Some(&"redelivered");
        let message = message(text, &how[usize::from(is_redelivered)..]);
        let (log, text) = (self.log.clone(), text.to_owned());
        let delivery = Delivery::new(message).on_settled(move |settlement| {
            log.note(format!(
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
            .ok_or("no queue")?;
        // One that nobody takes is settled as unsent.
        let _ = sender.send(Ok(delivery));
        Ok(())
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
        self.log.note(format!("ran {}", self.name));
    }
}

impl Drop for Effect {
    fn drop(&mut self) {
        if !self.has_run {
            self.log.note(format!("dropped {}", self.name));
        }
    }
}

fn refused(code: &str) -> ClientError {
    ClientError::new(code.to_owned(), "Refused.")
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

/// Whether the service is ready.
#[derive(Debug, Default)]
struct Door {
    is_shut: AtomicBool,
    waiting: AtomicWaker,
}

impl Door {
    fn set(&self, is_shut: bool) {
        self.is_shut.store(is_shut, Ordering::Relaxed);
        self.waiting.wake();
    }
}

/// Hands requests to the conversation.
pub(crate) struct Calls {
    door: Arc<Door>,
    calls: mpsc::UnboundedSender<Call>,
}

impl Service<Request> for Calls {
    type Response = Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Answer>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.door.waiting.register(cx.waker());
        if self.door.is_shut.load(Ordering::Relaxed) {
            Poll::Pending
        } else {
            Poll::Ready(Ok(()))
        }
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (sender, receiver) = oneshot::channel();
        let _ = self.calls.send((request, sender));
        receiver
            .map(|answer| answer.unwrap_or_else(|_| Err("nobody answers".into())))
            .boxed()
    }
}
