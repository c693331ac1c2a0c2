//! `ERROR`, `DISCONNECT`, and the end of a conversation.

use super::{
    PeerState, Phase, Protocol, error_reply::ErrorReply, output::IoOutput, state::timers::Timer,
    timeouts::Missing,
};
use crate::{
    config::AppErrors, disconnect_reason::DisconnectReason, error::ClientError, id::SubscriptionKey,
};
use bytestring::ByteString;
use std::time::Instant;
use stomp_frame::{Frame, IncompleteFrame};
use stomp_socket::{CloseCode, End, Outbound};

impl Protocol {
    /// Handles `DISCONNECT`: ends all subscriptions and transactions, and calls the service with these ends.
    ///
    /// STOMP 1.2, "DISCONNECT": "Clients MUST NOT send any more frames after the `DISCONNECT` frame is sent."
    pub(super) fn disconnect(&mut self, frame: Frame, now: Instant) {
        self.handle_last_frame(now);
        self.leave();
        self.abort_all_transactions();
        self.end_all_subscriptions();
        self.reason = Some(DisconnectReason::Requested);
        self.own.disconnect = Some(Box::new(frame));
        self.call_next(now);
    }

    /// Handles an error of a stream: ends its subscription and reports the error.
    pub(crate) fn handle_stream_error(
        &mut self,
        subscription: SubscriptionKey,
        error: ClientError,
        now: Instant,
    ) {
        let id = self.end_subscription(subscription);
        self.report_app_error(ErrorReply::from(error).with_subscription(id), now);
        self.call_next(now);
    }

    /// Returns true if an error of a handle ends the session.
    pub(crate) fn closes_on_error(&self) -> bool {
        self.phase != Phase::Open || self.config.app_errors == AppErrors::Close
    }

    /// Handles an error that the application reports through a handle of the session.
    pub(crate) fn handle_error(&mut self, error: ClientError, now: Instant) {
        let reply = ErrorReply::from(error);
        match self.phase {
            Phase::Opening | Phase::Connecting => self.fail(reply, DisconnectReason::Error, now),
            Phase::Open => self.report_app_error(reply, now),
            Phase::Closing => {}
        }
    }

    /// Handles the overflow of a mailbox under [`Overflow::Disconnect`](crate::Overflow::Disconnect).
    pub(crate) fn handle_slow_consumer(&mut self, now: Instant) {
        let reply = ErrorReply::from(ClientError::slow_consumer());
        self.fail(reply, DisconnectReason::Timeout, now);
    }

    /// Handles the drop of [`Requests`](crate::Requests): closes the session, unless a request is being handled. The
    /// driver calls this again after the answer.
    pub(crate) fn handle_requests_dropped(&mut self, now: Instant) {
        if self.call.is_none() {
            self.end(DisconnectReason::Server, CloseCode::Away, now);
        }
    }

    /// Closes the session from the server's side, with this close code.
    pub(crate) fn handle_close(&mut self, code: CloseCode, now: Instant) {
        self.end(DisconnectReason::Server, code, now);
    }

    /// Closes the session from the server's side, and tells the peer the reason: by an `ERROR`, and in the close of a
    /// WebSocket.
    pub(crate) fn handle_close_with(&mut self, code: CloseCode, reason: ClientError, now: Instant) {
        self.push_io(IoOutput::SetCloseReason(reason.text().into()));
        let reply = ErrorReply::from(reason).with_close_code(code);
        self.fail(reply, DisconnectReason::Server, now);
    }

    /// Handles the end of the peer's data as soon as it is read, while earlier frames may still wait.
    /// [`handle_end`](Protocol::handle_end) follows when all of them are handled. `settling` is the number of those that
    /// [may settle](super::ack::may_settle) deliveries; `has_disconnect` is true if a `DISCONNECT` is among them.
    ///
    /// A peer that is gone gets nothing more, and its deliveries return at once. A peer that has ended its direction of
    /// a byte stream can acknowledge nothing more, so its subscriptions end too. But it still gets its receipts: after
    /// `DISCONNECT` all of them, otherwise those that are ready within the close timeout, because it is probably gone.
    pub(crate) fn handle_peer_ended(
        &mut self,
        end: &End,
        settling: usize,
        has_disconnect: bool,
        now: Instant,
    ) {
        match end {
            // The peer still reads, and gets an ERROR when its earlier frames are handled.
            End::Malformed(_) | End::Violation { .. } => {}
            End::HalfClosed => {
                self.peer = PeerState::HalfClosed;
                self.leave();
                self.retire_subscriptions(settling);
                if !has_disconnect && self.reason != Some(DisconnectReason::Requested) {
                    self.start_close_timeout(now);
                }
            }
            End::Closed(_) => {
                self.lose_peer(settling, now);
                self.push_io(IoOutput::Close(CloseCode::Normal));
            }
            _ => {
                self.lose_peer(settling, now);
                self.push_io(IoOutput::Abort);
            }
        }
    }

    /// Handles a write that failed: the peer is gone, but frames that it sent before may still be read.
    pub(crate) fn handle_write_failed(&mut self, settling: usize, now: Instant) {
        self.lose_peer(settling, now);
    }

    /// Marks the peer as gone and ends its subscriptions.
    fn lose_peer(&mut self, settling: usize, now: Instant) {
        self.peer = PeerState::Gone;
        self.timers
            .clear_all_but([Timer::Handler, Timer::Expiry, Timer::Close]);
        self.start_close_timeout(now);
        self.leave();
        self.retire_subscriptions(settling);
    }

