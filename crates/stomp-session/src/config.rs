//! Settings of sessions.

use crate::{
    command_queue::MAX_ERROR_BYTES,
    destination::DestinationSyntax,
    error::{ClientError, ErrorMapper},
    fan_out::UNCOUNTED_ENTRY_BYTES,
    mailbox::config::BacklogConfig,
    memory_budget::MemoryBudget,
    monitor::{Monitor, Monitors},
    principal_share::{PrincipalShares, ShareLimits},
    sessions::Sessions,
};
use std::{error::Error, time::Duration};
use stomp_frame::{HeartBeat, InvalidConfig, Limits};
use stomp_socket::Peer;

/// Settings of sessions. All bounds and durations apply to each session separately, except for
/// [`memory_budget`](Config::memory_budget) and for those whose names end in `_per_principal`.
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
    /// Syntax by which the session parses the destination of each `SEND` and `SUBSCRIBE`. A destination that is invalid
    /// in this syntax gets the application error `bad-destination`. Default: every text is a literal destination. A
    /// `webstomp::App` adds the syntax of its broker.
    pub destinations: DestinationSyntax,
    /// Limits of the frames that a connected peer sends. Default: [`Limits::default`].
    pub limits: Limits,
    /// Maximum bytes of a destination, of the `id` of a subscription, and of the name of a transaction. A longer one is
    /// answered with `too-large`. Default: 255.
    pub max_destination_bytes: usize,
    /// Maximum active subscriptions, and maximum ended ones whose ids the session remembers. A further `SUBSCRIBE` gets
    /// the error `too-many-subscriptions`. [Implicit subscriptions](crate::Session::subscribe) count too. 0 allows none.
    /// Default: 256.
    pub max_subscriptions: usize,
    /// Maximum connected sessions of one [`Principal`](crate::Principal). A further `CONNECT` gets the error
    /// `too-many-sessions`, and is closed. A session counts from `CONNECTED` until its end begins. The session of a
    /// client that has lost its connection without a trace counts until its heart-beats are missed, so allow a few more
    /// than a user needs. Sessions of this configuration and of its clones count together. Default: no limit.
    pub max_sessions_per_principal: Option<usize>,
    /// Maximum active subscriptions of all sessions of one [`Principal`](crate::Principal) together. A further
    /// `SUBSCRIBE` is refused with `too-many-subscriptions`, and the session continues. They count together like
    /// [`max_sessions_per_principal`](Config::max_sessions_per_principal). 0 allows none. Default: no limit.
    pub max_subscriptions_per_principal: Option<usize>,
    /// Maximum streams that [`Session::observe`](crate::Session::observe) attaches to one subscription; the stream with
    /// which the service answered `SUBSCRIBE` does not count. 0 allows none. Default: 16.
    pub max_streams: usize,
    /// Maximum frames that are read ahead while a request is being handled. At this number, reading pauses. Default:
    /// 32.
    pub max_inbox_frames: usize,
    /// Maximum bytes of frames that are read ahead while a request is being handled. The frame that exceeds the bound
    /// is still accepted; then reading pauses. Default: 256 KiB.
    pub max_inbox_bytes: usize,
    /// Maximum unacknowledged messages of one subscription. At the number that it was granted, its streams pause. Only
    /// messages whose outcome is waited for count, such as those of queues, and not those of topics. A client asks for a
    /// number with the header `prefetch-count` of `SUBSCRIBE`, and is refused with `prefetch-too-large` if that is above
    /// this maximum. Without the header it is granted 256, or this maximum if that is smaller. Default: 256.
    pub max_unacked_messages: usize,
    /// Maximum of the sum of the unacknowledged messages that all subscriptions are granted. A `SUBSCRIBE` beyond it is
    /// refused with `prefetch-too-large`. So each subscription always gets what it was granted, and none can take it
    /// from another. Messages that an open transaction acknowledges count also after the end of their subscription.
    /// Default: 65,536, which is enough for 256 subscriptions with 256 messages.
    pub max_total_unacked_messages: usize,
    /// Maximum open transactions. A `BEGIN` beyond them is answered with `too-many-transactions`. 0 allows none.
    /// Default: 8.
    pub max_transactions: usize,
    /// Maximum frames of a transaction. A further frame is answered with `transaction-too-large`. Default: 256.
    pub max_transaction_frames: usize,
    /// Maximum bytes of the frames of all open transactions. A frame that exceeds the bound is answered with
    /// `transaction-too-large`. If no other frame is held, any frame fits. Default: 1 MiB.
    pub max_transaction_bytes: usize,
    /// Maximum bytes that wait to be sent to the peer. The frame that exceeds the bound is still accepted; then the
    /// streams and reading pause. Default: 512 KiB.
    pub max_outbound_bytes: usize,
    /// Maximum frames that wait to be sent to the peer. At this number, the streams and reading pause. Default: 1,024.
    pub max_outbound_frames: usize,
    /// Maximum time for which the peer reads nothing while output waits. After it, the connection is aborted. Default:
    /// 10 s.
    pub write_timeout: Duration,
    /// Bounds of the messages that [`Session::message`](crate::Session::message) queues. Default: 65,536 messages,
    /// 16 MiB.
    pub backlog: BacklogConfig,
    /// Maximum bytes queued in all mailboxes that the session reads, including those of topics whose subscribers are
    /// wrapped in other streams. At this maximum, every mailbox that is not empty counts as full. Default: 16 MiB.
    pub max_total_backlog_bytes: usize,
    /// Budget of the messages that wait for the sessions of this configuration and of its clones. Give it to their topics
    /// too: see [`Topic::with_budget`](crate::Topic::with_budget). While it is exceeded, a sixteenth of
    /// [`backlog`](Config::backlog) bounds what [`Session::message`](crate::Session::message) queues. Default: a new one
    /// of 256 MiB.
    pub memory_budget: MemoryBudget,
    /// Maximum time until `CONNECT` has arrived completely. After it, the peer gets `connect-timeout`. Default: 10 s.
    pub connect_timeout: Duration,
    /// Maximum time from the first byte of a frame to its last, in addition to the time that
    /// [`min_frame_bytes_per_second`](Config::min_frame_bytes_per_second) grants. After it, the peer gets
    /// `frame-timeout`. Default: 30 s.
    pub frame_timeout: Duration,
    /// Rate at which a large frame must arrive, at least 1: each second's worth of bytes that has arrived adds a second
    /// to [`frame_timeout`](Config::frame_timeout). So a peer that is slow but steady can send a large frame. No more
    /// bytes count than the longest frame may have. Default: 1,024.
    pub min_frame_bytes_per_second: u32,
    /// Maximum time until the service is ready for a request, and again from the call until it answers. The peer gets
    /// `overloaded` in the first case and `timeout` in the second. All futures of a transaction together have the same
    /// time, see [`Staging::on_commit`](crate::Staging::on_commit), and so have all `UNSUBSCRIBE` requests at the end
    /// of a session. Default: 60 s.
    pub handler_timeout: Duration,
    /// Maximum time from the beginning of a close until the connection is dropped. Nothing that the peer does extends
    /// it. It also starts when the peer closes its WebSocket, or ends its direction of a byte stream without
    /// `DISCONNECT`. A request that is being handled keeps its own time. Default: 10 s.
    pub close_timeout: Duration,
    /// Maximum time for which a closing session that has sent everything waits for the peer to read the last frame and
    /// to close, within [`close_timeout`](Config::close_timeout). Meanwhile it drops what the peer sends, up to
    /// `stomp_socket::Config::max_linger_bytes`. Default: 2 s.
    pub linger_timeout: Duration,
    /// Heart-beats that the session offers, in milliseconds: the smallest interval at which it sends them, and at which
    /// it expects them. If the peer asks for a larger interval, that one applies; 0 offers none. Default: 1,000 in both
    /// directions.
    pub heart_beat: HeartBeat,
    /// Time of silence after which a peer that has promised no heart-beats gets a WebSocket ping. Default: 25 s.
    pub ping_interval: Duration,
    /// Maximum time until the peer sends something after a ping. After it, the peer gets `heart-beat-timeout`. Default:
    /// 10 s.
    pub ping_timeout: Duration,
    /// Registry of the connected sessions. Default: a new one, whose [node](Sessions::for_node) has a random name.
    pub sessions: Sessions,
    /// Effect of an application error on the session. Default: [`AppErrors::KeepOpen`].
    pub app_errors: AppErrors,
    /// Function that maps the error of a service to the error that the client sees. Default: `None`, which means
    /// [`ClientError::from_error`]. A `webstomp::App` sets `stomp_router::map_error`. If the function panics, the client
    /// sees [`ClientError::internal`].
    pub error_mapper: Option<ErrorMapper>,
    /// Code that sees the frames, requests and ends of the sessions: see [`Monitor`]. Default: none.
    pub monitors: Monitors,
    /// Counts for the limits per principal.
    pub(crate) shares: PrincipalShares,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            destinations: DestinationSyntax::default(),
            limits: Limits::default(),
            max_destination_bytes: 255,
            max_subscriptions: 256,
            max_sessions_per_principal: None,
            max_subscriptions_per_principal: None,
            max_streams: 16,
            max_inbox_frames: 32,
            max_inbox_bytes: 256 << 10,
            max_unacked_messages: 256,
            max_total_unacked_messages: 1 << 16,
            max_transactions: 8,
            max_transaction_frames: 256,
            max_transaction_bytes: 1 << 20,
            max_outbound_bytes: 512 << 10,
            max_outbound_frames: 1_024,
            write_timeout: Duration::from_secs(10),
            backlog: BacklogConfig::default(),
            max_total_backlog_bytes: 16 << 20,
            memory_budget: MemoryBudget::default(),
            connect_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(30),
            min_frame_bytes_per_second: 1_024,
            handler_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(10),
            linger_timeout: Duration::from_secs(2),
            heart_beat: HeartBeat {
                send: 1_000,
                receive: 1_000,
            },
            ping_interval: Duration::from_secs(25),
            ping_timeout: Duration::from_secs(10),
            sessions: Sessions::default(),
            app_errors: AppErrors::KeepOpen,
            error_mapper: None,
            shares: PrincipalShares::default(),
            monitors: Monitors::default(),
        }
    }
}

