//! The rules of the conversation, without I/O: frames, answers and the time go in, [`Output`]s come out.
//!
//! The driver calls the `handle_` methods in any order, then [`poll_output`](Protocol::poll_output) until it returns
//! `None`, and [`handle_timeout`](Protocol::handle_timeout) no later than [`timeout`](Protocol::timeout) says. It
//! passes frames one by one, the next one when [`is_busy`](Protocol::is_busy) is false: so requests are answered in the
//! order in which the peer sent them.
//!
//! Each handler file adds the methods for one command to [`Protocol`]; `state` holds the tables on which they work.

pub(crate) mod ack;
pub(crate) mod call;
mod close;
mod connect;
mod error_reply;
mod heart_beat;
pub(crate) mod message;
mod message_head;
pub(crate) mod output;
mod own_requests;
mod send;
mod state;
mod subscribe;
mod timeouts;
mod transaction;

use crate::{
    config::Config,
    delivery::SettleCallback,
    disconnect_reason::DisconnectReason,
    error::ClientError,
    id::{DeliveryTag, SessionId, SubscriptionKey},
    principal_share::PrincipalShare,
    routed::{Known, Target},
};
use ack::may_settle;
use bytes::BytesMut;
use bytestring::ByteString;
use error_reply::ErrorReply;
use output::{CallOutput, IoOutput, Output};
use state::{
    heart_beats::HeartBeats,
    in_flight::InFlight,
    own_requests::OwnRequests,
    subscriptions::Subscriptions,
    timers::{Timer, Timers},
    transactions::{Commit, Transactions},
    unacked::SessionUnacked,
};
use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    mem,
    sync::Arc,
    time::Instant,
};
use stomp_frame::{Command, Frame, Version};
use stomp_socket::{CloseCode, Outbound};

thread_local! {
    /// The thread's spare queue of actions. The next session that has actions takes it, so idle sessions own none.
    static SPARE_OUTPUTS: Cell<VecDeque<Output>> = const { Cell::new(VecDeque::new()) };
    /// The thread's spare buffer for heads, likewise.
    static SPARE_HEAD: Cell<BytesMut> = Cell::new(BytesMut::new());
}

/// Maximum capacity of a spare queue. Larger ones are freed.
const MAX_SPARE_OUTPUTS: usize = 64;

/// Maximum capacity of a spare buffer for heads, in bytes.
const MAX_SPARE_HEAD: usize = 4 << 10;

/// State of the conversation with one peer.
pub(crate) struct Protocol {
    config: Arc<Config>,
    session: SessionId,
    phase: Phase,
    version: Version,
    /// The request that the service is handling, or is to handle, or the commit that is running.
    call: Option<InFlight>,
    /// Frame and destination of the request in `call`, until the driver takes them. They are large and costly to move,
    /// and so are not part of `call`.
    request: Option<(Frame, Target)>,
    /// The reason why the session ends. `None` while it has not ended.
    reason: Option<DisconnectReason>,
    /// The code of the error that ended the session, for the log. In a box, because most sessions end without one.
    error_code: Option<Box<ByteString>>,
    own: OwnRequests,
    peer: PeerState,
    /// True if the end of the session has begun: it has left the registry, and its handles are closed.
    has_left: bool,
    /// True if `CONNECTED` was sent.
    was_connected: bool,
    /// The session's part of what its principal may have, if that is limited.
    share: Option<Box<PrincipalShare>>,
    subscriptions: Subscriptions,
    unacked: SessionUnacked,
    /// A buffer for the heads of `MESSAGE` frames, so that a head costs no allocation.
    head: BytesMut,
    transactions: Transactions,
    /// The transaction that is being committed: the service is handling its `SEND`s, or its futures run.
    commit: Option<Box<Commit>>,
    /// Deliveries of subscriptions that have ended, which a transaction acknowledges. It is open or being committed.
    detached: BTreeMap<DeliveryTag, SettleCallback>,
    /// The number of frames of a peer that is gone or half closed which were read and not handled yet, and which
    /// [may settle](may_settle) deliveries.
    settling_frames: usize,
    /// The destination that was parsed last, with the route of the first `SEND` to it.
    last_destination: Arc<Known>,
    heart_beats: HeartBeats,
    timers: Timers,
    outputs: VecDeque<Output>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `CONNECT` has not arrived.
    Opening,
    /// The service is handling `CONNECT`.
    Connecting,
    /// The peer is connected.
    Open,
    /// The last frame for the peer is written, or the peer is gone. The service may still be called with `DISCONNECT`.
    Closing,
}

/// Knowledge about the peer's end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PeerState {
    /// The peer sends and receives.
    Present,
    /// The peer has ended its direction of a byte stream. It may still read the answers to the frames that it has sent.
    HalfClosed,
    /// The peer is gone. Nothing more is written. The frames that it has sent before are still handled.
    Gone,
}

