//! The command line, and the settings that follow from it.

use clap::{Args, Parser};
use std::{path::PathBuf, time::Duration};
use webstomp::{
    broker::{self, Memory, MemoryConfig, QueueSettings},
    frame::{HeartBeat, Limits as FrameLimits},
    server::{self, ConnectionLimits, Origins},
    session::{self, AppErrors, BacklogConfig, InvalidConfig, MemoryBudget, Overflow, Sessions},
};

/// A STOMP broker with topics and queues, over WebSocket and TCP.
///
/// The log goes to the standard error output. The variable RUST_LOG selects what it contains; the default is info.
#[derive(Debug, Clone, Parser)]
pub(crate) struct Options {
    /// Address for WebSockets, at the path /ws, and for the page.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:15674")]
    pub(crate) ws: String,
    /// Address for STOMP over TCP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:61613")]
    pub(crate) tcp: String,
    /// Address for metrics at /metrics, and for /live and /ready. Without it, there are none.
    #[arg(long, value_name = "ADDR")]
    pub(crate) metrics: Option<String>,
    /// Login of all clients.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "guest",
        requires = "passcode"
    )]
    pub(crate) login: String,
    /// Passcode of all clients.
    #[arg(
        long,
        value_name = "SECRET",
        default_value = "guest",
        requires = "login"
    )]
    pub(crate) passcode: String,
    /// File with several logins, in place of --login and --passcode: a line `LOGIN PASSCODE ROLE...` for each. Roles
    /// are reader, publisher, worker and admin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["login", "passcode"])]
    pub(crate) users: Option<PathBuf>,
    /// Origin of pages that may connect, such as `https://example.com`, besides those of this broker. Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    pub(crate) origin: Vec<String>,
    /// Name of this broker, such as stomp.example.com, if pages use one and no proxy is between. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Vec<String>,
    #[command(flatten)]
    limits: Limits,
}

/// The limits that a client can run into.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Largest frame that a client may send, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    max_frame: usize,
    /// Longest line of a frame's head, such as a header with a token, in bytes. The head may have twice as many.
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 10)]
    max_line: usize,
    /// Most header lines of a frame.
    #[arg(long, value_name = "COUNT", default_value_t = 64)]
    max_headers: usize,
    /// Longest destination, and longest id of a subscription or a transaction, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 255)]
    max_destination: usize,
    /// Most segments of a topic or a pattern.
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    max_segments: usize,
    /// Most wildcards in a pattern.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    max_wildcards: usize,
    /// Most temporary queues that a session uses at the same time.
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    max_temporary_queues: usize,
    /// Most subscriptions of a session.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    max_subscriptions: usize,
    /// Most unacknowledged messages of a subscription, which its client asks for with prefetch-count.
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    max_prefetch: usize,
    /// Most open transactions of a session.
    #[arg(long, value_name = "COUNT", default_value_t = 8)]
    max_transactions: usize,
    /// Most frames of a transaction.
    #[arg(long, value_name = "COUNT", default_value_t = 256)]
    max_transaction_frames: usize,
    /// Most bytes of the open transactions of a session.
    #[arg(long, value_name = "BYTES", default_value_t = 1 << 20)]
    max_transaction_bytes: usize,
    /// Most messages that wait for a subscriber of a topic. Beyond it, the subscriber is disconnected.
    // More than the library's default: other brokers take a burst of many small messages, and their clients send them.
    // The bytes that wait have a bound too.
    #[arg(long, value_name = "COUNT", default_value_t = 65_536)]
    max_backlog: usize,
    /// Most messages in a queue. Beyond it, the sender gets an ERROR.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000)]
    max_queue: usize,
    /// Most bytes in a queue.
    #[arg(long, value_name = "BYTES", default_value_t = 16 << 20)]
    max_queue_bytes: usize,
    /// Most bytes of all messages that wait for subscribers of topics: a number, or `machine` for a quarter of the memory
    /// of the container or machine. Queues may use half as much besides.
    // Unlike the library's default, this suits a process that does nothing else: it uses a large machine, and does not
    // exceed a small container.
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "machine",
        value_parser = parse_memory_budget
    )]
    memory_budget: MemoryBudget,
    /// Most bytes in all queues. Without it, 256 MiB or half of --memory-budget, whichever is less.
    #[arg(long, value_name = "BYTES")]
    max_total_queue_bytes: Option<usize>,
    /// NACKs after which a message becomes a dead letter.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    max_attempts: u32,
    /// Deliveries that end without ACK or NACK after which a message becomes a dead letter.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    max_abandoned: u32,
    /// Most topics with subscribers, and most queues.
    #[arg(long, value_name = "COUNT", default_value_t = 65_536)]
    max_destinations: usize,
    /// Most connections of both ports.
    #[arg(long, value_name = "COUNT", default_value_t = 16_384)]
    max_connections: usize,
    /// Most connections of both ports that have not logged in.
    #[arg(long, value_name = "COUNT", default_value_t = 1_024)]
    max_unauthenticated: usize,
    /// Most connections that are used for the page.
    #[arg(long, value_name = "COUNT", default_value_t = 1_024)]
    max_http: usize,
    /// Most connections of one address. Without it, there is no limit.
    #[arg(long, value_name = "COUNT")]
    max_per_address: Option<usize>,
    /// Most new connections in a second. Without it, there is no limit.
    #[arg(long, value_name = "COUNT")]
    max_per_second: Option<u32>,
    /// Seconds until CONNECT must have arrived.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    connect_timeout: u64,
    /// Seconds for a frame to arrive, besides one for each KiB of it.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    frame_timeout: u64,
    /// Seconds after which a client that reads nothing is disconnected.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    write_timeout: u64,
    /// Smallest interval of heart-beats in both directions, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500)]
    heart_beat: u32,
}

