//! The rules of the conversation, without I/O: frames, answers and the time go in, [`Output`]s come out.
//!
//! Whoever drives it calls, in any order, the `handle_` methods, then [`poll_output`](Protocol::poll_output) until it
//! gives `None`, and [`handle_timeout`](Protocol::handle_timeout) no later than [`timeout`](Protocol::timeout) says.
//! Frames are handed in one by one, the next when [`is_busy`](Protocol::is_busy) is false: so requests are answered in
//! the peer's order.

mod connect;
mod deliveries;
mod fault;
mod heart_beat;
mod ledger;
mod subscriptions;
mod timers;
mod transactions;

use crate::{AppErrors, ClientError, Config, Connected, DisconnectReason as Reason, SessionId, Staging};
use bytestring::ByteString;
use fault::Fault;
use heart_beat::HeartBeats;
use ledger::Ledger;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use stomp_frame::{Command, Frame, HeartBeat, Version, header};
use stomp_socket::{CloseCode, End, Outbound};
use subscriptions::Subscriptions;
use timers::{Timer, Timers};
use transactions::{Commit, Transactions};

pub(crate) use ledger::Settling;
pub(crate) use subscriptions::SubscriptionKey;

/// One conversation.
pub(crate) struct Protocol {
    config: Arc<Config>,
    session: SessionId,
    phase: Phase,
    version: Version,
    /// The request that is being handled.
    call: Option<InFlight>,
    /// Its frame, before it is handed to the service. It is large, and moved as little as can be.
    request: Option<Frame>,
    /// Why the session ends, once it does.
    reason: Option<Reason>,
    /// `DISCONNECT` was called, which happens once.
    disconnect_called: bool,
    subscriptions: Subscriptions,
    ledger: Ledger,
    transactions: Transactions,
    /// The transaction whose `SEND`s are being handled.
    commit: Option<Commit>,
    heart_beats: HeartBeats,
    timers: Timers,
    output: VecDeque<Output>,
}

/// What the driver has to do.
#[derive(Debug)]
pub(crate) enum Output {
    /// Send this.
    Write(Outbound),
    /// Read on, in this version.
    Negotiated(Version),
    /// Call the service with [`Protocol::take_request`].
    Call,
    /// Stop the call: its time is up.
    Cancel,
    /// Drop the service: its readiness was waited for too long, and must not be kept.
    Abandon,
    /// The peer is now subscribed to this destination.
    Subscribed(SubscriptionKey, ByteString),
    /// Drop the subscription's streams.
    Unsubscribed(SubscriptionKey),
    /// Read nothing more. Write what there is, close with this code, and wait for the peer for a while.
    Close(CloseCode),
    /// Drop the socket.
    Cut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// `CONNECT` has not come.
    Opening,
    /// `CONNECT` is being answered.
    Connecting,
    /// The peer is connected.
    Open,
    /// The last frame to the peer is collected, or the peer is gone. `DISCONNECT` may still be called.
    Closing,
}

/// A request that is being handled, and what its answer needs.
#[derive(Debug)]
struct InFlight {
    command: Command,
    receipt: Option<ByteString>,
    subscription: Option<SubscriptionKey>,
    heart_beat: Option<HeartBeat>,
    /// The service was ready and has been called.
    is_called: bool,
}

impl Protocol {
    /// A conversation that begins. `has_pings` says whether the transport can make the peer show that it is there.
    pub(crate) fn new(config: Arc<Config>, session: SessionId, has_pings: bool, now: Instant) -> Protocol {
        let mut timers = Timers::default();
        timers.set(Timer::Connect, now, config.connect_timeout);
        Protocol {
            session,
            phase: Phase::Opening,
            version: Version::V1_0,
            call: None,
            request: None,
            reason: None,
            disconnect_called: false,
            subscriptions: Subscriptions::new(config.subscriptions),
            ledger: Ledger::default(),
            transactions: Transactions::default(),
            commit: None,
            heart_beats: HeartBeats::new(has_pings),
            timers,
            output: VecDeque::new(),
            config,
        }
    }

    /// What is to be done next, in order.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// What is to be written next, if nothing else is to be done before.
    pub(crate) fn poll_write(&mut self) -> Option<Outbound> {
        if !matches!(self.output.front(), Some(Output::Write(_))) {
            return None;
        }
        match self.output.pop_front() {
            Some(Output::Write(item)) => Some(item),
            _ => None,
        }
    }

    /// When to call [`Protocol::handle_timeout`].
    pub(crate) fn timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Whether a request is being handled, so that the next frame has to wait.
    pub(crate) fn is_busy(&self) -> bool {
        self.call.is_some()
    }

    /// What is being handled.
    pub(crate) fn calling(&self) -> Option<Command> {
        self.call.as_ref().map(|call| call.command)
    }

    /// The subscription that is being asked for.
    pub(crate) fn subscribing(&self) -> Option<SubscriptionKey> {
        self.call.as_ref()?.subscription.filter(|key| self.subscriptions.is_live(*key))
    }

