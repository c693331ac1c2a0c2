//! Why a session ends.

/// Why a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer sent `DISCONNECT`.
    Requested,
    /// The peer closed the connection without it.
    Closed,
    /// The connection broke.
    Lost,
    /// The peer broke the protocol, or a limit.
    Fault,
    /// The peer was silent for too long, or did not take what was sent to it.
    Timeout,
    /// An error of the application, where these close.
    Error,
    /// What the peer logged in with has expired, see [`Session::expires_at`](crate::Session::expires_at).
    Expired,
    /// This side closed.
    Server,
}
