//! The task that runs a session.

mod driver;
mod inbox;
mod outgoing;
mod streams;

use crate::{
    config::Config,
    error::{BoxError, Panicked},
    protocol::Output,
    request::Request,
    requests::{self, Channel, Requests},
    response::Response,
    session::Session,
};
use driver::Work;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use stomp_socket::Socket;
use tokio::time::Sleep;
use tower_service::Service;

pin_project! {
    /// The future that owns a session's socket and does its work: it ends when the session has.
    ///
    /// Awaited as it is, it hands requests to [`Requests`](crate::Requests); with [`run`](Connection::run), to a
    /// service. It needs a tokio runtime with time enabled. Dropping it cuts the connection without a word; to end it
    /// well, call [`Session::close`].
    #[must_use = "nothing happens unless the connection is polled"]
    pub struct Connection {
        #[pin]
        run: Run<Channel>,
    }
}

impl Session {
    /// A session over `socket`: its handle, the peer's requests, and the connection that has to be polled.
    pub fn new(socket: Socket, config: impl Into<Arc<Config>>) -> (Session, Requests, Connection) {
        let config = config.into();
        let session = Session::open(Arc::clone(socket.peer()), config.mailbox);
        let (channel, requests) = requests::channel(session.clone());
        let connection = Connection::new(socket, config, session.clone(), channel);
        (session, requests, connection)
    }
}

impl Connection {
    fn new(socket: Socket, config: Arc<Config>, session: Session, channel: Channel) -> Connection {
        Connection {
            run: Run::new(Work::new(socket, config, session), channel),
        }
    }

    /// Calls `service` with the peer's requests, one at a time and in order.
    ///
    /// Readiness is asked for only with a request at hand, and the service is called at once then: so a service that
    /// hands out permits when it is asked gives none to idle sessions. A panic of the service is an error of this
    /// session and of no other.
    pub fn run<S>(self, service: S) -> Run<S>
    where
        S: Service<Request, Response = Response>,
        S::Error: Into<BoxError>,
    {
        let mut work = self.run.work;
        work.serve();
        Run::new(work, service)
    }
}

impl Future for Connection {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().run.poll(cx)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("session", &self.run.work.session)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A [`Connection`] that calls a service.
    #[must_use = "nothing happens unless the connection is polled"]
    pub struct Run<S: Service<Request>> {
        work: Work,
        // Gone once its readiness was waited for in vain.
        service: Option<S>,
        // The request that waits for the service to be ready.
        request: Option<Request>,
        #[pin]
        call: Option<S::Future>,
        #[pin]
        sleep: Option<Sleep>,
        // When `sleep` wakes.
        alarm: Option<Instant>,
    }
}

impl<S> Run<S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError>,
{
    fn new(work: Work, service: S) -> Run<S> {
        Run {
            work,
            service: Some(service),
            request: None,
            call: None,
            sleep: None,
            alarm: None,
        }
    }

    /// Calls the service with the request that waits for it, as soon as it is ready.
    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let (Some(request), Some(service)) = (this.request.take(), this.service.as_mut()) else {
            return;
        };
        match catch(|| service.poll_ready(cx)) {
            Ok(Poll::Pending) => *this.request = Some(request),
            Ok(Poll::Ready(Ok(()))) => match catch(|| service.call(request)) {
                Ok(future) => {
                    this.work.called();
                    this.call.set(Some(future));
                }
                Err(panicked) => this.work.answer(Err(panicked.into())),
            },
            Ok(Poll::Ready(Err(error))) => this.work.answer(Err(error.into())),
            Err(panicked) => this.work.answer(Err(panicked.into())),
        }
    }

    /// Gives the service's answer to the protocol, once it is there.
    fn poll_call(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let Some(future) = this.call.as_mut().as_pin_mut() else {
            return;
        };
        let answer = match catch(|| future.poll(cx)) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(answer)) => answer.map_err(Into::into),
            Err(panicked) => Err(panicked.into()),
        };
        // It is done; what it still holds may panic when it is dropped.
        let _ = catch(|| this.call.set(None));
        this.work.answer(answer);
    }

    fn poll_service(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        self.as_mut().poll_ready(cx);
        self.poll_call(cx);
    }

    /// Does what the protocol wants done.
    fn obey(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        loop {
            let mut this = self.as_mut().project();
            let Some(output) = this.work.protocol.poll_output() else {
                return;
            };
            match output {
                Output::Call => {
                    *this.request = this.work.request();
                    self.as_mut().poll_service(cx);
                }
                Output::Cancel => {
                    *this.request = None;
                    let _ = catch(|| this.call.set(None));
                }
                Output::Abandon => {
                    *this.request = None;
                    let _ = catch(|| *this.service = None);
                }
                other => this.work.obey(other),
            }
        }
    }

    /// Waits for the next deadline, and says whether one has passed.
    fn poll_alarm(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let mut this = self.as_mut().project();
        let Some(deadline) = this.work.deadline() else {
            return false;
        };
        // An alarm that is too early costs one wake; moving it with every frame costs more.
        if this.alarm.is_none_or(|alarm| deadline < alarm) {
            *this.alarm = Some(deadline);
            match this.sleep.as_mut().as_pin_mut() {
                Some(sleep) => sleep.reset(deadline.into()),
                None => this
                    .sleep
                    .set(Some(tokio::time::sleep_until(deadline.into()))),
            }
        }
        if this
            .sleep
            .as_pin_mut()
            .is_none_or(|sleep| sleep.poll(cx).is_pending())
        {
            return false;
        }
        *this.alarm = None;
        this.work.time_out();
        self.obey(cx);
        true
    }
}

impl<S> Future for Run<S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError>,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.as_mut().project().work.begin(cx);
        for _ in 0..TURNS {
            self.as_mut().poll_service(cx);
            self.as_mut().obey(cx);
            self.as_mut().project().work.hear_session();
            self.as_mut().obey(cx);
            self.as_mut().project().work.hear_streams();
            self.as_mut().obey(cx);
            let mut frames = 0;
            while frames < FRAMES && self.as_mut().project().work.poll_frame(cx) {
                self.as_mut().obey(cx);
                frames += 1;
            }
            let work = self.as_mut().project().work;
            let has_room = work.write(cx);
            let has_more = frames == FRAMES || has_room || work.is_called();
            // Whatever else there is to do, heart-beats are sent in time.
            let rang = self.as_mut().poll_alarm(cx);
            if !has_more && !rang {
                return self.project().work.poll_end(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// So often a session turns to its peer, its handles and its streams before other tasks have their turn.
const TURNS: usize = 4;

/// So many frames are handled in one turn, and so answered in one write.
const FRAMES: usize = 32;

/// Calls foreign code.
fn catch<T>(call: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|_| Panicked)
}
