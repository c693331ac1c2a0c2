//! The calls of the service, one at a time, and its answers.

use super::{
    Phase, Protocol,
    error_reply::ErrorReply,
    output::CallOutput,
    state::{in_flight::InFlight, timers::Timer},
};
use crate::{
    destination::Destination,
    disconnect_reason::DisconnectReason,
    error::ClientError,
    id::SubscriptionKey,
    response::Connected,
    routed::Target,
    staging::{CommitFuture, Staging},
};
use bytestring::ByteString;
use std::time::Instant;
use stomp_frame::{Command, Frame, header};
use stomp_socket::CloseCode;

/// The parts of a request for the service.
#[derive(Debug)]
pub(crate) struct RequestParts {
    pub(crate) frame: Frame,
    pub(crate) target: Target,
    /// For a `DISCONNECT`: the reason why the session ends.
    pub(crate) reason: Option<DisconnectReason>,
    /// False if the session made the request itself.
    pub(crate) is_from_peer: bool,
    /// For a `SEND` of a transaction: its staging area.
    pub(crate) staging: Option<Staging>,
}

impl Protocol {
    /// Makes the driver call the service. For a `SUBSCRIBE`, `subscription` is the new subscription.
    pub(super) fn start_call(
        &mut self,
        frame: Frame,
        destination: Destination,
        subscription: Option<SubscriptionKey>,
    ) {
        let receipt = frame.headers.share(header::RECEIPT);
        self.start_call_with_receipt(frame, Target::Plain(destination), receipt, subscription);
    }

    /// Makes the driver call the service, like [`start_call`](Protocol::start_call), if the header `receipt` of the frame
    /// was looked up already. The route of a known destination is remembered.
    #[inline]
    pub(super) fn start_call_with_receipt(
        &mut self,
        frame: Frame,
        target: Target,
        receipt: Option<ByteString>,
        subscription: Option<SubscriptionKey>,
    ) {
        self.call = Some(InFlight {
            command: frame.command,
            receipt,
            is_from_peer: true,
            subscription,
            lost: None,
            heart_beat: None,
            is_started: false,
        });
        self.own.is_disconnect_called |= frame.command == Command::Disconnect;
        self.request = Some((frame, target));
        self.push_call(CallOutput::Start);
    }

    /// Makes the driver run the futures of a transaction. The protocol is busy until they complete, as with a call of
    /// the service.
    pub(super) fn start_commit(&mut self, future: CommitFuture, now: Instant) {
        self.call = Some(InFlight {
            command: Command::Commit,
            receipt: None,
            is_from_peer: true,
            subscription: None,
            lost: None,
            heart_beat: None,
            is_started: true,
        });
        self.timers
            .set(Timer::Handler, now, self.config.handler_timeout);
        self.push_call(CallOutput::Commit(future));
    }

    /// Notes that the service is ready and is called now. If the request has waited for that, the handler timeout starts
    /// anew.
    #[inline]
    pub(crate) fn handle_call_started(&mut self, has_waited: bool, now: Instant) {
        if let Some(call) = &mut self.call {
            call.is_started = true;
            let share = self.own.share(now).filter(|_| !call.is_from_peer);
            if has_waited || share.is_some() {
                let timeout = share.unwrap_or(self.config.handler_timeout);
                self.timers.set(Timer::Handler, now, timeout);
            }
        }
    }

    /// Notes that the call goes on, or that the service is not ready for it. Starts the handler timeout, unless it runs.
    /// Most calls are answered at once, and need no timeout.
    pub(crate) fn handle_call_pending(&mut self, now: Instant) {
        if self.call.is_some() && !self.timers.is_set(Timer::Handler) {
            self.timers
                .set(Timer::Handler, now, self.config.handler_timeout);
        }
    }

    /// Takes the request with which the service is to be called.
    #[inline]
    pub(crate) fn take_request(&mut self) -> Option<RequestParts> {
        let (frame, target) = self.request.take()?;
        let is_from_peer = !self.is_own_request();
        let reason = self.reason.filter(|_| frame.command == Command::Disconnect);
        let staging = self.commit.as_ref().map(|commit| commit.staging.clone());
        Some(RequestParts {
            frame,
            target,
            reason,
            is_from_peer,
            staging,
        })
    }

    /// Handles the answer of the service.
    ///
    /// STOMP 1.2, "RECEIPT": "A `RECEIPT` frame is an acknowledgment that the corresponding client frame has been
    /// _processed_ by the server."
    pub(crate) fn handle_answer(
        &mut self,
        answer: Result<Option<Connected>, ClientError>,
        now: Instant,
    ) {
        let Some(mut call) = self.call.take() else {
            return;
        };
        self.timers.clear(Timer::Handler);
        if answer.is_ok() {
            self.handle_accepted(&mut call);
        }
        match (call.command, answer) {
            _ if self.phase == Phase::Closing => {}
            (Command::Connected | Command::Unsubscribe, _) if !call.is_from_peer => {}
            (Command::Connect | Command::Stomp, Ok(connected)) => {
                let connected = connected.unwrap_or_default();
                match self.join_principal(&connected) {
                    // A handle of the session has accepted the peer already.
                    Ok(()) if self.phase == Phase::Open => {}
                    Ok(()) => self.accept(connected, call.heart_beat, now),
                    Err(error) => {
                        self.fail(ErrorReply::from(error), DisconnectReason::Error, now);
                    }
                }
            }
            (Command::Connect | Command::Stomp, Err(_)) if self.phase == Phase::Open => {}
            (Command::Connect | Command::Stomp, Err(error)) => {
                self.fail(ErrorReply::from(error), DisconnectReason::Error, now);
            }
            (Command::Disconnect, Ok(_)) => {
                self.send_receipt(call.receipt);
                self.close(CloseCode::Normal, now);
            }
            (Command::Disconnect, Err(error)) => {
                let reply = ErrorReply::from(error).with_receipt(call.receipt);
                self.fail(reply, DisconnectReason::Requested, now);
            }
            (_, answer) if self.commit.is_some() => {
                self.handle_answer_in_commit(answer.map(drop), now);
            }
            (_, Ok(_)) => {
                if let Some(accepted) = call.subscription {
                    self.replace_implicit_subscriptions(accepted);
                }
                self.send_receipt(call.receipt);
            }
            (_, Err(error)) => {
                let refused = call
                    .subscription
                    .and_then(|subscription| self.end_subscription(subscription));
                let reply = ErrorReply::from(error)
                    .with_receipt(call.receipt)
                    .with_subscription(refused);
                self.report_app_error(reply, now);
            }
        }
        self.call_next(now);
    }
}
