//! The I/O state of a connection: its socket, protocol, streams and inbox.
//!
//! [`Run`](super::Run) polls the driver and calls the service; the driver does everything else.

use super::{
    failures::map_protected,
    inbox::Inbox,
    incoming::PartialFrame,
    pending_subscription::PendingSubscription,
    streams::Streams,
    telemetry::{Telemetry, is_panic, outcome_of},
};
use crate::{
    catch_drop::CatchDrop,
    command_queue::{CommandQueue, SessionClose, SessionCommand},
    config::Config,
    error::{BoxError, ClientError, PartlyCommitted, RequestsDropped},
    id::SubscriptionKey,
    mailbox::Mailbox,
    monitor::Outcome,
    protocol::{Protocol, output::IoOutput},
    request::Request,
    response::Response,
    session::Session,
};
use futures_util::Sink;
use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use stomp_frame::{Command, Version};
use stomp_socket::{CloseCode, End, Permit, Socket};

pub(super) struct Driver {
    pub(super) config: Arc<Config>,
    pub(super) session: Session,
    /// `None` after the socket was closed or dropped.
    pub(super) socket: Option<Socket>,
    /// The permit of a socket that was dropped. A handler may still run, and the server must not start more handlers
    /// than it has permits.
    permit: Option<Box<dyn Permit>>,
    pub(super) protocol: Protocol,
    pub(super) inbox: Inbox,
    /// The end of the peer's data, kept until the frames before it are handled.
    pub(super) peer_end: Option<End>,
    /// The error of a write. The peer is gone, but frames that it sent before may still be read.
    pub(super) write_error: Option<End>,
    pub(super) streams: Streams,
    /// Commands that were taken from the handles and not carried out yet.
    pub(super) commands: VecDeque<SessionCommand>,
    /// Errors of handles that wait for room. They have overtaken the messages in `commands`.
    pub(super) errors: VecDeque<ClientError>,
    /// The close by a handle.
    pub(super) close: Option<SessionClose>,
    /// True if commands are left in the queue of the handles, because earlier ones wait for room.
    pub(super) has_more_commands: bool,
    /// Mailboxes for messages that `Session` handles send to subscriptions with acknowledgment. A message waits there
    /// until its subscription has credit.
    pub(super) mailboxes: Vec<(SubscriptionKey, Mailbox)>,
    /// Messages and streams for the subscription that the service is asked to accept.
    pub(super) pending: PendingSubscription,
    /// Number of frames that were written to the socket since its buffer was last empty.
    pub(super) unsent_frames: usize,
    /// Number of frames received.
    pub(super) received_frames: u64,
    /// The incomplete frame that the socket holds, if any.
    pub(super) partial_frame: Option<PartialFrame>,
    /// True if the connection calls a service. Then dropping [`Requests`](crate::Requests) does not close it.
    pub(super) has_service: bool,
    /// Time of the current poll.
    pub(super) now: Instant,
    /// [`Socket::received_bytes`] at the last poll.
    pub(super) received_bytes: u64,
    /// True if reading was paused at the last poll.
    is_paused: bool,
    /// True if the server shuts down: frames that were read are handled, and later ones are dropped. A dropped frame
    /// gets no answer, so its sender knows that it was not handled.
    pub(super) is_draining: bool,
    is_closing: bool,
    pub(super) telemetry: Telemetry,
}

impl Driver {
    pub(super) fn new(socket: Socket, config: Arc<Config>, session: Session) -> Driver {
        let now = now();
        Driver {
            received_bytes: socket.received_bytes(),
            telemetry: Telemetry::new(&session, &socket, now),
            streams: Streams::new(
                Arc::clone(session.shared().waker()),
                config.max_total_mailbox_bytes,
            ),
            protocol: Protocol::new(
                Arc::clone(&config),
                session.id(),
                socket.supports_ping(),
                now,
            ),
            socket: Some(socket),
            permit: None,
            inbox: Inbox::default(),
            peer_end: None,
            write_error: None,
            commands: VecDeque::new(),
            errors: VecDeque::new(),
            close: None,
            has_more_commands: false,
            mailboxes: Vec::new(),
            pending: PendingSubscription::default(),
            unsent_frames: 0,
            received_frames: 0,
            partial_frame: None,
            has_service: false,
            now,
            is_paused: false,
            is_draining: false,
            is_closing: false,
            config,
            session,
        }
    }

    /// Starts a poll: reads the clock and registers the wakers.
    pub(super) fn start_poll(&mut self, cx: &mut Context<'_>) {
        self.now = now();
        self.session.shared().waker().register(cx.waker());
        if let Some(socket) = self.socket.as_mut().filter(|_| !self.is_draining) {
            self.is_draining = socket.poll_shutdown(cx).is_ready();
        }
    }

