//! What a connection does, but for calling the service: the socket, the protocol, the streams and the handles meet
//! here.

use super::{
    inbox::{Inbox, Waiting},
    outgoing::Withheld,
    streams::Observers,
};
use crate::{
    command_queue::Command,
    config::Config,
    error::{BoxError, ClientError, NobodyAsks},
    id::SubscriptionKey,
    mailbox::{Mailbox, budget::Budget},
    protocol::{Output, Protocol},
    request::Request,
    response::Response,
    session::Session,
};
use futures_util::Sink;
use std::{
    collections::VecDeque,
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};
use stomp_frame::{Command as FrameCommand, Frame, header};
use stomp_socket::{CloseCode, End, Inbound, Outbound, Socket};

pub(crate) struct Work {
    pub(super) config: Arc<Config>,
    pub(crate) session: Session,
    /// Gone once it is closed or cut.
    pub(super) socket: Option<Socket>,
    pub(crate) protocol: Protocol,
    inbox: Inbox,
    /// How the peer ended, while frames from before are still to be handled.
    end: Option<End>,
    pub(super) observers: Observers,
    /// What the handles want and what had no room yet.
    pub(super) commands: VecDeque<Command>,
    /// Where what the handles send waits for credit, by subscription.
    pub(super) mailboxes: Vec<(SubscriptionKey, Mailbox)>,
    /// Frames that were collected since everything was last on its way.
    pub(super) unsent_frames: usize,
    /// Frames that have come, and how many had when the part came that is held now.
    frames: u64,
    part: Option<u64>,
    /// There is a service, so that it does not matter who takes requests.
    pub(super) is_served: bool,
    /// The time of this wake.
    pub(super) now: Instant,
    /// [`Socket::received_bytes`] at the last wake.
    received: u64,
    is_paused: bool,
    /// The server goes down: what was read is handled, and nothing more is read.
    is_draining: bool,
    is_closing: bool,
    pub(super) withheld: Withheld,
}

impl Work {
    pub(crate) fn new(socket: Socket, config: Arc<Config>, session: Session) -> Work {
        let now = now();
        Work {
            received: socket.received_bytes(),
            observers: Observers::new(
                Arc::clone(session.shared().task()),
                Budget::new(config.max_total_mailbox_bytes),
            ),
            protocol: Protocol::new(Arc::clone(&config), session.id(), socket.supports_ping(), now),
            socket: Some(socket),
            inbox: Inbox::default(),
            end: None,
            commands: VecDeque::new(),
            mailboxes: Vec::new(),
            unsent_frames: 0,
            frames: 0,
            part: None,
            is_served: false,
            now,
            is_paused: false,
            is_draining: false,
            is_closing: false,
            withheld: Withheld::default(),
            config,
            session,
        }
    }

    /// Begins the work of one wake.
    pub(crate) fn begin(&mut self, cx: &mut Context<'_>) {
        self.now = now();
        self.session.shared().task().register(cx.waker());
        if let Some(socket) = self.socket.as_mut().filter(|_| !self.is_draining) {
            self.is_draining = socket.poll_shutdown(cx).is_ready();
        }
    }

    /// There is a service: requests are not for [`Requests`](crate::Requests).
    pub(crate) fn serve(&mut self) {
        self.is_served = true;
    }

    /// Whether a handle or a stream has something to say that can be said now.
    pub(crate) fn is_called(&self) -> bool {
        let has_waiting = !self.commands.is_empty()
            || self
                .observers
                .are_ready(|key| self.protocol.has_credit(key));
        (self.commands.is_empty() && self.session.shared().is_called())
            || (has_waiting && self.has_room())
    }

