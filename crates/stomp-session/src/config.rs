//! How sessions behave.

use crate::{ClientError, Sessions};
use std::{error::Error, time::Duration};
use stomp_frame::{HeartBeat, Limits};

/// The settings of a session. All durations and bounds are per session.
///
/// ```
/// let mut config = stomp_session::Config::default();
/// config.subscriptions = 16;
/// config.handler_timeout = std::time::Duration::from_secs(10);
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// What a peer may send once it is connected. Default: [`Limits::default`].
    pub limits: Limits,
    /// The longest destination, and the longest `id` of a subscription, in bytes. Default: 255.
    pub destination: usize,
    /// How many subscriptions a peer may have, and how many ended ones are remembered. Default: 256.
    pub subscriptions: usize,
    /// How many frames are read while a request is being handled. Then reading stops. Default: 32.
    pub inbox_frames: usize,
    /// How many bytes of frames are read while a request is being handled. Default: 256 KiB.
    pub inbox_bytes: usize,
    /// How many messages of one subscription may wait to be acknowledged. Then its streams rest. A client may ask for
    /// fewer with the header `prefetch-count`. Default: 256.
    pub unacked: usize,
    /// With as many bytes waiting to be acknowledged, the streams of all subscriptions that are rest. Default: 1 MiB.
    pub unacked_bytes: usize,
    /// How many transactions may be open. Default: 8.
    pub transactions: usize,
    /// How many frames a transaction may have. Default: 256.
    pub transaction_frames: usize,
    /// How many bytes of frames all open transactions may have; one frame always fits. Default: 1 MiB.
    pub transaction_bytes: usize,
    /// With as many bytes unsent, streams rest and nothing is read. Default: 512 KiB.
    pub outbound_bytes: usize,
    /// With as many frames unsent, the same. Default: 1,024.
    pub outbound_frames: usize,
    /// How long a peer may take nothing of what is sent to it. Default: 10 s.
    pub outbound_stall: Duration,
    /// How much of [`Session::message`](crate::Session::message) may wait. Default: 256 messages, 256 KiB.
    pub mailbox: crate::MailboxConfig,
    /// With as many bytes waiting in all mailboxes of the session, those of topics too, each counts as full that is not
    /// empty. Default: 1 MiB.
    pub mailbox_bytes: usize,
    /// How long `CONNECT` may take to come, to its last byte. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a frame may take to come, from its first byte to its last. Default: 30 s.
    pub frame_timeout: Duration,
    /// How long a service may take for a request. Default: 60 s.
    pub handler_timeout: Duration,
    /// How long a peer is waited for after the last frame to it. Default: 1 s.
    pub linger: Duration,
    /// What is offered as heart-beats, in milliseconds. Both numbers are floors: where the peer wishes for fewer, its
    /// wish decides. Default: 1,000 each way.
    pub heart_beat: HeartBeat,
    /// How often a peer that promised no heart-beats is sent a WebSocket ping, to see whether it is there.
    /// Default: 25 s.
    pub ping_interval: Duration,
    /// How long the answer to such a ping may take. Default: 10 s.
    pub ping_patience: Duration,
    /// Where connected sessions are found, by id or by principal. Default: a registry of this configuration's own.
    pub sessions: Sessions,
    /// What happens to the session after an error of the application. Default: [`AppErrors::KeepOpen`].
    pub app_errors: AppErrors,
    /// What a client is shown of a service's error. Default: none, which is [`ClientError::of`]; in a `webstomp::App`,
    /// `stomp_router::describe`.
    pub describe: Option<fn(&(dyn Error + 'static)) -> ClientError>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            destination: 255,
            subscriptions: 256,
            inbox_frames: 32,
            inbox_bytes: 256 << 10,
            unacked: 256,
            unacked_bytes: 1 << 20,
            transactions: 8,
            transaction_frames: 256,
            transaction_bytes: 1 << 20,
            outbound_bytes: 512 << 10,
            outbound_frames: 1_024,
            outbound_stall: Duration::from_secs(10),
            mailbox: crate::MailboxConfig::default(),
            mailbox_bytes: 1 << 20,
            connect_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(30),
            handler_timeout: Duration::from_secs(60),
            linger: Duration::from_secs(1),
            heart_beat: HeartBeat {
                send: 1_000,
                receive: 1_000,
            },
            ping_interval: Duration::from_secs(25),
            ping_patience: Duration::from_secs(10),
            sessions: Sessions::default(),
            app_errors: AppErrors::KeepOpen,
            describe: None,
        }
    }
}

impl Config {
    /// About how many bytes one session may make the process hold at most, if the largest message that it is sent has
    /// `message` bytes. What handlers and streams hold themselves is not in it.
    ///
    /// | what | at most |
    /// |---|---|
    /// | a frame that is being read, by the WebSocket and by the codec | 2 × (`limits.frame` + `limits.head`) |
    /// | the frame that is being handled | `limits.frame` |
    /// | frames that wait to be | `inbox_bytes` + `limits.frame` |
    /// | frames in transactions | `transaction_bytes` + `limits.frame` |
    /// | what is not yet written | `outbound_bytes` + `message` |
    /// | what handles have sent | 2 × (`mailbox.bytes` + `message`) |
    /// | what was pushed to mailboxes | 2 × (`mailbox_bytes` + `subscriptions` × `message`) |
    /// | notes on what waits to be acknowledged | `unacked_bytes` / 2 |
    /// | subscriptions, and the names of ended ones | `subscriptions` × (5 × `destination` + 512) |
    ///
    /// Twice, because a mailbox may fill again while what was taken from it is being sent. Times the number of
    /// connections it is what a process needs if all peers are hostile at once; an idle session holds a few KiB.
    #[must_use]
    pub fn worst_case(&self, message: usize) -> usize {
        let Limits { frame, head, .. } = self.limits;
        let read =
            2 * (frame + head) + frame + self.inbox_bytes + frame + self.transaction_bytes + frame;
        let sent = self.outbound_bytes + message + 2 * (self.mailbox.bytes + message);
        let pushed = 2 * (self.mailbox_bytes + self.subscriptions * message);
        let notes = self.unacked_bytes / 2 + self.subscriptions * (5 * self.destination + 512);
        read + sent + pushed + notes
    }
}

/// What happens after an error of the application: a handler that failed, a subscription that was refused.
///
/// Errors of the protocol always close, and so does a refused `CONNECT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppErrors {
    /// The peer gets an `ERROR`, with the `receipt-id` of a frame that asked for a receipt and the `subscription` that is
    /// refused or has failed, and the session goes on. Existing clients handle this well, and
    /// one refused subscription does not cost a page all the others.
    #[default]
    KeepOpen,
    /// The peer gets an `ERROR` and the connection is closed, as STOMP 1.2 says: the server "MUST then close the
    /// connection just after sending the `ERROR` frame".
    Close,
}
