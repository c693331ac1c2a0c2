//! How sessions behave.

use crate::{
    error::{ClientError, ErrorMapper},
    mailbox::config::MailboxConfig,
    sessions::Sessions,
};
use std::{error::Error, time::Duration};
use stomp_frame::{HeartBeat, InvalidConfig, Limits};

/// The settings of a session. All durations and bounds are per session.
///
/// ```
/// use std::time::Duration;
/// use stomp_session::Config;
///
/// let config = Config::default()
///     .max_subscriptions(16)
///     .handler_timeout(Duration::from_secs(10));
/// assert!(config.validate().is_ok());
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// What a peer may send once it is connected. Default: [`Limits::default`].
    pub limits: Limits,
    /// The longest destination, and the longest `id` of a subscription, in bytes. Default: 255.
    pub max_destination_bytes: usize,
    /// How many subscriptions a peer may have, and how many ended ones are remembered. Default: 256.
    pub max_subscriptions: usize,
    /// How many frames are read while a request is being handled. Then reading stops. Default: 32.
    pub max_inbox_frames: usize,
    /// How many bytes of frames are read while a request is being handled. Default: 256 KiB.
    pub max_inbox_bytes: usize,
    /// How many messages of one subscription may wait to be acknowledged. Then its streams rest. A client may ask for
    /// fewer with the header `prefetch-count`. Default: 256.
    pub max_unacked_messages: usize,
    /// With as many bytes waiting to be acknowledged, the streams of all subscriptions that are rest. Default: 1 MiB.
    pub max_unacked_bytes: usize,
    /// How many transactions may be open. Default: 8.
    pub max_transactions: usize,
    /// How many frames a transaction may have. Default: 256.
    pub max_transaction_frames: usize,
    /// How many bytes of frames all open transactions may have; one frame always fits. Default: 1 MiB.
    pub max_transaction_bytes: usize,
    /// With as many bytes unsent, streams rest and nothing is read. Default: 512 KiB.
    pub max_outbound_bytes: usize,
    /// With as many frames unsent, the same. Default: 1,024.
    pub max_outbound_frames: usize,
    /// How long a peer may take nothing of what is sent to it. Default: 10 s.
    pub write_timeout: Duration,
    /// How much of [`Session::message`](crate::Session::message) may wait. Default: 256 messages, 256 KiB.
    pub mailbox: MailboxConfig,
    /// With as many bytes waiting in all mailboxes of the session, those of topics too, each counts as full that is not
    /// empty. Default: 1 MiB.
    pub max_total_mailbox_bytes: usize,
    /// How long `CONNECT` may take to come, to its last byte. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a frame may take to come, from its first byte to its last. Default: 30 s.
    pub frame_timeout: Duration,
    /// How long a service may take for a request. Default: 60 s.
    pub handler_timeout: Duration,
    /// How long a peer is waited for after the last frame to it. Default: 1 s.
    pub linger_timeout: Duration,
    /// What is offered as heart-beats, in milliseconds. Both numbers are floors: where the peer wishes for fewer, its
    /// wish decides. Default: 1,000 each way.
    pub heart_beat: HeartBeat,
    /// How often a peer that promised no heart-beats is sent a WebSocket ping, to see whether it is there.
    /// Default: 25 s.
    pub ping_interval: Duration,
    /// How long the answer to such a ping may take. Default: 10 s.
    pub ping_timeout: Duration,
    /// Where connected sessions are found, by id or by principal. Default: a registry of this configuration's own.
    pub sessions: Sessions,
    /// What happens to the session after an error of the application. Default: [`AppErrors::KeepOpen`].
    pub app_errors: AppErrors,
    /// What a client is shown of a service's error. Default: none, which is [`ClientError::from_error`]; in a `webstomp::App`,
    /// `stomp_router::map_error`.
    pub error_mapper: Option<ErrorMapper>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            limits: Limits::default(),
            max_destination_bytes: 255,
            max_subscriptions: 256,
            max_inbox_frames: 32,
            max_inbox_bytes: 256 << 10,
            max_unacked_messages: 256,
            max_unacked_bytes: 1 << 20,
            max_transactions: 8,
            max_transaction_frames: 256,
            max_transaction_bytes: 1 << 20,
            max_outbound_bytes: 512 << 10,
            max_outbound_frames: 1_024,
            write_timeout: Duration::from_secs(10),
            mailbox: MailboxConfig::default(),
            max_total_mailbox_bytes: 1 << 20,
            connect_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(30),
            handler_timeout: Duration::from_secs(60),
            linger_timeout: Duration::from_secs(1),
            heart_beat: HeartBeat {
                send: 1_000,
                receive: 1_000,
            },
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            sessions: Sessions::default(),
            app_errors: AppErrors::KeepOpen,
            error_mapper: None,
        }
    }
}

