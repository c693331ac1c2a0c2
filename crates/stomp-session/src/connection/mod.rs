//! The connection of a session: the future that does its work.

mod batches;
mod calls;
mod commands;
mod driver;
mod failures;
mod inbox;
mod incoming;
mod outgoing;
mod pending_subscription;
mod reports;
mod streams;
mod telemetry;

use crate::{
    catch_panic::catch_panic,
    config::Config,
    error::BoxError,
    monitor::Outcome,
    protocol::output::{CallOutput, Output},
    request::Request,
    requests::{self, RequestSender, Requests},
    response::Response,
    session::{HandleSettings, Session},
    staging::CommitFuture,
};
use driver::Driver;
use pin_project_lite::pin_project;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use stomp_socket::Socket;
use tokio::time::Sleep;
use tower_service::Service;

pin_project! {
    /// Future that owns the socket of a session and does its work. It completes when the session has ended.
    ///
    /// Awaited directly, it passes requests to [`Requests`]; [`run`](Connection::run) makes it call a service instead.
    /// It needs a tokio runtime with time enabled. Dropping it aborts the connection; for an orderly end, call
    /// [`Session::close`].
    #[must_use = "nothing happens unless the connection is polled"]
    pub struct Connection {
        #[pin]
        run: Run<RequestSender>,
    }
}

impl Session {
    /// Creates a session over `socket`: its handle, the requests of the peer, and the connection, which must be polled.
    pub fn new(socket: Socket, config: impl Into<Arc<Config>>) -> (Session, Requests, Connection) {
        let driver = Driver::open(socket, config.into());
        let session = driver.session.clone();
        let (sender, requests) = requests::channel(session.clone());
        let connection = Connection {
            run: Run::new(driver, sender),
        };
        (session, requests, connection)
    }

    /// Creates a session over `socket` whose connection calls `service`: its handle, and the connection, which must be
    /// polled. It does the same as [`Session::new`] and [`Connection::run`], but creates no [`Requests`].
    pub fn with_service<S>(
        socket: Socket,
        config: impl Into<Arc<Config>>,
        service: S,
    ) -> (Session, Run<S>)
    where
        S: Service<Request, Response = Response>,
        S::Error: Into<BoxError>,
    {
        let mut driver = Driver::open(socket, config.into());
        driver.set_has_service();
        (driver.session.clone(), Run::new(driver, service))
    }
}

impl Driver {
    /// Opens a session over a socket.
    fn open(socket: Socket, config: Arc<Config>) -> Driver {
        let settings = HandleSettings {
            backlog: config.backlog,
            memory_budget: config.memory_budget.clone(),
            max_streams: config.max_streams,
            max_subscriptions: config.max_subscriptions,
            max_destination_bytes: config.max_destination_bytes,
            destinations: config.destinations.clone(),
            sessions: config.sessions.downgrade(),
        };
        let session = Session::open(Arc::clone(socket.peer()), settings);
        Driver::new(socket, config, session)
    }
}

