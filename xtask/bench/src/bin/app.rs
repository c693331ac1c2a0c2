//! The webstomp app that is compared with the baseline. It does the same work, in STOMP.
//!
//! The handler of `/echo` does nothing, so that only the RECEIPT is measured. Messages to `/fan` go to all subscribers
//! of `/fan`.

use bytes::Bytes;
use std::{io, process::ExitCode};
use tokio::net::TcpListener;
use webstomp::{App, BoxError, IntoSubscribeResponse, Observe, State, Topic};

type Fan = Topic<Bytes>;

fn main() -> ExitCode {
    webstomp_bench::serve(serve)
}

async fn serve(listener: TcpListener) -> io::Result<()> {
    let app = App::new()
        .send("/echo", echo)
        .send("/fan", publish)
        .subscribe("/fan", subscribe)
        .with_state(Fan::new());
    app.serve(listener).await.map_err(io::Error::other)
}

async fn echo() {}

async fn subscribe(State(fan): State<Fan>) -> impl IntoSubscribeResponse {
    Observe(fan.subscribe())
}

async fn publish(State(fan): State<Fan>, body: Bytes) -> Result<(), BoxError> {
    fan.publish(body)
}
