//! `CONNECT`, `STOMP` and `CONNECTED`: agreement on the version and on heart-beats.

use super::{
    Phase, Protocol,
    error_reply::{ErrorReply, Quoted},
    output::IoOutput,
    state::timers::Timer,
};
use crate::{destination::Destination, error::ClientError, response::Connected};
use std::time::Instant;
use stomp_frame::{Command, Frame, HeartBeat, Version, header};
use stomp_socket::Outbound;

impl Protocol {
    /// Handles `CONNECT` or `STOMP`: chooses the version and calls the service.
    ///
    /// STOMP 1.2, "CONNECT or STOMP Frame": "STOMP servers MUST handle a `STOMP` frame in the same manner as a
    /// `CONNECT` frame."
    pub(super) fn connect(&mut self, frame: Frame) -> Result<(), ErrorReply> {
        // "If the client and server do not share any common protocol versions, then the server MUST respond with an
        // ERROR frame".
        let accepted = frame.headers.get(header::ACCEPT_VERSION);
        let Some(version) = Version::negotiate(accepted) else {
            let text = format!(
                "Supported protocol versions are 1.0 1.1 1.2, and the header accept-version is {}.",
                Quoted(accepted.unwrap_or_default())
            );
            return Err(ErrorReply::new("version-not-supported", text).with_versions("1.0,1.1,1.2"));
        };
        let heart_beat = frame
            .headers
            .get(header::HEART_BEAT)
            .map(str::parse::<HeartBeat>)
            .transpose()
            .map_err(|invalid| ErrorReply::new("malformed-frame", format!("{invalid}.")))?;
        self.phase = Phase::Connecting;
        self.version = version;
        if version < Version::V1_2 {
            self.unacked.use_message_ids();
        }
        self.timers.clear(Timer::Connect);
        self.start_call(frame, Destination::default(), None);
        if let Some(call) = &mut self.call {
            call.heart_beat = heart_beat;
        }
        Ok(())
    }

    /// Counts the session towards the limits of its principal, if the answer to `CONNECT` names one.
    pub(super) fn join_principal(&mut self, connected: &Connected) -> Result<(), ClientError> {
        if let Some(principal) = connected.principal().filter(|_| !self.has_left) {
            let limits = self.config.share_limits();
            self.share = self.config.shares.join(principal, limits)?.map(Box::new);
            if let Some(share) = &self.share {
                let places = share.places().clone();
                self.push_io(IoOutput::LimitSubscriptions(places));
            }
        }
        Ok(())
    }

    /// Sends `CONNECTED` and makes the driver continue reading. `peer` is the `heart-beat` header of the peer.
    pub(super) fn accept(&mut self, connected: Connected, peer: Option<HeartBeat>, now: Instant) {
        self.phase = Phase::Open;
        self.was_connected = true;
        self.own.is_connected_due = true;
        let offer = match peer {
            Some(_) if self.version > Version::V1_0 => self.config.heart_beat,
            // A peer without the header neither sends nor expects heart-beats.
            _ => HeartBeat::NONE,
        };
        let mut frame =
            Frame::new(Command::Connected).with_header(header::VERSION, self.version.as_str());
        if self.version > Version::V1_0 {
            // The agreed intervals, and not only the offer: some clients take this header for the result.
            let agreed = offer.agreed_with(peer.unwrap_or_default());
            frame
                .headers
                .append(header::HEART_BEAT, &agreed.to_string());
        }
        if !connected.headers.contains(header::SESSION) {
            let session = self.session.text();
            frame.headers.append(header::SESSION, session.as_str());
        }
        let reserved = [header::VERSION, header::HEART_BEAT];
        frame.headers.extend(
            connected
                .headers
                .iter()
                .filter(|(name, _)| !reserved.contains(name)),
        );
        self.write(Outbound::Frame(frame));
        self.push_io(IoOutput::Negotiated(self.version));
        self.start_heart_beats(offer, peer.unwrap_or_default(), now);
    }

    /// Accepts the peer because a handle of the session asks for it. Has no effect if `CONNECT` has not arrived, or is
    /// answered already.
    pub(crate) fn handle_connected(&mut self, connected: Connected, now: Instant) {
        if let (Phase::Connecting, Some(call)) = (self.phase, &self.call) {
            self.accept(connected, call.heart_beat, now);
        }
    }
}