impl Connection {
    /// Calls `service` with the requests of the peer, one at a time and in order.
    ///
    /// The service is polled for readiness only if there is a request, and is called as soon as it is ready. So a
    /// service that reserves a permit in `poll_ready` reserves none for idle sessions. A panic of the service is
    /// caught, and is the error with which it answers the request.
    pub fn run<S>(self, service: S) -> Run<S>
    where
        S: Service<Request, Response = Response>,
        S::Error: Into<BoxError>,
    {
        let mut driver = self.run.driver;
        driver.set_has_service();
        Run::new(driver, service)
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
            .field("session", &self.run.driver.session)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A [`Connection`] that calls a service.
    #[must_use = "nothing happens unless the connection is polled"]
    pub struct Run<S: Service<Request>> {
        driver: Driver,
        // `None` after the service was not ready in time.
        service: Option<S>,
        // The request that waits for the service to be ready. In a box, because services are mostly ready.
        request: Option<Box<Request>>,
        #[pin]
        call: Option<S::Future>,
        // The futures of a transaction that is being committed.
        commit: Option<CommitFuture>,
        #[pin]
        sleep: Option<Sleep>,
        // The time at which `sleep` completes.
        wake_at: Option<Instant>,
    }
}

impl<S> Run<S>
where
    S: Service<Request, Response = Response>,
    S::Error: Into<BoxError>,
{
    fn new(driver: Driver, service: S) -> Run<S> {
        Run {
            driver,
            service: Some(service),
            request: None,
            call: None,
            commit: None,
            sleep: None,
            wake_at: None,
        }
    }

    /// Calls the service with a request when the service is ready.
    fn start_call(mut self: Pin<&mut Self>, mut request: Option<Request>, cx: &mut Context<'_>) {
        match self.as_mut().poll_ready(cx) {
            Poll::Pending => {
                let this = self.project();
                *this.request = request.map(Box::new);
                this.driver.protocol.handle_call_pending(this.driver.now);
            }
            Poll::Ready(ready) => self.call(&mut request, ready, false, cx),
        }
    }

    /// Calls the service with the request that waits, if the service is ready. Returns true if a request waited.
    fn poll_request(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        if self.as_mut().project().request.is_none() {
            return false;
        }
        if let Poll::Ready(ready) = self.as_mut().poll_ready(cx) {
            let request = self.as_mut().project().request.take();
            self.call(&mut request.map(|request| *request), ready, true, cx);
        }
        true
    }

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Some(service) = self.project().service else {
            return Poll::Pending;
        };
        match catch_panic(|| service.poll_ready(cx)) {
            Ok(ready) => ready.map_err(Into::into),
            Err(panicked) => Poll::Ready(Err(panicked.into())),
        }
    }

    /// Calls the service with a request, unless the service has failed. Takes the request from `request`, because moves of
    /// requests cost much.
    fn call(
        mut self: Pin<&mut Self>,
        request: &mut Option<Request>,
        ready: Result<(), BoxError>,
        has_waited: bool,
        cx: &mut Context<'_>,
    ) {
        let driver = &mut *self.as_mut().project().driver;
        match ready {
            Err(error) => driver.handle_answer(Err(error)),
            Ok(()) => {
                if let Some(request) = request {
                    driver.report_called(request.command());
                }
                driver.protocol.handle_call_started(has_waited, driver.now);
                self.run_call(request, cx);
            }
        }
    }

    /// Polls the call of the service, and passes its answer on.
    fn poll_call(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if self.call.is_some() {
            self.run_call(&mut None, cx);
        }
    }

    /// Calls the service if there is a request, polls the call, and passes its answer on.
    fn run_call(self: Pin<&mut Self>, request: &mut Option<Request>, cx: &mut Context<'_>) {
        let mut this = self.project();
        let driver = &*this.driver;
        let mut answer = Poll::Pending;
        let run = || {
            if let (Some(request), Some(service)) = (request.take(), this.service) {
                this.call.set(Some(service.call(request)));
                driver.record_route();
            }
            if let Some(future) = this.call.as_mut().as_pin_mut() {
                answer = future.poll(cx);
            }
            if answer.is_ready() {
                this.call.set(None);
            }
        };
        // Around all steps, because each catch costs as much as a step.
        let result = driver.telemetry.in_call(|| catch_panic(run));
        let answer = match (answer, result) {
            // Values that the completed future still held may have panicked when they were dropped.
            (Poll::Ready(answer), _) => answer.map_err(Into::into),
            (Poll::Pending, Ok(())) => {
                return this.driver.protocol.handle_call_pending(this.driver.now);
            }
            (Poll::Pending, Err(panicked)) => {
                let _ = catch_panic(|| this.call.set(None));
                Err(panicked.into())
            }
        };
        this.driver.handle_answer(answer);
    }

