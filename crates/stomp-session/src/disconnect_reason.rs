//! The reason why a session ends.

/// Reason why a session ends, as a `DISCONNECT` request [reports](crate::Request::reason) it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer sent `DISCONNECT`.
    Requested,
    /// The peer closed the connection without `DISCONNECT`.
    Closed,
    /// The connection broke.
    Lost,
    /// The peer violated the protocol or exceeded a limit.
    Fault,
    /// The peer was silent for too long, sent a frame too slowly, or did not read what it was sent in time.
    Timeout,
    /// An error of the application closed the session, under [`AppErrors::Close`](crate::AppErrors::Close).
    Error,
    /// The credentials of the peer expired, see [`Session::expires_at`](crate::Session::expires_at).
    Expired,
    /// The server closed the session.
    Server,
}

impl DisconnectReason {
    /// Every reason.
    #[cfg(feature = "metrics")]
    pub(crate) const ALL: [DisconnectReason; 8] = [
        DisconnectReason::Requested,
        DisconnectReason::Closed,
        DisconnectReason::Lost,
        DisconnectReason::Fault,
        DisconnectReason::Timeout,
        DisconnectReason::Error,
        DisconnectReason::Expired,
        DisconnectReason::Server,
    ];

    /// The name for logs and metrics: that of the variant, in lower case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            DisconnectReason::Requested => "requested",
            DisconnectReason::Closed => "closed",
            DisconnectReason::Lost => "lost",
            DisconnectReason::Fault => "fault",
            DisconnectReason::Timeout => "timeout",
            DisconnectReason::Error => "error",
            DisconnectReason::Expired => "expired",
            DisconnectReason::Server => "server",
        }
    }
}
