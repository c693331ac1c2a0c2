//! The I/O state of a connection: its socket, protocol, streams and inbox.
//!
//! [`Run`](super::Run) polls the driver and calls the service; the driver does everything else.

use super::{
    inbox::Inbox, incoming::PartialFrame, pending_subscription::PendingSubscription,
    streams::Streams, telemetry::Telemetry,
};
use crate::{
    command_queue::{SessionClose, SessionCommand},
    config::Config,
    error::ClientError,
    fan_out::BatchPart,
    mailbox::queue::Slots,
    protocol::{Protocol, output::IoOutput},
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
use stomp_frame::Version;
use stomp_socket::{End, Permit, Socket};

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
    pub(super) peer_end: Option<Box<End>>,
    /// The error of a write. The peer is gone, but frames that it sent before may still be read.
    pub(super) write_error: Option<Box<End>>,
    pub(super) streams: Streams,
    /// True if batches may wait in the backlog of `streams`.
    pub(super) has_backlog: bool,
    /// The rest of a batch for which there was no room.
    pub(super) part: Option<BatchPart>,
    /// True if batches are sent before items of streams in this turn.
    pub(super) is_backlog_next: bool,
    /// Commands that were taken from the handles and not carried out yet.
    pub(super) commands: Slots<SessionCommand>,
    /// Errors of handles that wait for room. They have overtaken the messages in `commands`. `None` before the first one.
    #[allow(
        clippy::box_collection,
        reason = "sessions are smaller, and few have errors"
    )]
    pub(super) errors: Option<Box<VecDeque<ClientError>>>,
    /// The close by a handle.
    pub(super) close: Option<Box<SessionClose>>,
    /// True if commands are left in the queue of the handles, because earlier ones wait for room.
    pub(super) has_more_commands: bool,
    /// Messages and streams for the subscription that the service is asked to accept.
    pub(super) pending: Option<Box<PendingSubscription>>,
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
    /// True if the session has left the registry, and its handles are closed.
    has_left: bool,
    pub(super) telemetry: Telemetry,
}

impl Driver {
    pub(super) fn new(socket: Socket, config: Arc<Config>, session: Session) -> Driver {
        let now = now();
        Driver {
            received_bytes: socket.received_bytes(),
            telemetry: Telemetry::new(&session, &socket, now),
            streams: Streams::new(Arc::clone(session.shared().signal()), Arc::clone(&config)),
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
            has_backlog: false,
            part: None,
            is_backlog_next: false,
            commands: VecDeque::new(),
            errors: None,
            close: None,
            has_more_commands: false,
            pending: None,
            unsent_frames: 0,
            received_frames: 0,
            partial_frame: None,
            has_service: false,
            now,
            is_paused: false,
            is_draining: false,
            is_closing: false,
            has_left: false,
            config,
            session,
        }
    }

    /// Starts a poll: reads the clock and registers the wakers.
    pub(super) fn start_poll(&mut self, cx: &mut Context<'_>) {
        self.now = now();
        self.streams.signal.register(cx.waker());
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
            || self.has_errors()
            || self.has_more_commands
            || self.has_backlog
            || self.streams.has_ready();
        self.streams.signal.commands.is_set()
            || self.streams.signal.batches.is_set()
            || (has_outgoing && self.has_send_room())
    }

    /// Returns true if errors of handles wait for room.
    pub(super) fn has_errors(&self) -> bool {
        self.errors
            .as_ref()
            .is_some_and(|errors| !errors.is_empty())
    }

    /// Carries out an output of the protocol that concerns the socket, the handles or the streams.
    pub(super) fn handle_io_output(&mut self, output: IoOutput) {
        match output {
            IoOutput::Write(item) => self.write(&item),
            IoOutput::Negotiated(version) => self.resume_reading(version),
            IoOutput::Join => self.config.sessions.insert(&self.session),
            IoOutput::LimitSubscriptions(places) => {
                let commands = self.session.shared().commands();
                commands.with(|commands, _| commands.limit_subscriptions(places));
            }
            IoOutput::Subscribed(subscription, id, destination) => {
                let commands = self.session.shared().commands();
                commands
                    .with(|commands, _| commands.add_subscription(subscription, id, destination));
            }
            IoOutput::Credit(subscription) => self.streams.give_credit(subscription),
            IoOutput::Unsubscribed(subscription) => {
                let commands = self.session.shared().commands();
                commands.with(|commands, leftovers| {
                    commands.remove_subscription(subscription, leftovers);
                });
                self.streams.remove_subscription(subscription);
            }
            IoOutput::AllUnsubscribed => self.streams.clear(),
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
        self.has_left = true;
        self.config.sessions.remove(&self.session);
        let commands = self.session.shared().commands();
        drop(commands.with(|commands, _| commands.close()));
        self.commands.clear();
        self.errors = None;
        (self.part, self.has_backlog) = (None, false);
        (self.pending, self.close, self.has_more_commands) = (None, None, false);
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
        if !self.has_left {
            self.leave();
        }
        self.report_ended();
        self.session.shared().clear_values();
        self.session.shared().set_ended();
    }
}

/// The time of the runtime, which tests can pause.
pub(super) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
