//! `CONNECT`, `STOMP` and `CONNECTED`: the version and the heart-beats are agreed.

use super::{Fault, Output, Phase, Protocol, Timer};
use crate::response::Connected;
use std::time::Instant;
use stomp_frame::{Command, Frame, HeartBeat, Version, header};
use stomp_socket::{CloseCode, Outbound};

impl Protocol {
    /// STOMP 1.2, "CONNECT or STOMP Frame": "STOMP servers MUST handle a `STOMP` frame in the same manner as a
    /// `CONNECT` frame."
    pub(super) fn connect(&mut self, frame: Frame, now: Instant) -> Result<(), Fault> {
        // "If the client and server do not share any common protocol versions, then the server MUST respond with an
        // ERROR frame".
        let Some(version) = Version::negotiate(frame.headers.get(header::ACCEPT_VERSION)) else {
            let fault = Fault::new(
                "version-not-supported",
                "Supported protocol versions are 1.0 1.1 1.2",
            );
            return Err(Fault {
                versions: Some("1.0,1.1,1.2"),
                ..fault
            });
        };
        let heart_beat = match frame
            .headers
            .get(header::HEART_BEAT)
            .map(str::parse::<HeartBeat>)
        {
            None => None,
            Some(Ok(heart_beat)) => Some(heart_beat),
            Some(Err(invalid)) => return Err(Fault::new("malformed-frame", format!("{invalid}."))),
        };
        self.phase = Phase::Connecting;
        self.version = version;
        self.timers.clear(Timer::Connect);
        self.call(frame, None, now);
        if let Some(call) = &mut self.call {
            call.heart_beat = heart_beat;
        }
        Ok(())
    }

    /// Sends `CONNECTED` and reads on.
    pub(super) fn accept(&mut self, connected: Connected, peer: Option<HeartBeat>, now: Instant) {
        self.phase = Phase::Open;
        let offer = match peer {
            Some(_) if self.version > Version::V1_0 => self.config.heart_beat,
            // A peer that says nothing of heart-beats gets none.
            _ => HeartBeat::NONE,
        };
        let mut frame =
            Frame::new(Command::Connected).with_header(header::VERSION, self.version.as_str());
        if self.version > Version::V1_0 {
            frame.headers.append(header::HEART_BEAT, &offer.to_string());
        }
        if !connected.headers.contains(header::SESSION) {
            frame
                .headers
                .append(header::SESSION, &self.session.to_string());
        }
        let own = [header::VERSION, header::HEART_BEAT];
        frame.headers.extend(
            connected
                .headers
                .iter()
                .filter(|(name, _)| !own.contains(name)),
        );
        self.output.push_back(Output::Write(Outbound::Frame(frame)));
        self.output.push_back(Output::Negotiated(self.version));
        self.agree_on_heart_beats(offer, peer.unwrap_or_default(), now);
    }

    /// Lets the peer in before the service has answered `CONNECT`.
    pub(crate) fn handle_connected(&mut self, connected: Connected, now: Instant) {
        if let (Phase::Connecting, Some(call)) = (self.phase, &self.call) {
            self.accept(connected, call.heart_beat, now);
        }
    }

    /// `CONNECT` did not come in time.
    pub(super) fn connect_timed_out(&mut self, now: Instant) {
        let fault = Fault::new("connect-timeout", "CONNECT did not come in time.");
        self.fail(
            Fault {
                code_of_close: CloseCode::Policy,
                ..fault
            },
            crate::disconnect_reason::DisconnectReason::Timeout,
            now,
        );
    }
}
