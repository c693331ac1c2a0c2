//! Calls of the service, and its answers.

use super::{
    driver::Driver,
    failures::map_protected,
    telemetry::{is_panic, outcome_of},
};
use crate::{
    catch_drop::CatchDrop,
    error::{BoxError, ClientError, PartlyCommitted, RequestsDropped},
    id::SubscriptionKey,
    monitor::Outcome,
    request::Request,
    response::Response,
};
use stomp_frame::Command;
use stomp_socket::CloseCode;

impl Driver {
    /// Takes the request with which the service is to be called.
    #[inline]
    pub(super) fn take_request(&mut self) -> Option<Request> {
        let parts = self.protocol.take_request()?;
        self.session.shared().reset_route();
        Some(Request::from_parts(parts, self.session.clone()))
    }

    /// Notes that the futures of a transaction run. No route is responsible for all of them.
    pub(super) fn start_commit(&mut self) {
        self.session.shared().reset_route();
        self.report_called(Command::Commit);
    }

    /// Passes the answer of the service to the protocol.
    #[inline]
    pub(super) fn handle_answer(&mut self, answer: Result<Response, BoxError>) {
        // Commands that the service gave to the session before its answer take effect before the answer does.
        self.process_commands();
        let command = self.protocol.current_command();
        let subscription = self.protocol.pending_subscription();
        let outcome = self.pass_answer(answer, command, subscription);
        self.report_handled(command, outcome);
        if let Some(subscription) = subscription {
            self.release_pending(subscription);
        }
    }

    /// Passes the answer to the protocol, with what belongs to it. Returns the outcome for the monitors.
    #[inline]
    fn pass_answer(
        &mut self,
        answer: Result<Response, BoxError>,
        command: Option<Command>,
        subscription: Option<SubscriptionKey>,
    ) -> Outcome {
        let is_connect = matches!(command, Some(Command::Connect | Command::Stomp));
        match answer {
            Ok(Response::Done) => self.protocol.handle_answer(Ok(None), self.now),
            Ok(Response::Connected(connected)) if is_connect => {
                if let Some(principal) = connected.principal() {
                    self.session.shared().set_principal(principal.clone());
                    self.record_principal();
                }
                self.protocol.handle_answer(Ok(Some(connected)), self.now);
            }
            Ok(Response::Observe(stream)) if command == Some(Command::Subscribe) => {
                // If the session has ended meanwhile, the subscription has too, and the stream is dropped.
                let stream = CatchDrop::new(stream);
                if subscription.is_some() {
                    let pending = self.pending.get_or_insert_default();
                    pending.streams.push((None, stream));
                }
                self.protocol.handle_answer(Ok(None), self.now);
            }
            Ok(response) => {
                self.request_span(command).in_scope(|| {
                    tracing::error!(?response, "the response is for another command");
                });
                self.protocol
                    .handle_answer(Err(ClientError::internal()), self.now);
                return Outcome::Failed;
            }
            // The requests of the session itself are many, and nobody waits for their answers.
            Err(error) if self.protocol.is_own_request() && error.is::<RequestsDropped>() => {
                self.protocol.handle_answer(Ok(None), self.now);
                return Outcome::Cancelled;
            }
            Err(error) => {
                let are_requests_dropped = error.is::<RequestsDropped>();
                let is_panic = is_panic(&error);
                let shown = self.map_error(error, &self.request_span(command));
                let outcome = outcome_of(is_panic, &shown);
                if outcome == Outcome::TimedOut {
                    self.log_layer_timeout(command);
                }
                self.protocol.handle_answer(Err(shown), self.now);
                if are_requests_dropped {
                    self.protocol.handle_close(CloseCode::Away, self.now);
                }
                return outcome;
            }
        }
        Outcome::Ok
    }

    /// Passes the result of the futures of a transaction to the protocol.
    pub(super) fn handle_committed(&mut self, result: Result<(), BoxError>) {
        // Commands that the futures gave to the session take effect before their result does.
        self.process_commands();
        let mut outcome = Outcome::Ok;
        let result = result.map_err(|error| {
            let is_panic = is_panic(&error);
            let span = self.request_span(Some(Command::Commit));
            let shown = if error.is::<PartlyCommitted>() {
                // The client must not see the cause, whatever the mapper makes of it.
                map_protected(error, &span, ClientError::from_error)
            } else {
                self.map_error(error, &span)
            };
            outcome = outcome_of(is_panic, &shown);
            if shown == ClientError::internal() {
                ClientError::engine_unavailable()
            } else {
                shown
            }
        });
        self.report_handled(Some(Command::Commit), outcome);
        self.protocol.handle_committed(result, self.now);
    }
}
