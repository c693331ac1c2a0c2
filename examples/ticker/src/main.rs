//! A server that sends numbers at an interval, without a router.
//!
//! The example uses the crates below `webstomp` directly. One loop accepts sockets. For each socket, another loop reads
//! the requests of the session and answers them.
//!
//! Run `cargo run -p ticker` (`--listen ADDR` sets the address), and connect any STOMP client over WebSocket to the
//! address that it prints. Subscribe to `/ticks`, then send to `/ticks/go`, with an interval in milliseconds as the
//! body, and to `/ticks/stop`.

use clap::Parser;
use futures_util::{Stream, stream};
use std::time::Duration;
use stomp_frame::{Command, header};
use stomp_server::{Config, Server};
use stomp_session::{BoxError, ClientError, Observed, Request, Requests, Session};
use stomp_socket::Socket;
use tokio::net::TcpListener;

/// A STOMP server that sends ticks.
#[derive(Parser)]
struct Options {
    /// Address for WebSockets.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8001")]
    listen: String,
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let Options { listen } = Options::parse();
    let listener = TcpListener::bind(&listen)
        .await
        .map_err(|error| format!("The ticker cannot listen on {listen}: {error}"))?;
    println!("The ticker is at ws://{}/", listener.local_addr()?);
    let mut server = Server::new(listener, Config::default())?;
    while let Some(socket) = server.accept().await {
        tokio::spawn(serve(socket));
    }
    Ok(())
}

/// Serves one client until its connection ends.
async fn serve(socket: Socket) {
    let (session, requests, connection) = Session::new(socket, stomp_session::Config::default());
    tokio::join!(connection, answer(session, requests));
}

async fn answer(session: Session, mut requests: Requests) {
    let mut ticks: Option<Observed> = None;
    while let Some((request, responder)) = requests.next().await {
        match (request.command(), request.destination().as_str()) {
            (Command::Connect | Command::Stomp, _) => {
                session.connected([(header::SERVER, "ticker/1.0")]);
                responder.ok();
            }
            (Command::Subscribe, "/ticks") => responder.ok(),
            (Command::Send, "/ticks/go") => match go(&session, &request) {
                Ok(observed) => {
                    // A second `/ticks/go` replaces the ticks of the first.
                    if let Some(before) = ticks.replace(observed) {
                        before.unhook();
                    }
                    responder.ok();
                }
                Err(error) => responder.refuse(error),
            },
            (Command::Send, "/ticks/stop") | (Command::Unsubscribe, _) => {
                if let Some(observed) = ticks.take() {
                    observed.unhook();
                }
                responder.ok();
            }
            (Command::Connected | Command::Disconnect, _) => responder.ok(),
            (_, destination) => responder.refuse(ClientError::new(
                "not-found",
                format!("There is no destination {destination:?}."),
            )),
        }
    }
}

/// Starts ticks on the client's subscription. The body is the interval in milliseconds, at least 10 and by default
/// 1000.
fn go(session: &Session, request: &Request) -> Result<Observed, ClientError> {
    let text = std::str::from_utf8(request.body()).unwrap_or_default();
    let milliseconds: u64 = match text {
        "" => 1_000,
        text => text.parse().map_err(|_| {
            ClientError::new("malformed", "The body is not a number of milliseconds.")
        })?,
    };
    let interval = Duration::from_millis(milliseconds.max(10));
    session
        .observe("/ticks", ticks(interval))
        .map_err(|_| ClientError::new("not-subscribed", "Subscribe to /ticks first."))
}

/// Returns a stream of the numbers from 1, with an interval before each number.
fn ticks(interval: Duration) -> impl Stream<Item = String> {
    stream::unfold(1_u64, move |count| async move {
        tokio::time::sleep(interval).await;
        Some((count.to_string(), count + 1))
    })
}
