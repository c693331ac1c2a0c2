//! A message broker: topics and queues for any STOMP client, over WebSocket and over TCP, with a page that shows
//! destinations, rates and sessions.
//!
//! The example is one [`App`] on two ports. On the port for WebSockets, it also serves the page with axum's router.
//!
//! Run `cargo run --release -p broker`, then open the address that it prints. Clients log in as `guest` with the
//! passcode `guest`, unless `--login` and `--passcode` say otherwise; `--help` lists all options.

mod overview;
mod page;

use clap::Parser;
use overview::{ConnectedAt, Overview};
use std::time::Instant;
use tokio::net::TcpListener;
use webstomp::{
    App, BoxError, ClientError, IntoSubscribeResponse, Json, Observe, Principal, Session, State,
    Topic,
    broker::{Broker, Memory, MemoryConfig, Rules, Who},
    frame::{Headers, HeartBeat, Limits},
    server::{Listeners, Origins, Shutdown},
    session::{AppErrors, InvalidConfig, MailboxConfig, Sessions},
};

/// A STOMP broker with topics and queues, over WebSocket and TCP.
#[derive(Debug, Clone, Parser)]
struct Options {
    /// Address for WebSockets, at the path /ws, and for the page.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:15674")]
    ws: String,
    /// Address for STOMP over TCP.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:61613")]
    tcp: String,
    /// Login of all clients.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "guest",
        requires = "passcode"
    )]
    login: String,
    /// Passcode of all clients.
    #[arg(
        long,
        value_name = "SECRET",
        default_value = "guest",
        requires = "login"
    )]
    passcode: String,
    /// Largest frame that a client may send, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 8 << 20)]
    max_frame: usize,
    /// Origin of pages that may connect, such as https://example.com, besides those of this broker. Repeatable.
    #[arg(long, value_name = "ORIGIN")]
    origin: Vec<String>,
    /// Name of this broker, such as stomp.example.com, if pages use one and no proxy is between. Repeatable.
    #[arg(long, value_name = "NAME")]
    host: Vec<String>,
    /// Most subscriptions of a session.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    max_subscriptions: usize,
    /// Most unacknowledged messages of a subscription, which its client asks for with prefetch-count.
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    max_prefetch: usize,
}

/// The state of the app.
#[derive(Clone)]
struct Shared {
    options: Options,
    broker: Broker,
    sessions: Sessions,
    overviews: Topic<Json<Overview>>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let (ws, tcp) = (bind(&options.ws).await?, bind(&options.tcp).await?);
    let shared = Shared {
        broker: broker(&options)?,
        options,
        sessions: Sessions::default(),
        overviews: overview::topic(),
    };
    let Shared {
        broker,
        sessions,
        overviews,
        ..
    } = shared.clone();
    tokio::spawn(overview::publish(broker, sessions, overviews));

    println!("STOMP over WebSocket: ws://{}/ws", ws.local_addr()?);
    println!("STOMP over TCP: {}", tcp.local_addr()?);
    println!("Overview: http://{}/", ws.local_addr()?);
    let listeners = Listeners::new().websocket(ws).byte_stream(tcp);
    let app = app(&shared).shutdown(Shutdown::on_signals()?);
    Ok(app.serve(listeners).await?)
}

async fn bind(address: &str) -> Result<TcpListener, BoxError> {
    webstomp::server::bind(address)
        .await
        .map_err(|error| format!("The broker cannot listen on {address}: {error}").into())
}

/// Allows everything to every client that has logged in. Most servers need narrower rules: by default, clients may not
/// send, and may not use queues.
fn rules() -> Rules {
    Rules::new()
        .send_and_subscribe("/topic/>", Who::Authenticated)
        // Dead letters may come from any client. The rule for all queues covers them too, but this one can be made
        // narrower.
        .send_and_subscribe("/queue/dead-letters", Who::Authenticated)
        .send_and_subscribe("/queue/>", Who::Authenticated)
        .send_and_subscribe("/temp-queue/>", Who::Authenticated)
        .send_and_subscribe("/user/>", Who::Authenticated)
}

fn broker(options: &Options) -> Result<Broker, InvalidConfig> {
    let config = webstomp::broker::Config::default().rules(rules());
    let engine = Memory::new(MemoryConfig::default().mailbox(mailbox(options)))?;
    Broker::with_engine(config, engine)
}

/// Creates an app with the broker's destinations, with the page, and with the destination to which the page subscribes.
fn app(shared: &Shared) -> App {
    App::new()
        .broker(&shared.broker)
        .connect(login)
        .subscribe("/broker/overview", overview)
        .with_state(shared.clone())
        .session_config(session(&shared.options, shared.sessions.clone()))
        .server_config(server(&shared.options))
        .websocket_path("/ws")
        .http(page::page())
}

