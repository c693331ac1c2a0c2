//! Monitors: code of the application that sees the sessions' frames, requests and ends, for metrics and audits.

use crate::{
    catch_panic::catch_panic, disconnect_reason::DisconnectReason, message::Message,
    params::Pattern, session::Session,
};
use std::{fmt, sync::Arc, time::Duration};
use stomp_frame::{Command, Frame};
use stomp_socket::CloseCode;

/// Code that sees the work of sessions, without a part in it. [`Config::monitor`](crate::Config::monitor) adds it.
///
/// Unlike layers, a monitor also sees the frames that a session sends, with `ERROR`, `RECEIPT` and the messages of
/// handles, and how sessions and requests end. All methods do nothing by default.
///
/// The methods run in the task of the session, so they must not block. They are called without a lock, and a panic in
/// them is caught.
///
/// ```
/// use stomp_session::{Config, Monitor, OutgoingFrame, Session};
///
/// struct Errors;
///
/// impl Monitor for Errors {
///     fn sent(&self, session: &Session, frame: OutgoingFrame<'_>) {
///         if let OutgoingFrame::Frame(frame) = frame {
///             println!("{}: {:?}", session.id(), frame.headers.get("message"));
///         }
///     }
/// }
///
/// let config = Config::default().monitor(Errors);
/// ```
pub trait Monitor: Send + Sync + 'static {
    /// Called when the peer is connected: `CONNECTED` is about to be sent, or was sent.
    fn opened(&self, session: &Session) {
        let _ = session;
    }

    /// Called with each frame of the peer, before the session handles it. Heart-beats are no frames.
    fn received(&self, session: &Session, frame: &Frame) {
        let _ = (session, frame);
    }

    /// Called when a request has been handled, or when the session has given it up.
    fn handled(&self, session: &Session, request: &HandledRequest<'_>) {
        let _ = (session, request);
    }

    /// Called with each frame that the session has put into its outbound buffer. Heart-beats are no frames.
    fn sent(&self, session: &Session, frame: OutgoingFrame<'_>) {
        let _ = (session, frame);
    }

    /// Called when the peer has been told, by the header `dropped-messages`, that this number of messages of a
    /// subscription was dropped.
    fn dropped(&self, session: &Session, messages: u64) {
        let _ = (session, messages);
    }

    /// Called when bytes were received, written or buffered, at most once in each turn of the session.
    fn transferred(&self, session: &Session, transfer: &Transfer) {
        let _ = (session, transfer);
    }

    /// Called when the connection has ended, also if the peer never was connected. No call follows.
    fn ended(&self, session: &Session, end: &SessionEnd) {
        let _ = (session, end);
    }
}

/// Frame that a session sends, for [`Monitor::sent`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum OutgoingFrame<'a> {
    /// `CONNECTED` or `ERROR`.
    Frame(&'a Frame),
    /// `RECEIPT`.
    #[non_exhaustive]
    Receipt {
        /// The header `receipt-id`.
        id: &'a str,
    },
    /// `MESSAGE`.
    #[non_exhaustive]
    Message {
        /// The message that all subscribers share.
        message: &'a Message,
        /// True if the message was delivered before and not acknowledged.
        is_redelivered: bool,
    },
}

impl OutgoingFrame<'_> {
    /// The command of the frame.
    #[must_use]
    pub fn command(&self) -> Command {
        match self {
            OutgoingFrame::Frame(frame) => frame.command,
            OutgoingFrame::Receipt { .. } => Command::Receipt,
            OutgoingFrame::Message { .. } => Command::Message,
        }
    }
}

/// Request that has been handled, for [`Monitor::handled`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct HandledRequest<'a> {
    /// The command. `COMMIT` stands for the futures of a transaction; its `SEND`s are requests of their own. `CONNECTED`,
    /// `UNSUBSCRIBE` and `DISCONNECT` may be requests that the session itself makes: see
    /// [`Request::is_from_peer`](crate::Request::is_from_peer).
    pub command: Command,
    /// The pattern of the route, if a router has found one.
    pub route: Option<&'a Pattern>,
    /// The outcome.
    pub outcome: Outcome,
    /// Time since the service was called. Zero if it was not ready.
    pub elapsed: Duration,
}

/// Outcome of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The service succeeded.
    Ok,
    /// The service refused the request with a [`ClientError`](crate::ClientError).
    Refused,
    /// The service failed: the client sees `internal-error`.
    Failed,
    /// The service panicked.
    Panicked,
    /// The service, or a layer around it, took too long.
    TimedOut,
    /// The service was not ready in time, or a layer has shed the request.
    Overloaded,
    /// The connection, or the request, was dropped before the service answered.
    Cancelled,
}

impl Outcome {
    /// Every outcome.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [Outcome; 7] = [
        Outcome::Ok,
        Outcome::Refused,
        Outcome::Failed,
        Outcome::Panicked,
        Outcome::TimedOut,
        Outcome::Overloaded,
        Outcome::Cancelled,
    ];

    /// The name for logs and metrics: `ok`, `refused`, `failed`, `panic`, `timeout`, `overloaded` or `cancelled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Ok => "ok",
            Outcome::Refused => "refused",
            Outcome::Failed => "failed",
            Outcome::Panicked => "panic",
            Outcome::TimedOut => "timeout",
            Outcome::Overloaded => "overloaded",
            Outcome::Cancelled => "cancelled",
        }
    }
}

/// Bytes of one connection since the last call of [`Monitor::transferred`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Transfer {
    /// Bytes received, with the framing of WebSockets.
    pub received_bytes: u64,
    /// Bytes written to the network.
    pub sent_bytes: u64,
    /// Change of the number of bytes that wait to be written. The sum of all changes of a session is 0 at its end.
    pub unsent_bytes: i64,
}

/// End of a session, for [`Monitor::ended`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionEnd {
    /// The reason. [`DisconnectReason::Server`] also if the connection was aborted.
    pub reason: DisconnectReason,
    /// The code of the `ERROR` that ended the session. `write-timeout` if the peer read nothing for
    /// [`Config::write_timeout`](crate::Config::write_timeout), because such a peer gets no `ERROR`.
    pub error_code: Option<String>,
    /// The code with which the session closed its connection; the peer may not have received it. `None` if the connection
    /// was aborted.
    pub close_code: Option<CloseCode>,
    /// True if the peer was connected.
    pub was_connected: bool,
    /// Time since the connection was handed to the session.
    pub duration: Duration,
    /// Frames received.
    pub received_frames: u64,
    /// Frames sent.
    pub sent_frames: u64,
    /// Bytes received, with the framing of WebSockets.
    pub received_bytes: u64,
    /// Bytes written to the network.
    pub sent_bytes: u64,
    /// Messages of which the peer was told that they were dropped.
    pub dropped_messages: u64,
}

/// The [`Monitor`]s of a [`Config`](crate::Config). Empty by default.
#[derive(Clone, Default)]
pub struct Monitors(Vec<Arc<dyn Monitor>>);

impl Monitors {
    /// Adds a monitor.
    pub fn add(&mut self, monitor: impl Monitor) {
        self.0.push(Arc::new(monitor));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Calls each monitor. A panic of one does not keep the others from being called.
    pub(crate) fn notify(&self, call: impl Fn(&dyn Monitor)) {
        for monitor in &self.0 {
            // The panic hook has reported the panic.
            let _ = catch_panic(|| call(&**monitor));
        }
    }
}

impl fmt::Debug for Monitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Monitors").field(&self.0.len()).finish()
    }
}
