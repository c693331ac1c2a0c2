//! Failures of the application: their form for the client, and the log.

use super::driver::Driver;
use crate::{
    catch_drop::CatchDrop,
    catch_panic::catch_panic,
    error::{BoxError, ClientError},
    id::SubscriptionKey,
};
use std::error::Error;
use stomp_frame::Command;
use tracing::Span;

impl Driver {
    /// Maps an error of the application, in the span that names its cause in the log.
    pub(super) fn map_error(&self, error: BoxError, span: &Span) -> ClientError {
        map_protected(error, span, |error| match &self.config.error_mapper {
            Some(mapper) => mapper.map(error),
            None => ClientError::from_error(error),
        })
    }

    /// The span for the log of a request that fails. If the spans of requests are not enabled, creates one with the
    /// same fields at the level of the failure.
    pub(super) fn request_span(&self, command: Option<Command>) -> Span {
        if let Some(span) = self.telemetry.call_span() {
            return span;
        }
        let route = self.session.shared().route();
        tracing::error_span!(
            parent: self.telemetry.span(),
            "request",
            command = command.map(Command::as_str),
            route = route.as_ref().map(|route| &**route.text()),
        )
    }

    /// The span for the log of a stream that fails: the destination of the subscription.
    pub(super) fn stream_span(&self, subscription: SubscriptionKey) -> Span {
        tracing::error_span!(
            parent: self.telemetry.span(),
            "stream",
            destination = self.protocol.destination(subscription),
        )
    }

    /// Logs that the call of the service was dropped, because it took too long.
    pub(super) fn log_timeout(&self) {
        let timeout = self.config.handler_timeout;
        let command = self.telemetry.called_command();
        self.request_span(command).in_scope(|| {
            tracing::warn!(?timeout, "a handler took too long, and was dropped");
        });
    }

    /// Logs that the service has answered that it took too long, as layers with a timeout do.
    pub(super) fn log_layer_timeout(&self, command: Option<Command>) {
        self.request_span(command).in_scope(|| {
            tracing::warn!("a handler took too long, and was dropped by a layer");
        });
    }
}

/// Maps an error in a span. A panic of the mapper, or of the error's own code, becomes [`ClientError::internal`].
pub(super) fn map_protected(
    error: BoxError,
    span: &Span,
    map: impl FnOnce(&(dyn Error + 'static)) -> ClientError,
) -> ClientError {
    let error = CatchDrop::new(error);
    let mapped = span.in_scope(|| catch_panic(|| error.get().map(|error| map(&**error))));
    mapped.ok().flatten().unwrap_or_else(ClientError::internal)
}