fn server(options: &Options) -> webstomp::server::Config {
    webstomp::server::Config::default()
        .origins(Origins::List(options.origin.clone()))
        .hosts(options.host.clone())
}

fn session(options: &Options, sessions: Sessions) -> webstomp::session::Config {
    let heart_beat = HeartBeat {
        send: 500,
        receive: 500,
    };
    let Options {
        max_frame,
        max_subscriptions,
        max_prefetch,
        ..
    } = *options;
    webstomp::session::Config::default()
        .limits(Limits::default().max_frame_bytes(max_frame))
        .max_subscriptions(max_subscriptions)
        .max_unacked_messages(max_prefetch)
        // Enough for all subscriptions if they ask for no prefetch-count, and for some that do.
        .max_total_unacked_messages(max_subscriptions.saturating_mul(256).max(max_prefetch))
        .max_total_mailbox_bytes(mailbox(options).max_bytes)
        .heart_beat(heart_beat)
        // Other brokers close the connection after an ERROR, and their clients expect it.
        .app_errors(AppErrors::Close)
        .sessions(sessions)
}

/// Returns the limits of a subscriber's mailbox, which has room for a few of the largest messages.
fn mailbox(options: &Options) -> MailboxConfig {
    MailboxConfig::default().max_bytes(options.max_frame.saturating_mul(4))
}

/// CONNECT: checks the login and the passcode.
async fn login(
    State(shared): State<Shared>,
    session: Session,
    headers: Headers,
) -> Result<Principal, ClientError> {
    let Options {
        login, passcode, ..
    } = &shared.options;
    let given = |name| headers.get(name).unwrap_or_default();
    if given("login") != login || given("passcode") != passcode {
        return Err(ClientError::new(
            "login-failed",
            "The login or the passcode is wrong.",
        ));
    }
    session.insert(ConnectedAt(Instant::now()));
    Ok(Principal::new(login.as_str()))
}

/// SUBSCRIBE /broker/overview: sends the overviews to the page.
async fn overview(State(shared): State<Shared>) -> impl IntoSubscribeResponse {
    Observe(shared.overviews.subscribe())
}

#[cfg(test)]
mod tests {
    use super::*;
    use webstomp::{
        Request,
        broker::{Action, destination_syntax},
        frame::{Command, Frame},
    };

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
        assert_eq!(options.max_frame, 65_536);
        assert_eq!(options.max_prefetch, 5);
        assert_eq!(parse("").unwrap().passcode, "guest");
    }

    #[test]
    fn origins_and_hosts_are_repeatable_and_checked() {
        let line = "--origin https://a.example --host a.example --origin ionic://localhost";
        let options = parse(line).unwrap();
        assert_eq!(options.origin, ["https://a.example", "ionic://localhost"]);
        assert_eq!(options.host, ["a.example"]);
        assert_eq!(server(&options).validate(), Ok(()));
        let error = |line| server(&parse(line).unwrap()).validate().unwrap_err();
        assert_eq!(error("--origin a.example").setting(), "origins");
        assert_eq!(error("--host http://a.example").setting(), "hosts");
    }

    #[test]
    fn a_session_may_have_a_thousand_subscriptions_and_a_large_prefetch() {
        let config = session(&parse("").unwrap(), Sessions::default());
        assert_eq!(config.validate(), Ok(()));
        assert_eq!(config.max_subscriptions, 1_000);
        assert_eq!(config.max_unacked_messages, 2_000);
        assert!(config.max_total_unacked_messages >= 1_000 * 256);
    }

    #[test]
    fn every_client_that_has_logged_in_may_use_everything_and_no_other_client_anything() {
        assert_eq!(rules().validate(), Ok(()));
        let request = Request::new(Frame::new(Command::Subscribe));
        let guest = Principal::new("guest");
        for destination in [
            "/topic/a",
            "/topic/>",
            "/queue/a",
            "/queue/dead-letters",
            "/temp-queue/replies",
            "/user/a",
        ] {
            let parsed = destination_syntax().parse(destination).unwrap();
            for action in [Action::Send, Action::Subscribe] {
                let check = |client| rules().check(action, &parsed, client, &request);
                assert_eq!(check(Some(&guest)), Ok(()), "{destination}");
                let code = check(None).unwrap_err();
                assert_eq!(code.code(), "login-required", "{destination}");
            }
        }
    }

    #[test]
    fn login_and_passcode_are_set_together() {
        assert!(parse("--login ann").is_err());
        assert!(parse("--passcode secret").is_err());
    }
}
