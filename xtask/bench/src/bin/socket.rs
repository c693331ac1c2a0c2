//! The socket that is measured against the floor: its echo, in STOMP frames, and nothing above it.
//!
//! It accepts as the floor does, so that only what comes after the handshake differs.

use futures_util::{SinkExt, StreamExt};
use std::{future::poll_fn, io, process::ExitCode, task::Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Result;
use webstomp::{
    frame::{Frame, Limits, Version},
    socket::{Config, Inbound, Outbound, Peer, SendError, Socket},
};

fn main() -> ExitCode {
    webstomp_bench::serve(accept)
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // However a connection ends, the echo has nothing to add.
            if let Ok(socket) = Box::pin(handshake(stream)).await {
                let _ = echo(socket).await;
            }
        });
    }
}

async fn handshake(stream: TcpStream) -> Result<Socket> {
    stream.set_nodelay(true)?;
    let stream = tokio_tungstenite::accept_async(stream).await?.into_inner();
    let mut socket = Socket::over_websocket(stream, b"", Peer::default(), &Config::default());
    socket.resume(Version::V1_2, Limits::default());
    Ok(socket)
}

async fn echo(mut socket: Socket) -> Result<(), SendError> {
    while let Some(item) = socket.next().await {
        if let Inbound::Frame(frame) = item {
            socket.feed(Outbound::Frame(frame)).await?;
        }
        while let Some(frame) = arrived(&mut socket).await {
            socket.feed(Outbound::Frame(frame)).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

/// The next frame if it is here already: asking does not wait.
async fn arrived(socket: &mut Socket) -> Option<Frame> {
    poll_fn(|context| match socket.poll_read(context) {
        Poll::Ready(Some(Inbound::Frame(frame))) => Poll::Ready(Some(frame)),
        _ => Poll::Ready(None),
    })
    .await
}
