//! A message broker: topics and queues for any STOMP client, over WebSocket and over TCP, with a page that shows
//! destinations, rates and sessions.
//!
//! The example is one [`App`] on two ports. On the port for WebSockets, it also serves the page with axum's router.
//!
//! Run `cargo run --release -p broker`, then open the address that it prints. Clients log in as `guest` with the
//! passcode `guest`, unless `--login` and `--passcode`, or a file of `--users`, say otherwise; `--help` lists all
//! options.

mod operation;
mod options;
mod overview;
mod page;
mod users;

use clap::Parser;
use options::Options;
use overview::{ConnectedAt, Overview};
use std::{sync::Arc, time::Instant};
use tokio::net::TcpListener;
use users::Users;
use webstomp::{
    App, BoxError, ClientError, IntoSubscribeResponse, Json, Observe, Principal, Session, State,
    Topic,
    broker::Broker,
    frame::Headers,
    server::{Listeners, Shutdown},
    session::{InvalidConfig, Sessions},
};

/// The state of the app.
#[derive(Clone)]
struct Shared {
    options: Options,
    users: Arc<Users>,
    broker: Broker,
    sessions: Sessions,
    overviews: Topic<Json<Overview>>,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    let _log = operation::start_log();
    let shutdown = Shutdown::on_signals()?;
    let metrics = match &options.metrics {
        Some(address) => Some((bind(address).await?, operation::metrics(&shutdown)?)),
        None => None,
    };
    let (ws, tcp) = (bind(&options.ws).await?, bind(&options.tcp).await?);
    let shared = Shared {
        broker: broker(&options)?,
        users: Arc::new(Users::load(&options)?),
        options,
        sessions: Sessions::default(),
        overviews: overview::topic(),
    };
    if let Some((port, service)) = metrics {
        println!("Metrics: http://{}/metrics", port.local_addr()?);
        operation::serve(port, service, &shared.broker)?;
    }
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
    Ok(app(&shared).shutdown(shutdown).serve(listeners).await?)
}

async fn bind(address: &str) -> Result<TcpListener, BoxError> {
    webstomp::server::bind(address)
        .await
        .map_err(|error| format!("The broker cannot listen on {address}: {error}").into())
}

fn broker(options: &Options) -> Result<Broker, InvalidConfig> {
    let config = options.broker().rules(users::rules());
    Broker::with_engine(config, options.engine()?)
}

/// Creates an app with the broker's destinations, with the page, and with the destination to which the page subscribes.
fn app(shared: &Shared) -> App {
    App::new()
        .broker(&shared.broker)
        .connect(login)
        .subscribe("/broker/overview", overview)
        .with_state(shared.clone())
        .session_config(shared.options.session(shared.sessions.clone()))
        .server_config(shared.options.server())
        .websocket_path("/ws")
        .http(page::page())
}

/// CONNECT: checks the login and the passcode.
async fn login(
    State(shared): State<Shared>,
    session: Session,
    headers: Headers,
) -> Result<Principal, ClientError> {
    let given = |name| headers.get(name).unwrap_or_default();
    let principal = shared.users.log_in(given("login"), given("passcode"));
    let principal = principal
        .ok_or_else(|| ClientError::new("login-failed", "The login or the passcode is wrong."))?;
    session.insert(ConnectedAt(Instant::now()));
    Ok(principal)
}

/// SUBSCRIBE /broker/overview: sends the overviews to the page of an admin. They show who is connected.
async fn overview(
    State(shared): State<Shared>,
    principal: Principal,
) -> Result<impl IntoSubscribeResponse, ClientError> {
    if !principal.has_role("admin") {
        return Err(ClientError::new(
            "forbidden",
            "Only admins see the overview.",
        ));
    }
    Ok(Observe(shared.overviews.subscribe()))
}
