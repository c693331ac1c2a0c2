//! The rules of the conversation, without I/O: frames, answers and the time go in, [`Output`]s come out.
//!
//! Whoever drives it calls, in any order, the `handle_` methods, then [`poll_output`](Protocol::poll_output) until it
//! gives `None`, and [`handle_timeout`](Protocol::handle_timeout) no later than [`timeout`](Protocol::timeout) says.
//! Frames are handed in one by one, the next when [`is_busy`](Protocol::is_busy) is false: so requests are answered in
//! the peer's order.

mod calls;
mod connect;
mod deliveries;
mod endings;
mod fault;
mod heart_beat;
mod ledger;
mod subscriptions;
mod timers;
mod transactions;

use crate::{
    config::Config,
    disconnect_reason::DisconnectReason as Reason,
    id::{SessionId, SubscriptionKey},
};
use bytestring::ByteString;
use calls::InFlight;
use fault::Fault;
use heart_beat::HeartBeats;
use ledger::Ledger;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use stomp_frame::{Command, Frame, Version, header};
use stomp_socket::{CloseCode, Outbound};
use subscriptions::Subscriptions;
use timers::{Timer, Timers};
use transactions::{Commit, Transactions};

pub(crate) use deliveries::Encoded;

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

impl Protocol {
    /// A conversation that begins. `has_pings` says whether the transport can make the peer show that it is there.
    pub(crate) fn new(
        config: Arc<Config>,
        session: SessionId,
        has_pings: bool,
        now: Instant,
    ) -> Protocol {
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
            subscriptions: Subscriptions::new(config.max_subscriptions),
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
        self.call
            .as_ref()?
            .subscription
            .filter(|key| self.subscriptions.is_live(*key))
    }

    pub(crate) fn is_subscribed(&self, key: SubscriptionKey) -> bool {
        self.subscriptions.is_live(key)
    }

    /// Whether the peer is connected.
    pub(crate) fn is_open(&self) -> bool {
        self.phase == Phase::Open
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
            (Phase::Opening, _) => Err(Fault::new(
                "unexpected-frame",
                "The first frame must be CONNECT.",
            )
            .about(&frame)),
            (Phase::Open, _) => self.request(frame, now),
            // After the end, and before the answer to CONNECT, nothing is handled.
            (Phase::Connecting | Phase::Closing, _) => Ok(()),
        };
        if let Err(fault) = result {
            self.fail(fault, Reason::Fault, now);
        }
    }

    fn request(&mut self, frame: Frame, now: Instant) -> Result<(), Fault> {
        frame
            .validate(self.version)
            .map_err(|invalid| Fault::invalid(invalid, &frame))?;
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
                return Err(
                    Fault::new("unexpected-frame", "The session is connected already.")
                        .about(&frame),
                );
            }
            Command::Connected | Command::Message | Command::Receipt | Command::Error => {
                return Err(
                    Fault::new("unexpected-frame", "Only servers send this frame.").about(&frame),
                );
            }
        }
        Ok(())
    }
}