    /// Notes that the connection calls a service, and does not use [`Requests`](crate::Requests).
    pub(super) fn set_has_service(&mut self) {
        self.has_service = true;
    }

    /// Returns true if a handle or a stream has something that can be processed now.
    pub(super) fn has_pending_work(&self) -> bool {
        let has_outgoing = !self.commands.is_empty()
            || !self.errors.is_empty()
            || self.has_more_commands
            || self
                .streams
                .has_ready(|subscription| self.protocol.has_credit(subscription));
        self.session.shared().has_commands() || (has_outgoing && self.has_send_room())
    }

    /// Takes the request with which the service is to be called.
    pub(super) fn take_request(&mut self) -> Option<Request> {
        let parts = self.protocol.take_request()?;
        self.session.shared().reset_route();
        Some(Request::from_parts(parts, self.session.clone()))
    }

    /// Notes that the futures of a transaction run. No route is responsible for all of them.
    pub(super) fn start_commit(&mut self) {
        self.session.shared().reset_route();
        self.report_called(Command::Commit);
    }

    /// Notes that the service was ready and has been called.
    pub(super) fn handle_call_started(&mut self) {
        self.record_route();
        self.protocol.handle_call_started(self.now);
    }

    /// Passes the answer of the service to the protocol.
    pub(super) fn handle_answer(&mut self, answer: Result<Response, BoxError>) {
        // Commands that the service gave to the session before its answer take effect before the answer does.
        self.process_commands();
        let command = self.protocol.current_command();
        let subscription = self.protocol.pending_subscription();
        let outcome = self.pass_answer(answer, command, subscription);
        self.report_handled(command, outcome);
        if let Some(subscription) = subscription {
            self.release_pending(subscription);
        }
    }

    /// Passes the answer to the protocol, with what belongs to it. Returns the outcome for the monitors.
    fn pass_answer(
        &mut self,
        answer: Result<Response, BoxError>,
        command: Option<Command>,
        subscription: Option<SubscriptionKey>,
    ) -> Outcome {
        let is_connect = matches!(command, Some(Command::Connect | Command::Stomp));
        match answer {
            Ok(Response::Done) => self.protocol.handle_answer(Ok(None), self.now),
            Ok(Response::Connected(connected)) if is_connect => {
                if let Some(principal) = connected.principal() {
                    self.session.shared().set_principal(principal.clone());
                    self.record_principal();
                }
                self.protocol.handle_answer(Ok(Some(connected)), self.now);
            }
            Ok(Response::Observe(stream)) if command == Some(Command::Subscribe) => {
                // If the session has ended meanwhile, the subscription has too, and the stream is dropped.
                let stream = CatchDrop::new(stream);
                self.pending
                    .streams
                    .extend(subscription.map(|_| (None, stream)));
                self.protocol.handle_answer(Ok(None), self.now);
            }
            Ok(response) => {
                self.request_span(command).in_scope(|| {
                    tracing::error!(?response, "the response is for another command");
                });
                self.protocol
                    .handle_answer(Err(ClientError::internal()), self.now);
                return Outcome::Failed;
            }
            // The requests of the session itself are many, and nobody waits for their answers.
            Err(error) if self.protocol.is_own_request() && error.is::<RequestsDropped>() => {
                self.protocol.handle_answer(Ok(None), self.now);
            }
            Err(error) => {
                let are_requests_dropped = error.is::<RequestsDropped>();
                let is_panic = is_panic(&error);
                let shown = self.map_error(error, &self.request_span(command));
                let outcome = outcome_of(is_panic, &shown);
                if outcome == Outcome::TimedOut {
                    self.log_layer_timeout(command);
                }
                self.protocol.handle_answer(Err(shown), self.now);
                if are_requests_dropped {
                    self.protocol.handle_close(CloseCode::Away, self.now);
                }
                return outcome;
            }
        }
        Outcome::Ok
    }

    /// Passes the result of the futures of a transaction to the protocol.
    pub(super) fn handle_committed(&mut self, result: Result<(), BoxError>) {
        // Commands that the futures gave to the session take effect before their result does.
        self.process_commands();
        let mut outcome = Outcome::Ok;
        let result = result.map_err(|error| {
            let is_panic = is_panic(&error);
            let span = self.request_span(Some(Command::Commit));
            let shown = if error.is::<PartlyCommitted>() {
                // The client must not see the cause, whatever the mapper makes of it.
                map_protected(error, &span, ClientError::from_error)
            } else {
                self.map_error(error, &span)
            };
            outcome = outcome_of(is_panic, &shown);
            if shown == ClientError::internal() {
                ClientError::engine_unavailable()
            } else {
                shown
            }
        });
        self.report_handled(Some(Command::Commit), outcome);
        self.protocol.handle_committed(result, self.now);
    }

