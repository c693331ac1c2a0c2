//! The heart-beats that both ends have agreed on.

use std::time::Duration;
use stomp_frame::HeartBeat;

/// Intervals of heart-beats, and the state of WebSocket pings for peers that send none.
#[derive(Debug)]
pub(crate) struct HeartBeats {
    has_pings: bool,
    agreed: Option<Agreed>,
    /// True if the peer sends no more heart-beats.
    has_ended: bool,
    /// True if a ping was sent and nothing has been received since.
    is_ping_pending: bool,
}

#[derive(Debug, Clone, Copy)]
struct Agreed {
    /// Maximum time between two writes: half the interval that the server has promised. `None` if it has promised none.
    send: Option<Duration>,
    /// Maximum time between two reads: two intervals that the peer has promised, and [`MARGIN`]. `None` if it has
    /// promised none.
    receive: Option<Duration>,
}

/// Tolerance in addition to two missed beats: STOMP 1.2, "Heart-beating": "because of timing inaccuracies, the receiver
/// SHOULD be tolerant and take into account an error margin".
const MARGIN: Duration = Duration::from_secs(1);

impl HeartBeats {
    /// Creates the state before the agreement. `has_pings` is true if the transport can ping the peer.
    pub(crate) fn new(has_pings: bool) -> HeartBeats {
        HeartBeats {
            has_pings,
            agreed: None,
            has_ended: false,
            is_ping_pending: false,
        }
    }

    pub(crate) fn agree(&mut self, ours: HeartBeat, theirs: HeartBeat) {
        self.agreed = Some(Agreed {
            // Half the interval, so that a heart-beat that is sent late still arrives in time.
            send: ours.send_interval(theirs).map(|interval| interval / 2),
            receive: theirs
                .send_interval(ours)
                .map(|interval| interval * 2 + MARGIN),
        });
    }

    /// The time from the last write to the next heart-beat, if the server has promised heart-beats.
    pub(crate) fn send_interval(&self) -> Option<Duration> {
        self.agreed?.send
    }

    /// The maximum time between two reads, if the peer has promised heart-beats and has not ended them.
    pub(crate) fn receive_timeout(&self) -> Option<Duration> {
        self.agreed?.receive.filter(|_| !self.has_ended)
    }

    /// The time without a read after which the session reacts. If the peer has promised heart-beats, the session ends;
    /// otherwise it pings the peer. `None` before the agreement, and if the peer has promised nothing and the transport
    /// has no pings.
    pub(crate) fn max_silence(&self, ping_interval: Duration) -> Option<Duration> {
        let pings = self.has_pings.then_some(ping_interval);
        self.agreed?;
        self.receive_timeout().or(pings)
    }

    /// Notes that the peer sends no more heart-beats.
    pub(crate) fn end_receiving(&mut self) {
        self.has_ended = true;
    }

    pub(crate) fn is_ping_pending(&self) -> bool {
        self.is_ping_pending
    }

    pub(crate) fn set_ping_pending(&mut self, is_pending: bool) {
        self.is_ping_pending = is_pending;
    }
}
