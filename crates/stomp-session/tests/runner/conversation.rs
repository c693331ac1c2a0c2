//! One conversation: its settings, its steps, and its server.

use crate::{
    application::Application,
    client::{Client, Received, Transport},
};
use std::time::Duration;
use stomp_frame::{Limits, Version};
use stomp_session::{AppErrors, BacklogConfig, Config, Overflow, PrefixSyntax, Session};
use tokio::{
    task::{JoinHandle, yield_now},
    time::{advance, sleep},
};

type Outcome = Result<(), String>;

pub(crate) struct Conversation {
    client: Client,
    application: Application,
    connection: JoinHandle<()>,
}

impl Conversation {
    /// Starts a server and a client, which is not connected yet.
    pub(crate) fn start(settings: &Settings) -> Conversation {
        let (client, socket) = Client::new(settings.transport);
        let (session, _, connection) = Session::new(socket, settings.config.clone());
        let (application, service) = Application::new(session, settings.shows_own_requests);
        let connection = tokio::spawn(connection.run(service));
        Conversation {
            client,
            application,
            connection,
        }
    }

    /// Performs a step, or `COUNT times STEP`.
    pub(crate) async fn step(&mut self, step: &str) -> Outcome {
        let (count, step) = match step.split_once(" times ") {
            Some((count, step)) if count.chars().all(|digit| digit.is_ascii_digit()) => {
                (count, step)
            }
            _ => ("1", step),
        };
        for _ in 0..count.parse().map_err(|_| "the count is not a number")? {
            self.step_once(step).await?;
        }
        Ok(())
    }

    async fn step_once(&mut self, step: &str) -> Outcome {
        if let Some(time) = step.strip_prefix('+') {
            settle().await;
            sleep(duration(time)?).await;
            return Ok(());
        }
        match step.split_once(' ').ok_or("unknown step")? {
            ("C:", what) => self.client.send(what).await,
            ("S:", what) => self.client.expect(what).await,
            ("app:", what) => {
                settle().await;
                self.application.perform(what)
            }
            ("task:", what) => {
                settle().await;
                let is = if self.connection.is_finished() {
                    "ended"
                } else {
                    "running"
                };
                if is == what {
                    Ok(())
                } else {
                    Err(format!("the task is {is}"))
                }
            }
            ("connect", headers) => self.connect(headers).await,
            ("stall", time) => {
                advance(duration(time)?).await;
                Ok(())
            }
            _ => Err("unknown step".into()),
        }
    }

    /// Performs a step `connect VERSION header:value …`.
    async fn connect(&mut self, headers: &str) -> Outcome {
        let (version, headers) = headers.split_once(' ').unwrap_or((headers, ""));
        let connect = format!("CONNECT accept-version:{version} {headers}");
        self.client.send(connect.trim_end()).await?;
        settle().await;
        self.application.perform("CONNECT ok")?;
        self.client
            .expect(&format!("CONNECTED version:{version}"))
            .await
    }

    /// Checks that no frame, request or event is left that no step mentioned.
    pub(crate) async fn end(&mut self) -> Outcome {
        settle().await;
        self.application.expect_done()?;
        match self.client.receive().await {
            Received::Nothing | Received::End(_) => Ok(()),
            other => Err(format!("no step expects {other:?}")),
        }
    }
}

/// Lets other tasks run until they can do nothing more.
pub(crate) async fn settle() {
    for _ in 0..20 {
        yield_now().await;
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text
        .strip_suffix('s')
        .and_then(|seconds| seconds.parse().ok());
    seconds
        .map(Duration::from_secs_f64)
        .ok_or_else(|| format!("{text:?} is not a number of seconds, such as 1.5s"))
}

/// The settings that `config:` lines change.
pub(crate) struct Settings {
    transport: Transport,
    config: Config,
    shows_own_requests: bool,
}

impl Default for Settings {
    fn default() -> Settings {
        let transport = Transport {
            is_websocket: false,
            subprotocol: None,
            bytes: 1 << 20,
        };
        Settings {
            transport,
            config: Config::default(),
            shows_own_requests: false,
        }
    }
}

impl Settings {
    /// Applies a line `config: NAME VALUE`.
    pub(crate) fn set(&mut self, line: &str) -> Outcome {
        let Settings {
            transport,
            config,
            shows_own_requests,
        } = self;
        let (name, value) = line.split_once(' ').unwrap_or((line, ""));
        let number = || {
            value
                .parse::<usize>()
                .map_err(|_| format!("{value:?} is not a number"))
        };
        let mailbox = |config: &mut Config, overflow| {
            config.backlog = BacklogConfig::default().max_messages(2).overflow(overflow)
        };
        match name {
            "websocket" => {
                transport.is_websocket = true;
                transport.subprotocol = value.parse::<Version>().ok();
            }
            "own_requests" if value == "shown" => *shows_own_requests = true,
            "pipe" => transport.bytes = number()?,
            "app_errors" if value == "close" => config.app_errors = AppErrors::Close,
            "prefix" => {
                let (prefix, syntax) = match value.split(' ').collect::<Vec<_>>()[..] {
                    [prefix, "dotted", "patterns"] => {
                        (prefix, PrefixSyntax::dotted().with_patterns())
                    }
                    [prefix, "dotted"] => (prefix, PrefixSyntax::dotted()),
                    _ => return Err("unknown syntax of a prefix".into()),
                };
                config.destinations = config.destinations.clone().with_prefix(prefix, syntax);
            }
            "frame" => config.limits = Limits::default().max_frame_bytes(number()?),
            "line" => config.limits = Limits::default().max_line_bytes(number()?),
            "headers" => config.limits = Limits::default().max_headers(number()?),
            "head" => config.limits = Limits::default().max_head_bytes(number()?),
            "subscriptions" => config.max_subscriptions = number()?,
            "outbound" => config.max_outbound_bytes = number()?,
            "inbox" => config.max_inbox_frames = number()?,
            "heart-beat" => config.heart_beat = value.parse().map_err(|_| "not a heart-beat")?,
            "unacked" => config.max_unacked_messages = number()?,
            "total_unacked" => config.max_total_unacked_messages = number()?,
            "mailbox" => match value {
                "disconnect" => mailbox(config, Overflow::Disconnect),
                "drop-oldest" => mailbox(config, Overflow::DropOldest),
                "conflate" => mailbox(config, Overflow::Conflate),
                _ => return Err("unknown policy".into()),
            },
            _ => return Err("unknown setting".into()),
        }
        Ok(())
    }
}