/// Defines setters by value, named after the fields of [`Config`].
macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {
        $(
            #[doc = concat!("Sets [`Config::", stringify!($field), "`].")]
            #[must_use]
            pub fn $field(mut self, $field: $type) -> Config {
                self.$field = $field;
                self
            }
        )*
    };
}

impl Config {
    setters! {
        limits: Limits,
        max_destination_bytes: usize,
        max_subscriptions: usize,
        max_inbox_frames: usize,
        max_inbox_bytes: usize,
        max_unacked_messages: usize,
        max_unacked_bytes: usize,
        max_transactions: usize,
        max_transaction_frames: usize,
        max_transaction_bytes: usize,
        max_outbound_bytes: usize,
        max_outbound_frames: usize,
        write_timeout: Duration,
        mailbox: MailboxConfig,
        max_total_mailbox_bytes: usize,
        connect_timeout: Duration,
        frame_timeout: Duration,
        handler_timeout: Duration,
        linger_timeout: Duration,
        heart_beat: HeartBeat,
        ping_interval: Duration,
        ping_timeout: Duration,
        sessions: Sessions,
        app_errors: AppErrors,
    }

    /// Sets [`Config::error_mapper`].
    #[must_use]
    pub fn error_mapper(
        mut self,
        map: impl Fn(&(dyn Error + 'static)) -> ClientError + Send + Sync + 'static,
    ) -> Config {
        self.error_mapper = Some(ErrorMapper::new(map));
        self
    }

    /// Checks that sessions can run with these values.
    ///
    /// # Errors
    ///
    /// If one of them is impossible: a timeout or an interval of zero, or a bound of 0 under which nothing could be
    /// sent, received or acknowledged.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.limits
            .validate()
            .map_err(|invalid| invalid.within("limits"))?;
        for (setting, value) in [
            ("max_destination_bytes", self.max_destination_bytes),
            ("max_inbox_frames", self.max_inbox_frames),
            ("max_inbox_bytes", self.max_inbox_bytes),
            ("max_unacked_messages", self.max_unacked_messages),
            ("max_unacked_bytes", self.max_unacked_bytes),
            ("max_outbound_bytes", self.max_outbound_bytes),
            ("max_outbound_frames", self.max_outbound_frames),
            ("mailbox.max_messages", self.mailbox.max_messages),
            ("mailbox.max_bytes", self.mailbox.max_bytes),
            ("max_total_mailbox_bytes", self.max_total_mailbox_bytes),
        ] {
            InvalidConfig::reject_zero(setting, value)?;
        }
        for (setting, duration) in [
            ("write_timeout", self.write_timeout),
            ("connect_timeout", self.connect_timeout),
            ("frame_timeout", self.frame_timeout),
            ("handler_timeout", self.handler_timeout),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
        ] {
            if duration.is_zero() {
                return Err(InvalidConfig::new(setting, "is zero, but must be longer"));
            }
        }
        Ok(())
    }

    /// About how many bytes one session may make the process hold at most, if the largest message that it is sent has
    /// `message` bytes. What handlers and streams hold themselves is not in it.
    ///
    /// | what | at most |
    /// |---|---|
    /// | a frame that is being read, by the WebSocket and by the codec | 2 × (`limits.max_frame_bytes` + `limits.max_head_bytes`) |
    /// | the frame that is being handled | `limits.max_frame_bytes` |
    /// | frames that wait to be | `max_inbox_bytes` + `limits.max_frame_bytes` |
    /// | frames in transactions | `max_transaction_bytes` + `limits.max_frame_bytes` |
    /// | what is not yet written | `max_outbound_bytes` + `message` |
    /// | what handles have sent | 2 × (`mailbox.max_bytes` + `message`) |
    /// | what was pushed to mailboxes | 2 × (`max_total_mailbox_bytes` + `max_subscriptions` × `message`) |
    /// | notes on what waits to be acknowledged | `max_unacked_bytes` / 2 |
    /// | subscriptions, and the names of ended ones | `max_subscriptions` × (5 × `max_destination_bytes` + 512) |
    ///
    /// Twice, because a mailbox may fill again while what was taken from it is being sent. Times the number of
    /// connections it is what a process needs if all peers are hostile at once; an idle session holds a few KiB.
    #[must_use]
    pub fn worst_case(&self, message: usize) -> usize {
        let Limits {
            max_frame_bytes: frame,
            max_head_bytes: head,
            ..
        } = self.limits;
        let read = 2 * (frame + head)
            + frame
            + self.max_inbox_bytes
            + frame
            + self.max_transaction_bytes
            + frame;
        let sent = self.max_outbound_bytes + message + 2 * (self.mailbox.max_bytes + message);
        let pushed = 2 * (self.max_total_mailbox_bytes + self.max_subscriptions * message);
        let notes = self.max_unacked_bytes / 2
            + self.max_subscriptions * (5 * self.max_destination_bytes + 512);
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
