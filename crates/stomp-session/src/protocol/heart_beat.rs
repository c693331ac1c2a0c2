//! Heart-beats in both directions, and pings for peers that send none.

use super::{Protocol, error_reply::ErrorReply, state::timers::Timer};
use crate::disconnect_reason::DisconnectReason;
use std::time::Instant;
use stomp_frame::HeartBeat;
use stomp_socket::{CloseCode, Outbound};

impl Protocol {
    pub(super) fn start_heart_beats(&mut self, ours: HeartBeat, theirs: HeartBeat, now: Instant) {
        self.heart_beats.agree(ours, theirs);
        self.handle_sent(now);
        self.handle_received(now);
    }

    /// Restarts the heart-beat timer after a write of any data.
    pub(crate) fn handle_sent(&mut self, now: Instant) {
        let is_writing = self.is_reading() && !self.is_peer_gone();
        if let (true, Some(interval)) = (is_writing, self.heart_beats.send_interval()) {
            self.timers.set(Timer::HeartBeat, now, interval);
        }
    }

    /// Restarts the silence timer after a read of any data. Also to be called when reading resumes, because the peer
    /// may have sent something while reading was paused.
    ///
    /// STOMP 1.2, "Heart-beating": "any new data received over the network connection is an indication that the remote
    /// end is alive".
    pub(crate) fn handle_received(&mut self, now: Instant) {
        self.heart_beats.set_ping_pending(false);
        if !self.is_reading() || !self.is_peer_present() {
            return;
        }
        if let Some(max) = self.heart_beats.max_silence(self.config.ping_interval) {
            self.timers.set(Timer::Silence, now, max);
        }
    }

    /// Notes that a `DISCONNECT` has arrived, which may wait for earlier frames. The peer need not send heart-beats any
    /// more: "Clients MUST NOT send any more frames after the `DISCONNECT` frame is sent." Pings still detect that it is
    /// gone.
    pub(crate) fn handle_last_frame(&mut self, now: Instant) {
        self.heart_beats.end_receiving();
        self.timers.clear(Timer::Silence);
        self.handle_received(now);
    }

    /// Stops the silence timer when reading pauses, because the server then cannot see if the peer sends anything.
    pub(crate) fn handle_reading_paused(&mut self) {
        self.timers.clear(Timer::Silence);
    }

    pub(super) fn send_heart_beat(&mut self, now: Instant) {
        self.write(Outbound::HeartBeat);
        self.handle_sent(now);
    }

    /// Handles a peer that was silent for too long: sends a ping, or ends the session if the peer has promised
    /// heart-beats or has not answered the last ping.
    pub(super) fn handle_silence(&mut self, now: Instant) {
        let text = match self.heart_beats.receive_timeout() {
            Some(max) => format!("The server received neither data nor a heart-beat for {max:?}."),
            None if self.heart_beats.is_ping_pending() => format!(
                "The server received no answer to a ping within {:?} (ping_timeout).",
                self.config.ping_timeout
            ),
            None => return self.send_ping(now),
        };
        self.fail(
            ErrorReply::new("heart-beat-timeout", text).with_close_code(CloseCode::Policy),
            DisconnectReason::Timeout,
            now,
        );
    }

    fn send_ping(&mut self, now: Instant) {
        self.heart_beats.set_ping_pending(true);
        self.write(Outbound::Ping);
        self.timers
            .set(Timer::Silence, now, self.config.ping_timeout);
    }
}