    /// Carries out an output of the protocol that concerns the socket, the handles or the streams.
    pub(super) fn handle_io_output(&mut self, output: IoOutput) {
        match output {
            IoOutput::Write(item) => self.write(&item),
            IoOutput::Negotiated(version) => self.resume_reading(version),
            IoOutput::Join => self.config.sessions.insert(&self.session),
            IoOutput::Subscribed(subscription, id, destination) => {
                let commands = self.session.shared().commands();
                commands
                    .with(|commands, _| commands.add_subscription(subscription, id, destination));
            }
            IoOutput::Unsubscribed(subscription) => {
                let commands = self.session.shared().commands();
                commands.with(|commands, leftovers| {
                    commands.remove_subscription(subscription, leftovers);
                });
                self.mailboxes.retain(|(known, _)| *known != subscription);
                self.streams.remove_subscription(subscription);
            }
            IoOutput::Leave => self.leave(),
            IoOutput::SetCloseReason(reason) => {
                if let Some(socket) = &mut self.socket {
                    socket.set_close_reason(&reason);
                }
            }
            IoOutput::Close(code) => {
                self.is_closing = true;
                self.telemetry.close_code.get_or_insert(code);
                if let Some(socket) = &mut self.socket {
                    socket.set_close_code(code);
                }
            }
            IoOutput::Abort => self.drop_socket(),
        }
    }

    /// Removes the session from the registry, and closes its handles. Drops the commands that were not carried out, and
    /// what is held for a subscription that is not accepted yet.
    fn leave(&mut self) {
        self.config.sessions.remove(&self.session);
        self.session.shared().commands().with(CommandQueue::close);
        self.commands.clear();
        self.errors.clear();
        self.pending = PendingSubscription::default();
        (self.close, self.has_more_commands) = (None, false);
    }

    /// Drops the socket, but not the server's permit.
    fn drop_socket(&mut self) {
        if let Some(mut socket) = self.socket.take() {
            self.received_bytes = socket.received_bytes();
            self.permit = socket.take_permit();
        }
    }

    fn resume_reading(&mut self, version: Version) {
        if let Some(socket) = &mut self.socket {
            // The WebSocket sub-protocol names a version too. If they differ, the CONNECT frame decides.
            let subprotocol = socket.peer().subprotocol;
            if let Some(subprotocol) = subprotocol.filter(|chosen| *chosen != version) {
                tracing::debug!(%subprotocol, %version, "accept-version differs from the sub-protocol");
            }
            socket.resume(version, self.config.limits);
        }
        self.report_opened();
    }

    /// Reports the socket's state to the protocol and returns the next deadline.
    pub(super) fn update_deadline(&mut self) -> Option<Instant> {
        let is_paused = self.is_inbox_full()
            || !self.has_send_room()
            || self.peer_end.is_some()
            || self.is_draining;
        let received_bytes = self
            .socket
            .as_ref()
            .map_or(self.received_bytes, Socket::received_bytes);
        if received_bytes != self.received_bytes || (self.is_paused && !is_paused) {
            self.protocol.handle_received(self.now);
        }
        if is_paused {
            self.protocol.handle_reading_paused();
        }
        self.report_transfer(false);
        self.check_partial_frame(is_paused, received_bytes);
        (self.received_bytes, self.is_paused) = (received_bytes, is_paused);
        if self.is_closing && self.socket.as_ref().is_some_and(Socket::is_flushed) {
            self.protocol.handle_flushed(self.now);
        }
        self.protocol.timeout()
    }

    /// Passes an expired deadline to the protocol.
    pub(super) fn handle_timeout(&mut self) {
        self.now = now();
        let socket = self.socket.as_ref();
        self.protocol
            .handle_timeout(self.now, || socket?.incomplete_frame());
    }

    /// Closes the socket at the end of the session. Returns `Ready` when the connection is finished.
    pub(super) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_closing && self.write_error.is_some() {
            self.drop_socket();
        }
        if let Some(socket) = self
            .socket
            .as_mut()
            .filter(|socket| self.is_closing && socket.is_flushed())
        {
            if Pin::new(socket).poll_close(cx).is_ready() {
                self.drop_socket();
            }
        }
        if self.protocol.is_finished() && self.socket.is_none() {
            self.session.shared().set_ended();
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.leave();
        self.report_ended();
        self.session.shared().clear_values();
        self.session.shared().set_ended();
    }
}

/// The time of the runtime, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