    /// Hands the next frame to the protocol, and says whether there was one.
    ///
    /// While a request is being handled frames are only collected, as long as the inbox has room: heart-beats are still
    /// seen, and a peer that sends faster than it is served is slowed down.
    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.protocol.is_reading() {
            return false;
        }
        if self.protocol.is_busy() {
            return self.poll_frame_ahead(cx);
        }
        match self
            .inbox
            .pop()
            .or_else(|| self.poll_socket(cx).map(Waiting::Frame))
        {
            Some(Waiting::Frame(frame)) => self.protocol.handle_frame(frame, self.now),
            Some(Waiting::Receipt(id)) => self.protocol.receipt(Some(id)),
            None => match self.end.take() {
                Some(end) => self.protocol.handle_end(&end, self.now),
                None if self.is_draining => self.protocol.handle_close(CloseCode::Away, self.now),
                None => return false,
            },
        }
        true
    }

    /// Collects a frame that came while a request is being handled. What it acknowledges is settled at once, where it
    /// overtakes nothing that might matter to it.
    fn poll_frame_ahead(&mut self, cx: &mut Context<'_>) -> bool {
        if self
            .inbox
            .is_full(self.config.max_inbox_frames, self.config.max_inbox_bytes)
        {
            return false;
        }
        let Some(frame) = self.poll_socket(cx) else {
            return false;
        };
        if self.inbox.has_only_sends() && self.protocol.acknowledge_ahead(&frame) {
            if let Some(receipt) = frame.headers.share(header::RECEIPT) {
                self.inbox.push(Waiting::Receipt(receipt));
            }
        } else {
            self.inbox.push(Waiting::Frame(frame));
        }
        true
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>) -> Option<Frame> {
        while self.end.is_none() && !self.is_draining && self.has_room() {
            match self.socket.as_mut()?.poll_read(cx) {
                Poll::Ready(Some(Inbound::Frame(frame))) => {
                    self.frames += 1;
                    return Some(frame);
                }
                Poll::Ready(Some(Inbound::End(end))) => self.end = Some(end),
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) | Poll::Pending => return None,
            }
        }
        None
    }

    /// The request that the service is to be called with.
    pub(crate) fn request(&mut self) -> Option<Request> {
        let (frame, reason, transaction) = self.protocol.take_request()?;
        Some(Request::of(frame, self.session.clone(), reason).within(transaction))
    }

    /// The service was ready, and has been called.
    pub(crate) fn called(&mut self) {
        self.protocol.handle_called(self.now);
    }

    /// Gives a service's answer to the protocol.
    pub(crate) fn answer(&mut self, answer: Result<Response, BoxError>) {
        // What was done before the answer comes before it.
        self.hear_session();
        let (command, subscription) = (self.protocol.calling(), self.protocol.subscribing());
        let is_connect = matches!(command, Some(FrameCommand::Connect | FrameCommand::Stomp));
        match answer {
            Ok(Response::Done) => self.protocol.handle_answer(Ok(None), self.now),
            Ok(Response::Connected(mut connected)) if is_connect => {
                if let Some(principal) = connected.principal.take() {
                    self.session.shared().set_principal(principal);
                }
                self.protocol.handle_answer(Ok(Some(connected)), self.now);
                if self.protocol.is_open() {
                    self.config.sessions.enter(&self.session);
                }
            }
            Ok(Response::Observe(stream)) if command == Some(FrameCommand::Subscribe) => {
                // Where the session has ended meanwhile, so has the subscription.
                self.withheld
                    .streams
                    .extend(subscription.map(|_| (None, stream)));
                self.protocol.handle_answer(Ok(None), self.now);
            }
            Ok(response) => {
                tracing::error!(
                    ?command,
                    ?response,
                    "a service gave an answer that is none to this request"
                );
                self.protocol
                    .handle_answer(Err(ClientError::internal()), self.now);
            }
            Err(error) => {
                let shown = self.map_error(&*error);
                self.protocol.handle_answer(Err(shown), self.now);
                if error.is::<NobodyAsks>() {
                    self.protocol.handle_close(CloseCode::Away, self.now);
                }
            }
        }
        if let Some(key) = subscription {
            self.release(key);
        }
    }

    pub(super) fn map_error(&self, error: &(dyn Error + 'static)) -> ClientError {
        match &self.config.error_mapper {
            Some(mapper) => mapper.map(error),
            None => ClientError::from_error(error),
        }
    }

    /// Does what the protocol wants done.
    pub(crate) fn obey(&mut self, output: Output) {
        match output {
            Output::Write(item) => self.put(&item),
            Output::Negotiated(version) => {
                if let Some(socket) = &mut self.socket {
                    // Both say which version; where they differ, the frame decides.
                    if let Some(subprotocol) = socket
                        .peer()
                        .subprotocol
                        .filter(|chosen| *chosen != version)
                    {
                        tracing::debug!(%subprotocol, %version, "accept-version differs from the sub-protocol");
                    }
                    socket.resume(version, self.config.limits);
                }
                self.config.sessions.enter(&self.session);
            }
            Output::Subscribed(key, destination) => {
                self.session.shared().lane().enter(key, destination);
            }
            Output::Unsubscribed(key) => {
                self.session.shared().lane().leave(key);
                self.mailboxes.retain(|(known, _)| *known != key);
                self.observers.remove(key);
            }
            Output::Close(code) => {
                self.is_closing = true;
                if let Some(socket) = &mut self.socket {
                    socket.set_close_code(code);
                }
            }
            Output::Cut => self.socket = None,
            // The connection calls the service.
            Output::Call | Output::Cancel | Output::Abandon => {}
        }
    }

    pub(super) fn put(&mut self, item: &Outbound) {
        let Some(socket) = &mut self.socket else {
            return;
        };
        self.unsent_frames += 1;
        let Err(error) = socket.put(item) else { return };
        tracing::warn!(%error, "a frame is changed to what the version of its session can express");
        if let Outbound::Frame(frame) = item {
            let _ = socket.put(&Outbound::Frame(expressible(frame)));
        }
    }

    /// Writes what there is, and says whether there is room again where there was none.
    pub(crate) fn write(&mut self, cx: &mut Context<'_>) -> bool {
        let had_room = self.has_room();
        let Some(socket) = self.socket.as_mut().filter(|socket| !socket.is_flushed()) else {
            return false;
        };
        let before = socket.unsent_bytes();
        let result = socket.poll_write(cx);
        let has_progressed = socket.unsent_bytes() < before;
        if socket.unsent_bytes() == 0 {
            self.unsent_frames = 0;
        }
        if has_progressed {
            self.protocol.handle_sent(self.now);
        }
        if has_progressed || result.is_ready() {
            self.protocol.handle_stalled(false, self.now);
        }
        match result {
            Poll::Pending => self.protocol.handle_stalled(true, self.now),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.protocol.handle_end(&End::Lost(error), self.now);
                self.socket = None;
                return true;
            }
        }
        !had_room && self.has_room()
    }

    /// Whether more may be collected for the peer.
    pub(super) fn has_room(&self) -> bool {
        self.socket.as_ref().is_none_or(|socket| {
            socket.unsent_bytes() < self.config.max_outbound_bytes
                && self.unsent_frames < self.config.max_outbound_frames
        })
    }

    /// The next deadline, once it is known who has been heard from.
    pub(crate) fn deadline(&mut self) -> Option<Instant> {
        let is_full = self
            .inbox
            .is_full(self.config.max_inbox_frames, self.config.max_inbox_bytes);
        let is_paused = is_full || !self.has_room() || self.end.is_some() || self.is_draining;
        let received = self.socket.as_ref().map_or(0, Socket::received_bytes);
        if received != self.received || (self.is_paused && !is_paused) {
            self.protocol.handle_received(self.now);
        }
        if is_paused {
            self.protocol.handle_reading_paused();
        }
        self.look_for_part(is_paused);
        (self.received, self.is_paused) = (received, is_paused);
        if self.is_closing && self.socket.as_ref().is_some_and(Socket::is_flushed) {
            self.protocol.handle_flushed(self.now);
        }
        self.protocol.timeout()
    }

    /// Looks whether a frame has come in part, and whether it is another than before.
    fn look_for_part(&mut self, is_paused: bool) {
        let is_part = !is_paused && self.socket.as_ref().is_some_and(Socket::is_mid_frame);
        let part = is_part.then_some(self.frames);
        if part != self.part {
            self.protocol.handle_part(is_part, self.now);
            self.part = part;
        }
    }

    pub(crate) fn time_out(&mut self) {
        self.now = now();
        self.protocol.handle_timeout(self.now);
    }

    /// Closes the socket when the session is over; ready when nothing is left to be done.
    pub(crate) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(socket) = self
            .socket
            .as_mut()
            .filter(|socket| self.is_closing && socket.is_flushed())
        {
            if Pin::new(socket).poll_close(cx).is_ready() {
                self.socket = None;
            }
        }
        if self.protocol.is_finished() && self.socket.is_none() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.config.sessions.leave(&self.session);
        self.session.shared().forget();
        let mut lane = self.session.shared().lane();
        let dropped = lane.close();
        drop(lane);
        // Streams are foreign code, and are not dropped under the lock.
        drop(dropped);
    }
}

/// The frame with all that any version can express: line ends are spaces, and headers with odd names are left out.
fn expressible(frame: &Frame) -> Frame {
    const ODD: [char; 3] = ['\r', '\n', '\0'];
    let headers = frame
        .headers
        .iter()
        .filter(|(name, _)| !name.is_empty() && !name.contains(ODD) && !name.contains(':'));
    let headers = headers
        .map(|(name, value)| (name, value.replace(ODD, " ")))
        .collect();
    Frame {
        command: frame.command,
        headers,
        body: frame.body.clone(),
    }
}

/// The time as the runtime sees it, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}
