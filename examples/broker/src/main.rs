//! A broker: topics and queues for any STOMP client, over WebSocket and over TCP, and a page that shows what happens.
//!
//! `cargo run --release -p broker`, then open the address that it prints. Clients log in as `guest` with `guest`;
//! `--login` and `--passcode` say otherwise.

mod options;
mod overview;
mod page;

use axum::extract::ConnectInfo;
use options::Options;
use overview::{Overview, Since};
use std::{net::SocketAddr, time::Instant};
use webstomp::{
    App, BoxError, ClientError, IntoSubscribeResponse, Json, Observe, Principal, Session, State,
    Topic,
    broker::{Allow, Broker},
    frame::{Headers, HeartBeat},
    server::{Listeners, Shutdown, bind},
    session::{AppErrors, InvalidConfig, MailboxConfig, Sessions},
};

/// What all connections share, whichever way they come.
#[derive(Clone)]
struct Shared {
    options: Options,
    broker: Broker,
    sessions: Sessions,
    overviews: Topic<Json<Overview>>,
    shutdown: Shutdown,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let options = Options::from_command_line()?;
    let (ws, tcp) = (bind(&options.ws).await?, bind(&options.tcp).await?);
    let shared = Shared {
        broker: broker(&options)?,
        options,
        sessions: Sessions::default(),
        overviews: overview::topic(),
        shutdown: Shutdown::on_signals()?,
    };
    let Shared {
        broker,
        sessions,
        overviews,
        shutdown,
        ..
    } = shared.clone();
    tokio::spawn(overview::publish(broker, sessions, overviews));

    let upgrade = app(&shared).into_service()?;
    let http = page::page().route_service(
        "/ws",
        upgrade.peer_addr(|extensions| Some(extensions.get::<ConnectInfo<_>>()?.0)),
    );
    println!("STOMP over WebSocket at ws://{}/ws", ws.local_addr()?);
    println!("STOMP over TCP at {}", tcp.local_addr()?);
    println!("What happens: http://{}/", ws.local_addr()?);
    let http = axum::serve(ws, http.into_make_service_with_connect_info::<SocketAddr>());
    let stomp = app(&shared).serve(Listeners::new().byte_stream(tcp));
    let (http, stomp) = tokio::join!(http.with_graceful_shutdown(shutdown.started()), stomp);
    shutdown.finished().await;
    Ok(http.and(Ok(stomp?))?)
}

/// Topics and queues, to which every client that is let in may send.
fn broker(options: &Options) -> Result<Broker, InvalidConfig> {
    let config = webstomp::broker::Config::default()
        .send(Allow::Everybody)
        .mailbox(mailbox(options));
    Broker::new(config)
}

/// The broker's destinations, and what the page subscribes to.
fn app(shared: &Shared) -> App {
    App::new()
        .broker(&shared.broker)
        .connect(login)
        .subscribe("/broker/overview", overview)
        .with_state(shared.clone())
        .session_config(session(shared))
        .shutdown(shared.shutdown.clone())
}

fn session(shared: &Shared) -> webstomp::session::Config {
    let mut config = webstomp::session::Config::default();
    config.limits.max_frame_bytes = shared.options.max_frame;
    config.max_total_mailbox_bytes = mailbox(&shared.options).max_bytes;
    config.heart_beat = HeartBeat {
        send: 500,
        receive: 500,
    };
    // As other brokers have it, and as their clients expect it.
    config.app_errors = AppErrors::Close;
    config.sessions = shared.sessions.clone();
    config
}

/// A subscriber may be a few of the largest messages behind.
fn mailbox(options: &Options) -> MailboxConfig {
    MailboxConfig::default().max_bytes(4 * options.max_frame)
}

/// CONNECT
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
            "There is no such login with this passcode.",
        ));
    }
    session.insert(Since(Instant::now()));
    Ok(Principal::new(login.as_str()))
}

/// SUBSCRIBE /broker/overview
async fn overview(State(shared): State<Shared>) -> impl IntoSubscribeResponse {
    Observe(shared.overviews.subscribe())
}