    pub(crate) fn is_subscribed(&self, key: SubscriptionKey) -> bool {
        self.subscriptions.is_live(key)
    }

    /// Whether frames are still of interest.
    pub(crate) fn is_reading(&self) -> bool {
        self.phase != Phase::Closing
    }

    /// Whether nothing is left to be done but closing the socket.
    pub(crate) fn is_finished(&self) -> bool {
        self.phase == Phase::Closing && self.call.is_none() && self.output.is_empty()
    }

    pub(crate) fn handle_frame(&mut self, frame: Frame, now: Instant) {
        let result = match (self.phase, frame.command) {
            (Phase::Opening, Command::Connect | Command::Stomp) => self.connect(frame, now),
            (Phase::Opening, _) => {
                Err(Fault::new("unexpected-frame", "The first frame must be CONNECT.").about(&frame))
            }
            (Phase::Open, _) => self.request(frame, now),
            // After the end, and before the answer to CONNECT, nothing is handled.
            (Phase::Connecting | Phase::Closing, _) => Ok(()),
        };
        if let Err(fault) = result {
            self.fail(fault, Reason::Fault, now);
        }
    }

    fn request(&mut self, frame: Frame, now: Instant) -> Result<(), Fault> {
        frame.validate(self.version).map_err(|invalid| Fault::invalid(invalid, &frame))?;
        match frame.command {
            Command::Send => {
                self.check_length(header::DESTINATION, &frame)?;
                match self.transaction_of(&frame)? {
                    Some(transaction) => self.hold_send(transaction, &frame)?,
                    None => self.call(frame, None, now),
                }
            }
            Command::Subscribe => self.subscribe(frame, now)?,
            Command::Unsubscribe => self.unsubscribe(frame, now)?,
            Command::Disconnect => self.disconnect(frame, now),
            Command::Begin => self.begin(&frame)?,
            Command::Commit => self.commit(&frame, now)?,
            Command::Abort => self.abort(&frame)?,
            Command::Ack | Command::Nack => self.acknowledge(&frame)?,
            Command::Connect | Command::Stomp => {
                return Err(Fault::new("unexpected-frame", "The session is connected already.").about(&frame));
            }
            Command::Connected | Command::Message | Command::Receipt | Command::Error => {
                return Err(Fault::new("unexpected-frame", "Only servers send this frame.").about(&frame));
            }
        }
        Ok(())
    }

    /// STOMP 1.2, "DISCONNECT": "Clients MUST NOT send any more frames after the `DISCONNECT` frame is sent."
    fn disconnect(&mut self, frame: Frame, now: Instant) {
        self.unsubscribe_all();
        self.abort_all();
        self.reason = Some(Reason::Requested);
        self.call(frame, None, now);
    }

    fn call(&mut self, frame: Frame, subscription: Option<SubscriptionKey>, now: Instant) {
        self.call = Some(InFlight {
            command: frame.command,
            receipt: frame.headers.share(header::RECEIPT),
            subscription,
            heart_beat: None,
            is_called: false,
        });
        self.timers.set(Timer::Handler, now, self.config.handler_timeout);
        self.disconnect_called |= frame.command == Command::Disconnect;
        self.request = Some(frame);
        self.output.push_back(Output::Call);
    }

    /// The service was ready, and has been called.
    pub(crate) fn handle_called(&mut self) {
        if let Some(call) = &mut self.call {
            call.is_called = true;
        }
    }

    /// The frame that the service is to be called with, for `DISCONNECT` why the session ends, and for a `SEND` of a
    /// transaction where to stage what it would do.
    pub(crate) fn take_request(&mut self) -> Option<(Frame, Option<Reason>, Option<Staging>)> {
        let frame = self.request.take()?;
        let reason = self.reason.filter(|_| frame.command == Command::Disconnect);
        Some((frame, reason, self.commit.as_ref().map(|commit| commit.staging().clone())))
    }

    /// Takes the service's answer.
    ///
    /// STOMP 1.2, "RECEIPT": "A `RECEIPT` frame is an acknowledgment that the corresponding client frame has been
    /// _processed_ by the server."
    pub(crate) fn handle_answer(&mut self, answer: Result<Option<Connected>, ClientError>, now: Instant) {
        let Some(call) = self.call.take() else { return };
        self.timers.clear(Timer::Handler);
        match (call.command, answer) {
            _ if self.phase == Phase::Closing => self.epilogue(now),
            // The session's handle has let the peer in already.
            (Command::Connect | Command::Stomp, _) if self.phase == Phase::Open => {}
            (Command::Connect | Command::Stomp, Ok(connected)) => {
                self.accept(connected.unwrap_or_default(), call.heart_beat, now);
            }
            (Command::Connect | Command::Stomp, Err(error)) => self.fail(Fault::from(error), Reason::Error, now),
            (Command::Disconnect, Ok(_)) => {
                self.receipt(call.receipt);
                self.close(CloseCode::Normal);
            }
            (Command::Disconnect, Err(error)) => {
                self.fail(Fault { receipt: call.receipt, ..Fault::from(error) }, Reason::Requested, now);
            }
            (_, answer) if self.commit.is_some() => self.handle_answer_in_commit(answer.map(drop), now),
            (_, Ok(_)) => self.receipt(call.receipt),
            (_, Err(error)) => {
                let fault = Fault { receipt: call.receipt, ..Fault::from(error) };
                let fault = Fault { subscription: call.subscription.and_then(|key| self.retire(key)), ..fault };
                self.refuse(fault, now);
            }
        }
    }