    /// Handles the end of a close timeout: drops the connection.
    pub(super) fn close_timed_out(&mut self) {
        self.peer = PeerState::Gone;
        self.timers.clear_all_but([Timer::Handler, Timer::Expiry]);
        self.push_io(IoOutput::Abort);
    }

    /// Ends the subscriptions of a peer that gets no more messages, while this number of its frames wait that may settle
    /// deliveries. The subscriptions lose their streams at once. Their deliveries wait for the results of these frames.
    fn retire_subscriptions(&mut self, settling: usize) {
        self.settling_frames = settling;
        if self.is_settling() {
            self.push_io(IoOutput::AllUnsubscribed);
        } else {
            self.end_retired_subscriptions();
        }
    }

    /// Ends the subscriptions of a peer that gets no more messages, once no frame can settle their deliveries.
    pub(super) fn end_retired_subscriptions(&mut self) {
        let has_deliveries = self.subscriptions.first().is_some() || !self.detached.is_empty();
        if has_deliveries && !self.is_peer_present() && !self.is_settling() {
            self.unstage_open_transactions();
            self.end_all_subscriptions();
        }
    }

    /// Returns true if a frame of a peer that is gone or half closed waits that may settle deliveries, or its `COMMIT` is
    /// not decided yet.
    fn is_settling(&self) -> bool {
        self.settling_frames > 0 || self.commit.as_ref().is_some_and(|it| !it.is_decided)
    }

    /// Handles the end of the data from the peer, after all earlier frames: a close, an error in the data, or a broken
    /// connection. `incomplete` is the frame within which the data have ended, if they have.
    pub(crate) fn handle_end(
        &mut self,
        end: &End,
        incomplete: Option<IncompleteFrame>,
        now: Instant,
    ) {
        match (end, incomplete) {
            (End::HalfClosed, Some(frame)) => self.fail_for_truncation(frame, now),
            (End::Malformed(error), _) => {
                self.fail(ErrorReply::malformed(error), DisconnectReason::Fault, now);
            }
            (End::Violation { code, reason }, _) => {
                let name = if *code == CloseCode::TooBig {
                    "too-large"
                } else {
                    "malformed-message"
                };
                let reply = ErrorReply::new(name, reason.clone()).with_close_code(*code);
                self.fail(reply, DisconnectReason::Fault, now);
            }
            (End::Closed(_) | End::HalfClosed, _) => {
                self.end(DisconnectReason::Closed, CloseCode::Normal, now);
            }
            _ => {
                self.end(DisconnectReason::Lost, CloseCode::Normal, now);
                self.push_io(IoOutput::Abort);
            }
        }
    }

    /// Tells a peer that has ended its direction within a frame what is missing.
    fn fail_for_truncation(&mut self, frame: IncompleteFrame, now: Instant) {
        let text = format!(
            "{} before the client ended its side of the connection.",
            Missing(&frame)
        );
        let receipt = frame.receipt.map(|id| ByteString::from(id.into_string()));
        let reply = ErrorReply::new("malformed-frame", text).with_receipt(receipt);
        self.fail(reply, DisconnectReason::Fault, now);
    }

    /// Sends an error of the application. The session continues, unless [`AppErrors::Close`] is set or the error wants
    /// to close the connection. The specification requires a close after every `ERROR`, but clients work well with a
    /// session that continues.
    pub(super) fn report_app_error(&mut self, reply: ErrorReply, now: Instant) {
        if self.config.app_errors == AppErrors::Close || reply.closes() {
            return self.fail(reply, DisconnectReason::Error, now);
        }
        self.write(Outbound::Frame(reply.into_frame()));
    }

    /// Sends an `ERROR` and ends the session, unless it has ended already.
    ///
    /// STOMP 1.2, "ERROR": the server "MUST then close the connection just after sending the `ERROR` frame".
    pub(super) fn fail(&mut self, reply: ErrorReply, reason: DisconnectReason, now: Instant) {
        if self.is_reading() {
            let code = reply.close_code();
            self.error_code = Some(Box::new(reply.code()));
            self.write(Outbound::Frame(reply.into_frame()));
            self.end(reason, code, now);
        }
    }

    /// Ends the session, unless it has ended already.
    pub(super) fn end(&mut self, reason: DisconnectReason, code: CloseCode, now: Instant) {
        if self.is_reading() {
            // A peer that has sent `DISCONNECT` has given the reason.
            self.reason.get_or_insert(reason);
            self.leave();
            self.abort_all_transactions();
            self.end_all_subscriptions();
            self.close(code, now);
            self.call_next(now);
        }
    }

    /// Begins the end of the session, unless it has begun: before the service is called with `DISCONNECT`.
    fn leave(&mut self) {
        if !self.has_left {
            self.has_left = true;
            self.share = None;
            self.subscriptions.give_back_places();
            self.push_io(IoOutput::Leave);
        }
    }

    /// Closes the connection as soon as the queued output is sent, and at the close timeout at the latest.
    pub(super) fn close(&mut self, code: CloseCode, now: Instant) {
        self.phase = Phase::Closing;
        self.timers
            .clear_all_but([Timer::Handler, Timer::Write, Timer::Linger, Timer::Close]);
        self.start_close_timeout(now);
        self.push_io(IoOutput::Close(code));
    }

    /// Starts the close timeout. Nothing extends it.
    fn start_close_timeout(&mut self, now: Instant) {
        if !self.timers.is_set(Timer::Close) {
            self.timers
                .set(Timer::Close, now, self.config.close_timeout);
        }
    }
}