impl Options {
    pub(crate) fn server(&self) -> server::Config {
        let limits = ConnectionLimits::default()
            .max_connections(self.limits.max_connections)
            .max_unauthenticated(self.limits.max_unauthenticated)
            .max_http(self.limits.max_http)
            .max_per_address(self.limits.max_per_address)
            .max_per_second(self.limits.max_per_second);
        server::Config::default()
            .origins(Origins::List(self.origin.clone()))
            .hosts(self.host.clone())
            .connection_limits(limits)
    }

    pub(crate) fn session(&self, sessions: Sessions) -> session::Config {
        let limits = &self.limits;
        let (subscriptions, prefetch) = (limits.max_subscriptions, limits.max_prefetch);
        let frame_limits = FrameLimits::default()
            .max_frame_bytes(limits.max_frame)
            .max_head_bytes(limits.max_line.saturating_mul(2))
            .max_line_bytes(limits.max_line)
            .max_headers(limits.max_headers);
        let heart_beat = HeartBeat {
            send: limits.heart_beat,
            receive: limits.heart_beat,
        };
        session::Config::default()
            .limits(frame_limits)
            .max_destination_bytes(limits.max_destination)
            .max_subscriptions(subscriptions)
            .max_unacked_messages(prefetch)
            // Enough for all subscriptions if they ask for no prefetch-count, and for some that do.
            .max_total_unacked_messages(subscriptions.saturating_mul(256).max(prefetch))
            .max_transactions(limits.max_transactions)
            .max_transaction_frames(limits.max_transaction_frames)
            .max_transaction_bytes(limits.max_transaction_bytes)
            .max_total_backlog_bytes(self.backlog().max_bytes)
            .connect_timeout(Duration::from_secs(limits.connect_timeout))
            .frame_timeout(Duration::from_secs(limits.frame_timeout))
            .write_timeout(Duration::from_secs(limits.write_timeout))
            .heart_beat(heart_beat)
            // Other brokers close the connection after an ERROR, and their clients expect it.
            .app_errors(AppErrors::Close)
            .sessions(sessions)
    }

    pub(crate) fn broker(&self) -> broker::Config {
        let limits = &self.limits;
        broker::Config::default()
            .max_segments(limits.max_segments)
            .max_wildcards(limits.max_wildcards)
            .max_temporary_queues(limits.max_temporary_queues)
    }

    pub(crate) fn engine(&self) -> Result<Memory, InvalidConfig> {
        let limits = &self.limits;
        let queues = QueueSettings::default()
            .max_messages(limits.max_queue)
            .max_bytes(limits.max_queue_bytes)
            .max_delivery_attempts(limits.max_attempts)
            .max_abandoned_deliveries(limits.max_abandoned);
        // A small budget is that of a small machine.
        let default = MemoryConfig::default();
        let budget = &limits.memory_budget;
        let max_total_queue_bytes = limits
            .max_total_queue_bytes
            .unwrap_or_else(|| default.max_total_queue_bytes.min(budget.limit() / 2));
        let config = default
            .max_destinations(limits.max_destinations)
            .backlog(self.backlog())
            .queues(queues)
            .max_total_queue_bytes(max_total_queue_bytes)
            .memory_budget(budget.clone());
        Memory::new(config)
    }

    /// The limits of a subscriber's backlog, which has room for a few of the largest messages. Publishers wait for a
    /// subscriber that is slow for a moment.
    fn backlog(&self) -> BacklogConfig {
        BacklogConfig::default()
            .max_messages(self.limits.max_backlog)
            .max_bytes(self.limits.max_frame.saturating_mul(4).max(16 << 20))
            .overflow(Overflow::Wait(Duration::from_secs(2)))
    }
}