    /// Calls `DISCONNECT` for a session that was connected and ends without that frame, after the request that is
    /// being handled.
    fn epilogue(&mut self, now: Instant) {
        if self.heart_beats.is_agreed() && self.call.is_none() && !self.disconnect_called {
            self.call(Frame::new(Command::Disconnect), None, now);
        }
    }

    fn receipt(&mut self, receipt: Option<ByteString>) {
        if let Some(id) = receipt {
            self.output.push_back(Output::Write(Outbound::Receipt(id)));
        }
    }

    /// All streams of a subscription have ended.
    pub(crate) fn handle_stream_end(&mut self, key: SubscriptionKey) {
        self.retire(key);
    }

    /// A stream of a subscription has failed.
    pub(crate) fn handle_stream_error(&mut self, key: SubscriptionKey, error: ClientError, now: Instant) {
        let fault = Fault { subscription: self.retire(key), ..Fault::from(error) };
        self.refuse(fault, now);
    }

    /// The application sends an error of its own accord.
    pub(crate) fn handle_error(&mut self, error: ClientError, now: Instant) {
        match self.phase {
            Phase::Opening | Phase::Connecting => self.fail(Fault::from(error), Reason::Error, now),
            Phase::Open => self.refuse(Fault::from(error), now),
            Phase::Closing => {}
        }
    }

    /// The peer does not keep up.
    pub(crate) fn handle_overflow(&mut self, now: Instant) {
        let fault = Fault::new("slow-consumer", "Messages come faster than they are taken.");
        self.fail(Fault { code_of_close: CloseCode::Policy, ..fault }, Reason::Timeout, now);
    }

    /// The application says when what the peer has shown of itself expires.
    pub(crate) fn handle_expiry(&mut self, at: Instant) {
        if self.is_reading() {
            self.timers.set_at(Timer::Expiry, at);
        }
    }

    /// Nobody takes requests any more.
    pub(crate) fn handle_abandoned(&mut self, now: Instant) {
        if self.call.is_none() {
            self.end(Reason::Server, CloseCode::Away, now);
        }
    }

    /// The application closes.
    pub(crate) fn handle_close(&mut self, code: CloseCode, now: Instant) {
        self.end(Reason::Server, code, now);
    }

    /// Nothing more comes from the peer.
    pub(crate) fn handle_end(&mut self, end: &End, now: Instant) {
        match end {
            End::Malformed(error) => self.fail(Fault::malformed(error), Reason::Fault, now),
            End::Violation { code, reason } => {
                let name = if *code == CloseCode::TooBig { "too-large" } else { "malformed-message" };
                self.fail(Fault { code_of_close: *code, ..Fault::new(name, reason.clone()) }, Reason::Fault, now);
            }
            // A client that ends its side of a byte stream after DISCONNECT still gets its receipt.
            End::Closed(_) if self.reason == Some(Reason::Requested) => {}
            End::Closed(_) => self.end(Reason::Closed, CloseCode::Normal, now),
            _ => {
                self.end(Reason::Lost, CloseCode::Normal, now);
                self.output.push_back(Output::Cut);
            }
        }
    }

    /// Answers an error of the application, which the session survives unless the configuration says otherwise.
    fn refuse(&mut self, fault: Fault, now: Instant) {
        if self.config.app_errors == AppErrors::Close {
            return self.fail(fault, Reason::Error, now);
        }
        self.output.push_back(Output::Write(Outbound::Frame(fault.into_frame())));
    }

    /// STOMP 1.2, "ERROR": the server "MUST then close the connection just after sending the `ERROR` frame".
    fn fail(&mut self, fault: Fault, reason: Reason, now: Instant) {
        if self.is_reading() {
            let code = fault.code_of_close;
            self.output.push_back(Output::Write(Outbound::Frame(fault.into_frame())));
            self.end(reason, code, now);
        }
    }

    fn end(&mut self, reason: Reason, code: CloseCode, now: Instant) {
        if self.is_reading() {
            self.reason = Some(reason);
            self.unsubscribe_all();
            self.abort_all();
            self.close(code);
            self.epilogue(now);
        }
    }

    fn close(&mut self, code: CloseCode) {
        self.phase = Phase::Closing;
        self.timers.clear_all_but([Timer::Handler, Timer::Stall]);
        self.output.push_back(Output::Close(code));
    }
}