impl Protocol {
    /// Creates the state of a new connection. `has_pings` is true if the transport can ping the peer.
    pub(crate) fn new(
        config: Arc<Config>,
        session: SessionId,
        has_pings: bool,
        now: Instant,
    ) -> Protocol {
        let mut timers = Timers::new(now);
        timers.set(Timer::Connect, now, config.connect_timeout);
        Protocol {
            session,
            phase: Phase::Opening,
            version: Version::V1_0,
            call: None,
            request: None,
            reason: None,
            error_code: None,
            own: OwnRequests::default(),
            peer: PeerState::Present,
            has_left: false,
            was_connected: false,
            share: None,
            subscriptions: Subscriptions::new(config.max_subscriptions),
            unacked: SessionUnacked::new(session, config.max_unacked_messages),
            head: BytesMut::new(),
            transactions: Transactions::default(),
            commit: None,
            detached: BTreeMap::new(),
            settling_frames: 0,
            last_destination: Arc::default(),
            heart_beats: HeartBeats::new(has_pings),
            timers,
            outputs: VecDeque::new(),
            config,
        }
    }

    /// Takes the next action for the driver.
    #[inline]
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Gives the memory of the queue of actions back if it is empty, and the buffer for heads. To be called when nothing
    /// more is to be done.
    pub(crate) fn release_buffers(&mut self) {
        if self.head.capacity() > 0 {
            let head = mem::take(&mut self.head);
            if head.capacity() <= MAX_SPARE_HEAD {
                SPARE_HEAD.set(head);
            }
        }
        let is_spare = self.outputs.is_empty() && self.outputs.capacity() <= MAX_SPARE_OUTPUTS;
        if self.outputs.capacity() > 0 && is_spare {
            SPARE_OUTPUTS.set(mem::take(&mut self.outputs));
        } else if self.outputs.is_empty() {
            self.outputs = VecDeque::new();
        }
    }

    /// Takes the next action if it is a write.
    pub(crate) fn poll_write(&mut self) -> Option<Outbound> {
        if !matches!(self.outputs.front(), Some(Output::Io(IoOutput::Write(_)))) {
            return None;
        }
        match self.outputs.pop_front() {
            Some(Output::Io(IoOutput::Write(item))) => Some(item),
            _ => None,
        }
    }