    /// Polls the futures of a transaction, and passes their result on.
    fn poll_commit(self: Pin<&mut Self>, cx: &mut Context<'_>) {
        let this = self.project();
        let Some(future) = this.commit else {
            return;
        };
        let poll = || catch_panic(|| Pin::new(future).poll(cx));
        let result = match this.driver.telemetry.in_call(poll) {
            Ok(Poll::Pending) => return,
            Ok(Poll::Ready(result)) => result,
            Err(panicked) => Err(panicked.into()),
        };
        *this.commit = None;
        this.driver.handle_committed(result);
    }

    fn poll_service(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        if !self.as_mut().poll_request(cx) {
            self.as_mut().poll_call(cx);
        }
        self.poll_commit(cx);
    }

    /// Carries out all outputs of the protocol, in order.
    fn handle_outputs(mut self: Pin<&mut Self>, cx: &mut Context<'_>) {
        loop {
            let mut this = self.as_mut().project();
            let Some(output) = this.driver.protocol.poll_output() else {
                return;
            };
            match output {
                Output::Io(output) => this.driver.handle_io_output(output),
                Output::Call(CallOutput::Start) => {
                    let request = this.driver.take_request();
                    if request.is_some() {
                        self.as_mut().start_call(request, cx);
                    }
                }
                Output::Call(CallOutput::Commit(future)) => {
                    this.driver.start_commit();
                    *this.commit = Some(future);
                    self.as_mut().poll_commit(cx);
                }
                Output::Call(CallOutput::Cancel) => {
                    this.driver.log_timeout();
                    this.driver.report_handled(None, Outcome::TimedOut);
                    *this.request = None;
                    *this.commit = None;
                    let _ = catch_panic(|| this.call.set(None));
                }
                Output::Call(CallOutput::DropService) => {
                    let request = this.request.take();
                    let command = request.map(|request| request.command());
                    this.driver.report_handled(command, Outcome::Overloaded);
                    let _ = catch_panic(|| *this.service = None);
                }
            }
        }
    }

    /// Waits for the next deadline. Returns true if one has passed, after handling it.
    fn poll_deadline(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        let mut this = self.as_mut().project();
        let Some(deadline) = this.driver.update_deadline() else {
            return false;
        };
        // A timer that fires too early costs one wake; to move it with every frame costs more.
        if this.wake_at.is_none_or(|wake_at| deadline < wake_at) {
            *this.wake_at = Some(deadline);
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
        *this.wake_at = None;
        this.driver.handle_timeout();
        self.handle_outputs(cx);
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
        let span = self.as_mut().project().driver.telemetry.span().clone();
        let _entered = span.enter();
        self.as_mut().project().driver.start_poll(cx);
        for _ in 0..TURNS_PER_POLL {
            self.as_mut().poll_service(cx);
            self.as_mut().handle_outputs(cx);
            self.as_mut().project().driver.process_commands();
            self.as_mut().handle_outputs(cx);
            self.as_mut().project().driver.poll_streams();
            self.as_mut().handle_outputs(cx);
            self.as_mut().project().driver.telemetry.is_reading = true;
            let mut frames = 0;
            while frames < FRAMES_PER_TURN && self.as_mut().project().driver.poll_frame(cx) {
                self.as_mut().handle_outputs(cx);
                frames += 1;
            }
            let driver = self.as_mut().project().driver;
            driver.telemetry.is_reading = false;
            driver.telemetry.last_ended_at = None;
            let has_room_again = driver.poll_flush(cx);
            let has_more = frames == FRAMES_PER_TURN || has_room_again || driver.has_pending_work();
            // Checked in every turn, so that heart-beats are in time even if there is always more to do.
            let has_timed_out = self.as_mut().poll_deadline(cx);
            if !has_more && !has_timed_out {
                self.as_mut().project().driver.protocol.release_buffers();
                return self.project().driver.poll_close(cx);
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Maximum turns in one poll. In each turn, the session serves its service, handles, streams and socket. After the last
/// turn, it yields to other tasks.
const TURNS_PER_POLL: usize = 4;

/// Maximum frames that are handled in one turn. Their answers are sent in one write.
const FRAMES_PER_TURN: usize = 32;