/// Parses the value of `--memory-budget`.
fn parse_memory_budget(text: &str) -> Result<MemoryBudget, String> {
    match text.parse() {
        Ok(bytes) if bytes >= 1_024 => Ok(MemoryBudget::new(bytes)),
        _ if text == "machine" => Ok(MemoryBudget::from_machine()),
        _ => Err("The budget is a number of bytes, at least 1024, or the word machine.".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use webstomp::broker::Engine;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        Options::try_parse_from(["broker"].into_iter().chain(line.split_whitespace()))
    }

    #[test]
    fn flags_replace_defaults() {
        let options =
            parse("--tcp [::1]:0 --max-frame 65536 --passcode secret --login ann --max-prefetch 5")
                .unwrap();
        assert_eq!(options.ws, "127.0.0.1:15674");
        assert_eq!(options.tcp, "[::1]:0");
        assert_eq!(options.login, "ann");
        assert_eq!(options.passcode, "secret");
        assert_eq!(options.limits.max_frame, 65_536);
        assert_eq!(options.limits.max_prefetch, 5);
        assert_eq!(parse("").unwrap().passcode, "guest");
        assert_eq!(parse("").unwrap().metrics, None);
    }

    #[test]
    fn limits_without_a_flag_are_those_of_the_library() {
        let options = parse("").unwrap();
        let (ours, default) = (
            options.session(Sessions::default()),
            session::Config::default(),
        );
        assert_eq!(ours.limits.max_headers, default.limits.max_headers);
        assert_eq!(ours.limits.max_line_bytes, default.limits.max_line_bytes);
        assert_eq!(ours.limits.max_head_bytes, default.limits.max_head_bytes);
        let broker = broker::Config::default();
        assert_eq!(options.limits.max_segments, broker.max_segments);
        assert_eq!(options.limits.max_wildcards, broker.max_wildcards);
        assert_eq!(
            options.limits.max_temporary_queues,
            broker.max_temporary_queues
        );
        assert_eq!(ours.max_destination_bytes, default.max_destination_bytes);
        assert_eq!(ours.max_transactions, default.max_transactions);
        assert_eq!(ours.max_transaction_frames, default.max_transaction_frames);
        assert_eq!(ours.max_transaction_bytes, default.max_transaction_bytes);
        assert_eq!(ours.connect_timeout, default.connect_timeout);
        assert_eq!(ours.frame_timeout, default.frame_timeout);
        assert_eq!(ours.write_timeout, default.write_timeout);
        let limits = options.server().connection_limits;
        assert_eq!(
            format!("{limits:?}"),
            format!("{:?}", ConnectionLimits::default())
        );
        let queues = QueueSettings::default();
        assert_eq!(options.limits.max_queue, queues.max_messages);
        assert_eq!(options.limits.max_queue_bytes, queues.max_bytes);
        assert_eq!(options.limits.max_attempts, queues.max_delivery_attempts);
        assert_eq!(
            options.limits.max_abandoned,
            queues.max_abandoned_deliveries
        );
        let memory = MemoryConfig::default();
        assert_eq!(options.limits.max_destinations, memory.max_destinations);
    }

    #[test]
    fn origins_and_hosts_are_repeatable_and_checked() {
        let line = "--origin https://a.example --host a.example --origin ionic://localhost";
        let options = parse(line).unwrap();
        assert_eq!(options.origin, ["https://a.example", "ionic://localhost"]);
        assert_eq!(options.host, ["a.example"]);
        assert_eq!(options.server().validate(), Ok(()));
        let error = |line| parse(line).unwrap().server().validate().unwrap_err();
        assert_eq!(error("--origin a.example").setting(), "origins");
        assert_eq!(error("--host http://a.example").setting(), "hosts");
    }

    #[test]
    fn a_session_may_have_a_thousand_subscriptions_and_a_large_prefetch() {
        let config = parse("").unwrap().session(Sessions::default());
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.max_subscriptions, 1_000);
        assert_eq!(config.max_unacked_messages, 2_000);
        assert!(config.max_total_unacked_messages >= 1_000 * 256);
    }

    #[test]
    fn the_memory_budget_is_a_number_of_bytes_or_that_of_the_machine() {
        let limit = |line| parse(line).unwrap().limits.memory_budget.limit();
        assert_eq!(limit("--memory-budget 2000"), 2_000);
        let machine = MemoryBudget::from_machine().limit();
        assert_eq!(limit("--memory-budget machine"), machine);
        assert_eq!(limit(""), machine);
        for wrong in ["0", "1023", "much", "64MiB"] {
            let error = parse(&format!("--memory-budget {wrong}")).unwrap_err();
            assert!(error.to_string().contains("--memory-budget"), "{error}");
        }
    }

    #[test]
    fn the_memory_budget_is_that_of_the_engine() {
        let options = parse("--memory-budget 2000").unwrap();
        let engine = options.engine().unwrap();
        let budget = Engine::memory_budget(&engine).unwrap();
        assert_eq!(budget.limit(), 2_000);
    }

    #[test]
    fn login_and_passcode_are_set_together_and_not_beside_users() {
        assert!(parse("--login ann").is_err());
        assert!(parse("--passcode secret").is_err());
        assert!(parse("--users file").is_ok());
        assert!(parse("--users file --login ann --passcode secret").is_err());
    }
}
