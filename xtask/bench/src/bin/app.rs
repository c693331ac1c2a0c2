//! The webstomp app that is measured against the floor: what `floor` does, in STOMP.
//!
//! SEND `/echo` does nothing, so that its receipt is all there is. What is sent to `/fan` goes to everybody who is
//! subscribed to it.

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
