//! A server without a router: one that ticks, whose every request is looked at by hand.
//!
//! `cargo run -p ticker`, and then with any STOMP client over WebSocket at the address that it prints: subscribe to
//! `/ticks`, send to `/ticks/stop` and `/ticks/go`.

use futures_util::{Stream, stream};
use std::time::Duration;
use stomp_frame::{Command, header};
use stomp_server::{Config, Server};
use stomp_session::{BoxError, ClientError, Observed, Request, Requests, Session};
use stomp_socket::Socket;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:8001".to_owned());
    let listener = TcpListener::bind(&address).await?;
    println!("ws://{}/ ticks", listener.local_addr()?);
    let mut server = Server::new(listener, Config::default())?;
    while let Some(socket) = server.accept().await {
        tokio::spawn(converse(socket));
    }
    Ok(())
}

/// One client, from its `CONNECT` to its end.
async fn converse(socket: Socket) {
    let (session, requests, connection) = Session::new(socket, stomp_session::Config::default());
    tokio::join!(connection, answer(session, requests));
}

async fn answer(session: Session, mut requests: Requests) {
    let mut ticks: Option<Observed> = None;
    while let Some((request, responder)) = requests.next().await {
        match (request.command(), request.destination()) {
            (Command::Connect | Command::Stomp, _) => {
                session.connected([(header::SERVER, "ticker/1.0")]);
                responder.ok();
            }
            (Command::Subscribe, "/ticks") => responder.ok(),
            (Command::Send, "/ticks/go") => match go(&session, &request) {
                Ok(observed) => {
                    // Whoever goes twice does not tick twice.
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
            (Command::Disconnect, _) => responder.ok(),
            (_, destination) => responder.refuse(ClientError::new(
                "not-found",
                format!("There is no {destination}."),
            )),
        }
    }
}

/// Sends ticks to the client's subscription, as often as its message says, in milliseconds.
fn go(session: &Session, request: &Request) -> Result<Observed, ClientError> {
    let text = std::str::from_utf8(request.body()).unwrap_or_default();
    let milliseconds: u64 = match text {
        "" => 1_000,
        text => text
            .parse()
            .map_err(|_| ClientError::new("malformed", "Say a number of milliseconds."))?,
    };
    let pause = Duration::from_millis(milliseconds.max(10));
    session
        .observe("/ticks", ticks(pause))
        .map_err(|_| ClientError::new("not-subscribed", "Subscribe to /ticks first."))
}

/// 1, 2, 3, …, with a pause before each.
fn ticks(pause: Duration) -> impl Stream<Item = String> {
    stream::unfold(1_u64, move |count| async move {
        tokio::time::sleep(pause).await;
        Some((count.to_string(), count + 1))
    })
}
