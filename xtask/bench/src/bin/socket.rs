//! The socket alone, compared with the baseline: an echo of STOMP frames without a session.
//!
//! It accepts connections in the same way as the baseline, so that only the work after the handshake differs.

use futures_util::{SinkExt, StreamExt};
use std::{future::poll_fn, io, process::ExitCode, task::Poll};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Result;
use webstomp::{
    frame::{Frame, Limits, Version},
    socket::{Config, Inbound, Outbound, Peer, SendError, Socket},
};

fn main() -> ExitCode {
    webstomp_bench::serve("ws", accept)
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            // The end of a connection needs no action, not even after an error.
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

/// Returns the next frame if it has arrived already, without waiting.
async fn arrived(socket: &mut Socket) -> Option<Frame> {
    poll_fn(|context| match socket.poll_read(context) {
        Poll::Ready(Some(Inbound::Frame(frame))) => Poll::Ready(Some(frame)),
        _ => Poll::Ready(None),
    })
    .await
}
