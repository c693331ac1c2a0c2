//! The baseline: a bare tokio-tungstenite server, which shows the cost of WebSocket without STOMP.
//!
//! Do not change it: the benchmark prints all results as ratios to this program, and a change makes old ratios
//! meaningless. It is meant to be fast, with means that a user would choose: small buffers, no delay of small packets,
//! one flush after all ready messages, and a `tokio::sync::broadcast` channel, whose subscribers share a message.
//!
//! It upgrades requests for any path. The first message selects the connection's role, and is sent back when the role is
//! active: `echo` sends each message back, `fan` receives the messages that `pub` sends.

use futures_util::{SinkExt, StreamExt};
use std::{future::poll_fn, io, process::ExitCode, task::Poll};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::broadcast,
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Message, Result,
        handshake::server::{ErrorResponse, Request, Response},
        http::HeaderValue,
        protocol::WebSocketConfig,
    },
};

type Socket = WebSocketStream<TcpStream>;

/// The subscribers. They share the allocation of a message.
type Topic = broadcast::Sender<Message>;

const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 16 * 1024;

/// Number of messages that are kept for the slowest subscriber. No load has as many outstanding, so none is lost; the
/// generator would notice.
const QUEUE: usize = 4_096;

fn main() -> ExitCode {
    webstomp_bench::serve("ws", accept)
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let topic = Topic::new(QUEUE);
    loop {
        let (stream, _) = listener.accept().await?;
        let topic = topic.clone();
        tokio::spawn(async move {
            // The end of a connection needs no action, not even after an error.
            let _ = connection(stream, topic).await;
        });
    }
}

async fn connection(stream: TcpStream, topic: Topic) -> Result<()> {
    stream.set_nodelay(true)?;
    // Boxed, so that an idle connection does not keep the memory of its handshake.
    let mut socket = Box::pin(handshake(stream)).await?;
    let Some(role) = socket.next().await.transpose()? else {
        return Ok(());
    };
    match role.to_text()? {
        "echo" => echo(socket, role).await,
        "fan" => subscriber(socket, role, &topic).await,
        "pub" => publisher(socket, role, &topic).await,
        _ => Ok(()),
    }
}

async fn handshake(stream: TcpStream) -> Result<Socket> {
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER);
    accept_hdr_async_with_config(stream, choose_protocol, Some(config)).await
}

fn choose_protocol(
    request: &Request,
    mut response: Response,
) -> std::result::Result<Response, ErrorResponse> {
    const NAME: &str = "sec-websocket-protocol";
    const STOMP: &str = "v12.stomp";
    let offers = request.headers().get_all(NAME).iter();
    let mut names = offers.filter_map(|value| value.to_str().ok());
    if names.any(|list| list.split(',').any(|name| name.trim() == STOMP)) {
        let chosen = HeaderValue::from_static(STOMP);
        response.headers_mut().insert(NAME, chosen);
    }
    Ok(response)
}

async fn echo(mut socket: Socket, role: Message) -> Result<()> {
    socket.send(role).await?;
    while let Some(message) = socket.next().await {
        socket.feed(message?).await?;
        while let Some(message) = arrived(&mut socket).await {
            socket.feed(message).await?;
        }
        socket.flush().await?;
    }
    Ok(())
}

async fn subscriber(mut socket: Socket, role: Message, topic: &Topic) -> Result<()> {
    let mut queue = topic.subscribe();
    socket.send(role).await?;
    loop {
        tokio::select! {
            biased;
            received = queue.recv() => {
                let mut next = received.ok();
                while let Some(message) = next {
                    socket.feed(message).await?;
                    next = queue.try_recv().ok();
                }
                socket.flush().await?;
            }
            received = socket.next() => match received {
                Some(message) => drop(message?),
                None => return Ok(()),
            },
        }
    }
}

async fn publisher(mut socket: Socket, role: Message, topic: &Topic) -> Result<()> {
    socket.send(role).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() || message.is_binary() {
            // Fails only without subscribers.
            let _ = topic.send(message);
        }
    }
    Ok(())
}

/// Returns the next message if it has arrived already, without waiting.
async fn arrived(socket: &mut Socket) -> Option<Message> {
    poll_fn(|context| match socket.poll_next_unpin(context) {
        Poll::Ready(Some(Ok(message))) => Poll::Ready(Some(message)),
        // After an error the stream ends: the next wait for a message returns `None`.
        _ => Poll::Ready(None),
    })
    .await
}