    /// The time at which to call [`Protocol::handle_timeout`].
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.timers.earliest()
    }

    /// Returns true if a request is being handled or a commit is running, so that the next frame must wait.
    pub(crate) fn is_busy(&self) -> bool {
        self.call.is_some()
    }

    /// The command of the request that is being handled.
    pub(crate) fn current_command(&self) -> Option<Command> {
        self.call.as_ref().map(|call| call.command)
    }

    /// Returns true if the service handles a request that the session made itself.
    pub(crate) fn is_own_request(&self) -> bool {
        self.call.as_ref().is_some_and(|call| !call.is_from_peer)
    }

    /// The subscription that the service is asked to accept, while it handles a `SUBSCRIBE`.
    pub(crate) fn pending_subscription(&self) -> Option<SubscriptionKey> {
        self.call
            .as_ref()?
            .subscription
            .filter(|key| self.subscriptions.is_active(*key))
    }

    pub(crate) fn is_subscribed(&self, subscription: SubscriptionKey) -> bool {
        self.subscriptions.is_active(subscription)
    }

    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// Returns true if the peer is connected.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Returns true if the peer can get deliveries: it has neither closed nor ended its direction.
    pub(crate) fn is_peer_present(&self) -> bool {
        self.peer == PeerState::Present
    }

    /// Returns true if the peer is gone. Frames that it has sent before may still be handled.
    pub(crate) fn is_peer_gone(&self) -> bool {
        self.peer == PeerState::Gone
    }

    /// Returns true if the protocol still handles frames.
    pub(crate) fn is_reading(&self) -> bool {
        self.phase != Phase::Closing
    }

    /// The reason why the session ends, if it does.
    pub(crate) fn reason(&self) -> Option<DisconnectReason> {
        self.reason
    }

    /// The code of the error that ended the session, if one did.
    pub(crate) fn error_code(&self) -> Option<&str> {
        self.error_code.as_deref().map(|code| &**code)
    }

    /// Returns true if the peer is or was connected.
    pub(crate) fn was_connected(&self) -> bool {
        self.was_connected
    }

    /// Returns true if nothing remains to be done except to close the socket.
    pub(crate) fn is_finished(&self) -> bool {
        self.phase == Phase::Closing && self.call.is_none() && self.outputs.is_empty()
    }

    /// Handles a frame of the peer.
    pub(crate) fn handle_frame(&mut self, frame: Frame, now: Instant) {
        let result = match (self.phase, frame.command) {
            (Phase::Opening, Command::Connect | Command::Stomp) => self.connect(frame),
            (Phase::Opening, command) => Err(unexpected(
                &frame,
                format!("The first frame must be CONNECT or STOMP, and not {command}."),
            )),
            (Phase::Open, _) => self.handle_connected_frame(frame, now),
            // Nothing is handled before the answer to CONNECT, nor after the end.
            (Phase::Connecting | Phase::Closing, _) => Ok(()),
        };
        if let Err(reply) = result {
            self.fail(reply, DisconnectReason::Fault, now);
        }
        self.end_retired_subscriptions();
        // An `ACK` may have ended a subscription.
        self.call_next(now);
    }

    /// Handles a frame of a connected peer.
    fn handle_connected_frame(&mut self, frame: Frame, now: Instant) -> Result<(), ErrorReply> {
        if self.settling_frames > 0 && may_settle(&frame) {
            self.settling_frames -= 1;
        }
        if frame.command == Command::Send {
            return self.send(frame, now);
        }
        self.validate(&frame)?;
        match frame.command {
            Command::Send => Ok(()),
            // All subscriptions have ended, and nobody would receive messages or a RECEIPT.
            Command::Subscribe | Command::Unsubscribe if self.is_peer_gone() => Ok(()),
            Command::Subscribe => self.subscribe(frame, now),
            Command::Unsubscribe => self.unsubscribe(frame),
            Command::Disconnect => {
                self.disconnect(frame, now);
                Ok(())
            }
            Command::Begin => self.begin(&frame),
            Command::Commit => self.commit(&frame, now),
            Command::Abort => self.abort(&frame),
            Command::Ack | Command::Nack => self.acknowledge(&frame),
            Command::Connect | Command::Stomp => Err(unexpected(
                &frame,
                format!(
                    "{} is not allowed: the session is connected.",
                    frame.command
                ),
            )),
            Command::Connected | Command::Message | Command::Receipt | Command::Error => {
                Err(unexpected(
                    &frame,
                    format!("Only servers send {} frames.", frame.command),
                ))
            }
        }
    }

    /// Checks that the version of the session allows a frame.
    fn validate(&self, frame: &Frame) -> Result<(), ErrorReply> {
        frame
            .validate(self.version)
            .map_err(|invalid| ErrorReply::invalid(invalid, frame))
    }

    /// Checks the length of a header that names a destination, a subscription or a transaction. These names are opaque,
    /// but the session stores them, so it limits their length.
    fn check_length(&self, name: &str, frame: &Frame) -> Result<(), ErrorReply> {
        let value = frame.headers.get(name).unwrap_or_default();
        self.check_value_length(name, value, frame)
    }

    /// Checks the length of a value that was already looked up, like [`check_length`](Protocol::check_length).
    #[inline]
    fn check_value_length(&self, name: &str, value: &str, frame: &Frame) -> Result<(), ErrorReply> {
        let (length, max) = (value.len(), self.config.max_destination_bytes);
        if length <= max {
            return Ok(());
        }
        let text = format!(
            "The header {name} has {length} bytes, but at most {max} are allowed (max_destination_bytes)."
        );
        Err(ErrorReply::new("too-large", text)
            .with_receipt_of(frame)
            .with_close_code(CloseCode::TooBig))
    }

    /// Parses a destination. Peers often use one destination several times in a row, so the last one is kept: the same
    /// bytes in the same syntax are the same destination.
    #[inline]
    fn parse_destination(&mut self, text: &str) -> Result<Arc<Known>, ClientError> {
        if self.last_destination.destination().as_str() != text {
            let parsed = Known::new(self.config.destinations.parse_copy(text)?);
            // No request has the last one any more, unless the application has kept it.
            match Arc::get_mut(&mut self.last_destination) {
                Some(last) => *last = parsed,
                None => self.last_destination = Arc::new(parsed),
            }
        }
        Ok(Arc::clone(&self.last_destination))
    }

    /// Sends a `RECEIPT` with this id, if the client asked for a receipt.
    #[inline]
    pub(crate) fn send_receipt(&mut self, receipt: Option<ByteString>) {
        if let Some(id) = receipt {
            self.write(Outbound::Receipt(id));
        }
    }

    /// Writes an item, unless the peer is gone.
    #[inline]
    fn write(&mut self, item: Outbound) {
        if !self.is_peer_gone() {
            self.push_io(IoOutput::Write(item));
        }
    }

    #[inline]
    fn push_io(&mut self, output: IoOutput) {
        self.push_output(Output::Io(output));
    }

    #[inline]
    fn push_call(&mut self, output: CallOutput) {
        self.push_output(Output::Call(output));
    }

    #[inline]
    fn push_output(&mut self, output: Output) {
        if self.outputs.capacity() == 0 {
            self.outputs = SPARE_OUTPUTS.take();
        }
        self.outputs.push_back(output);
    }
}

/// Empties the buffer for a head. If the session has none, takes the spare one.
fn clear_head(head: &mut BytesMut) {
    if head.capacity() == 0 {
        *head = SPARE_HEAD.take();
    }
    head.clear();
}

fn unexpected(frame: &Frame, text: String) -> ErrorReply {
    ErrorReply::new("unexpected-frame", text).with_receipt_of(frame)
}

/// Copies a text that the session stores. A slice of the frame would keep the whole read buffer in memory.
fn copied(text: &str) -> ByteString {
    ByteString::from(text.to_owned())
}