/// Defines setters that are named after the fields of [`Config`], and take and return it by value.
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
        destinations: DestinationSyntax,
        limits: Limits,
        max_destination_bytes: usize,
        max_subscriptions: usize,
        max_streams: usize,
        max_inbox_frames: usize,
        max_inbox_bytes: usize,
        max_unacked_messages: usize,
        max_total_unacked_messages: usize,
        max_transactions: usize,
        max_transaction_frames: usize,
        max_transaction_bytes: usize,
        max_outbound_bytes: usize,
        max_outbound_frames: usize,
        write_timeout: Duration,
        backlog: BacklogConfig,
        max_total_backlog_bytes: usize,
        memory_budget: MemoryBudget,
        connect_timeout: Duration,
        frame_timeout: Duration,
        min_frame_bytes_per_second: u32,
        handler_timeout: Duration,
        close_timeout: Duration,
        linger_timeout: Duration,
        heart_beat: HeartBeat,
        ping_interval: Duration,
        ping_timeout: Duration,
        sessions: Sessions,
        app_errors: AppErrors,
        monitors: Monitors,
    }

    /// Adds a monitor to [`Config::monitors`].
    #[must_use]
    pub fn monitor(mut self, monitor: impl Monitor) -> Config {
        self.monitors.add(monitor);
        self
    }

    /// Sets [`Config::max_sessions_per_principal`].
    #[must_use]
    pub fn max_sessions_per_principal(mut self, max: impl Into<Option<usize>>) -> Config {
        self.max_sessions_per_principal = max.into();
        self
    }

    /// Sets [`Config::max_subscriptions_per_principal`].
    #[must_use]
    pub fn max_subscriptions_per_principal(mut self, max: impl Into<Option<usize>>) -> Config {
        self.max_subscriptions_per_principal = max.into();
        self
    }

    pub(crate) fn share_limits(&self) -> ShareLimits {
        ShareLimits {
            sessions: self.max_sessions_per_principal,
            subscriptions: self.max_subscriptions_per_principal,
        }
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
    /// Returns an error if a value is impossible: a timeout or interval of zero, or a bound of 0 with which nothing can
    /// be sent, received or acknowledged. The error names the field.
    pub fn validate(&self) -> Result<(), InvalidConfig> {
        self.limits
            .validate()
            .map_err(|invalid| invalid.within("limits"))?;
        for (setting, value) in [
            ("max_destination_bytes", self.max_destination_bytes),
            (
                "max_sessions_per_principal",
                self.max_sessions_per_principal.unwrap_or(1),
            ),
            ("max_inbox_frames", self.max_inbox_frames),
            ("max_inbox_bytes", self.max_inbox_bytes),
            ("max_unacked_messages", self.max_unacked_messages),
            (
                "max_total_unacked_messages",
                self.max_total_unacked_messages,
            ),
            ("max_outbound_bytes", self.max_outbound_bytes),
            ("max_outbound_frames", self.max_outbound_frames),
            ("backlog.max_messages", self.backlog.max_messages),
            ("backlog.max_bytes", self.backlog.max_bytes),
            ("max_total_backlog_bytes", self.max_total_backlog_bytes),
            ("memory_budget", self.memory_budget.limit()),
            (
                "min_frame_bytes_per_second",
                self.min_frame_bytes_per_second as usize,
            ),
        ] {
            InvalidConfig::reject_zero(setting, value)?;
        }
        // Without transactions, their bounds do not matter.
        if self.max_transactions > 0 {
            InvalidConfig::reject_zero("max_transaction_frames", self.max_transaction_frames)?;
            InvalidConfig::reject_zero("max_transaction_bytes", self.max_transaction_bytes)?;
        }
        for (setting, duration) in [
            ("write_timeout", self.write_timeout),
            ("connect_timeout", self.connect_timeout),
            ("frame_timeout", self.frame_timeout),
            ("handler_timeout", self.handler_timeout),
            // Without any time, the peer could not read the last frame.
            ("close_timeout", self.close_timeout),
            ("linger_timeout", self.linger_timeout),
            ("ping_interval", self.ping_interval),
            ("ping_timeout", self.ping_timeout),
        ] {
            InvalidConfig::reject_zero_duration(setting, duration)?;
        }
        Ok(())
    }

    /// Returns the approximate maximum of bytes that one session keeps in memory, if the largest message for it has
    /// `message` bytes. Memory of handlers and streams themselves is not included.
    ///
    /// | memory | maximum |
    /// |---|---|
    /// | the peer: the head of its HTTP request, and its certificates | [`Peer::MAX_BYTES`](stomp_socket::Peer::MAX_BYTES) |
    /// | the frame that is being read, in the WebSocket and in the decoder | 2 × (`limits.max_frame_bytes` + `limits.max_head_bytes`) |
    /// | the frame that is being handled | `limits.max_frame_bytes` |
    /// | frames that were read ahead | `max_inbox_bytes` + `limits.max_frame_bytes` |
    /// | frames in transactions | `max_transaction_bytes` + `limits.max_frame_bytes` |
    /// | output that is not sent yet | `max_outbound_bytes` + `message` |
    /// | errors of handles | 64 KiB + `message` |
    /// | records of streams of handles | `max_subscriptions` × `max_streams` × 512 |
    /// | messages in mailboxes that the application fills | 2 × (`max_total_backlog_bytes` + `max_subscriptions` × `message`) |
    /// | entries of backlogs that no memory budget counts | 4 KiB |
    /// | records of unacknowledged messages | 160 × `max_total_unacked_messages` |
    /// | ids of acknowledged messages | 160 × `max_unacked_messages` |
    /// | subscriptions, the names of ended ones, and a head that is being encoded | (`max_subscriptions` + 1) × (6 × `max_destination_bytes` + 768) |
    /// | the destination that was parsed last | 2 × `max_destination_bytes` + 256 |
    ///
    /// A message that was sent and not acknowledged is not in this sum: the session does not hold it. A queue that may
    /// have to deliver it again does. The messages of a [`Hub`](crate::Hub), of a [`Topic`](crate::Topic) and of
    /// [`Session::message`](crate::Session::message) are not in it either, nor the entries with which they wait here:
    /// they count in a [`MemoryBudget`], each message once for all sessions.
    ///
    /// A [`Mailbox`](crate::Mailbox) of the application counts twice, because it may fill again while the messages that
    /// were taken from it are being sent. Multiplied by the number of connections, and with the limits of all memory
    /// budgets added once, this is the memory that a process needs if all peers are hostile at once; an idle session
    /// holds a few KiB. The sum saturates at `usize::MAX`.
    #[must_use]
    pub fn worst_case(&self, message: usize) -> usize {
        let Limits {
            max_frame_bytes: frame,
            max_head_bytes: head,
            ..
        } = self.limits;
        let twice = |bytes: usize| bytes.saturating_mul(2);
        let per_subscription = self.max_destination_bytes.saturating_mul(6);
        [
            Peer::MAX_BYTES,
            twice(frame.saturating_add(head)),
            frame,
            self.max_inbox_bytes.saturating_add(frame),
            self.max_transaction_bytes.saturating_add(frame),
            self.max_outbound_bytes.saturating_add(message),
            MAX_ERROR_BYTES.saturating_add(message),
            self.max_subscriptions
                .saturating_mul(self.max_streams.saturating_mul(512)),
            twice(self.max_total_backlog_bytes),
            twice(self.max_subscriptions.saturating_mul(message)),
            UNCOUNTED_ENTRY_BYTES,
            self.max_total_unacked_messages
                .saturating_add(self.max_unacked_messages)
                .saturating_mul(160),
            twice(self.max_destination_bytes).saturating_add(256),
            self.max_subscriptions
                .saturating_add(1)
                .saturating_mul(per_subscription.saturating_add(768)),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }
}

/// Effect of an application error on the session: for example a failed handler, a failed stream or an invalid
/// destination.
///
/// Violations of the protocol always close the session, and so does a refused `CONNECT`, or an error with
/// [`ClientError::with_close`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum AppErrors {
    /// The peer gets an `ERROR`, and the session continues. The frame contains the `receipt-id`, if the failed frame
    /// asked for a receipt, and the `subscription` that was refused or has failed. Existing clients handle this well,
    /// and one refused subscription does not end all other subscriptions of a web page.
    #[default]
    KeepOpen,
    /// The peer gets an `ERROR` and the connection is closed, as STOMP 1.2 says: the server "MUST then close the
    /// connection just after sending the `ERROR` frame".
    Close,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the error that `validate` reports for the default configuration after a change.
    fn invalid(change: impl FnOnce(&mut Config)) -> InvalidConfig {
        let mut config = Config::default();
        change(&mut config);
        config.validate().unwrap_err()
    }

    #[test]
    fn a_bound_of_zero_is_reported_with_the_name_of_its_field() {
        type Field = fn(&mut Config) -> &mut usize;
        let fields: [(&str, Field); 13] = [
            ("limits.max_headers", |c| &mut c.limits.max_headers),
            ("max_destination_bytes", |c| &mut c.max_destination_bytes),
            ("max_inbox_frames", |c| &mut c.max_inbox_frames),
            ("max_inbox_bytes", |c| &mut c.max_inbox_bytes),
            ("max_unacked_messages", |c| &mut c.max_unacked_messages),
            ("max_total_unacked_messages", |c| {
                &mut c.max_total_unacked_messages
            }),
            ("max_transaction_frames", |c| &mut c.max_transaction_frames),
            ("max_transaction_bytes", |c| &mut c.max_transaction_bytes),
            ("max_outbound_bytes", |c| &mut c.max_outbound_bytes),
            ("max_outbound_frames", |c| &mut c.max_outbound_frames),
            ("backlog.max_messages", |c| &mut c.backlog.max_messages),
            ("backlog.max_bytes", |c| &mut c.backlog.max_bytes),
            ("max_total_backlog_bytes", |c| {
                &mut c.max_total_backlog_bytes
            }),
        ];
        for (name, field) in fields {
            let error = invalid(|config| *field(config) = 0);
            assert_eq!(error.setting(), name);
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }

    #[test]
    fn a_duration_of_zero_is_reported_with_the_name_of_its_field() {
        type Field = fn(&mut Config) -> &mut Duration;
        let fields: [(&str, Field); 8] = [
            ("write_timeout", |c| &mut c.write_timeout),
            ("connect_timeout", |c| &mut c.connect_timeout),
            ("frame_timeout", |c| &mut c.frame_timeout),
            ("handler_timeout", |c| &mut c.handler_timeout),
            ("close_timeout", |c| &mut c.close_timeout),
            ("linger_timeout", |c| &mut c.linger_timeout),
            ("ping_interval", |c| &mut c.ping_interval),
            ("ping_timeout", |c| &mut c.ping_timeout),
        ];
        for (name, field) in fields {
            let error = invalid(|config| *field(config) = Duration::ZERO);
            assert_eq!(error.setting(), name);
            assert!(error.to_string().starts_with(name), "{error}");
        }
    }

    #[test]
    fn a_principal_may_have_no_subscriptions_but_not_no_sessions() {
        let error = invalid(|config| config.max_sessions_per_principal = Some(0));
        assert_eq!(error.setting(), "max_sessions_per_principal");
        let config = Config::default().max_subscriptions_per_principal(0);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn a_rate_of_zero_is_reported_with_the_name_of_its_field() {
        let error = invalid(|config| config.min_frame_bytes_per_second = 0);
        assert_eq!(error.setting(), "min_frame_bytes_per_second");
    }

    #[test]
    fn a_memory_budget_of_zero_is_reported() {
        let error = invalid(|config| config.memory_budget = MemoryBudget::new(0));
        assert_eq!(error.setting(), "memory_budget");
    }

    #[test]
    fn features_can_be_turned_off_with_bounds_of_zero() {
        let config = Config::default()
            .max_subscriptions(0)
            .max_streams(0)
            .max_transactions(0)
            .max_transaction_frames(0)
            .max_transaction_bytes(0)
            .heart_beat(HeartBeat::NONE);
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn the_default_configuration_is_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn the_worst_case_is_the_documented_sum_and_saturates() {
        let config = Config::default();
        let (frame, head) = (config.limits.max_frame_bytes, config.limits.max_head_bytes);
        let message = 1_000;
        let expected = (104 << 10)
            + 2 * (frame + head)
            + frame
            + (256 << 10)
            + frame
            + (1 << 20)
            + frame
            + (512 << 10)
            + message
            + (64 << 10)
            + message
            + 256 * 16 * 512
            + 2 * ((16 << 20) + 256 * message)
            + (4 << 10)
            + 160 * ((1 << 16) + 256)
            + (2 * 255 + 256)
            + 257 * (6 * 255 + 768);
        assert_eq!(config.worst_case(message), expected);
        assert_eq!(
            config.max_subscriptions(usize::MAX).worst_case(message),
            usize::MAX
        );
    }
}
