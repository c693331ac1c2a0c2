//! The baseline: a bare tokio-tungstenite server, which shows the cost of WebSocket without STOMP.
//!
//! Do not change it: the benchmark prints all results as ratios to this program, and a change makes old ratios
//! meaningless. It is meant to be fast: it has small buffers and sends without delay, it feeds all ready messages
//! before one flush, and all subscribers share one allocation for a message.
//!
//! It upgrades requests for any path. The first message selects the connection's role, and is sent back when the role is
//! active: `echo` sends each message back, `fan` receives the messages that `pub` sends.

use futures_util::{SinkExt, StreamExt};
use std::{
    future::poll_fn,
    io,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
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

const READ_BUFFER: usize = 4 * 1024;
const WRITE_BUFFER: usize = 16 * 1024;
const QUEUE: usize = 256;
const BATCH: usize = 64;

fn main() -> ExitCode {
    webstomp_bench::serve(accept)
}

async fn accept(listener: TcpListener) -> io::Result<()> {
    let topic = Topic::default();
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
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            biased;
            count = queue.recv_many(&mut batch, BATCH) => {
                if count == 0 {
                    return Ok(());
                }
                for message in batch.drain(..) {
                    socket.feed(message).await?;
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
            topic.publish(&message);
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

/// All subscribers. Their queues share the allocation of a message.
#[derive(Clone, Default)]
struct Topic(Arc<Mutex<Vec<mpsc::Sender<Message>>>>);

impl Topic {
    fn subscribe(&self) -> mpsc::Receiver<Message> {
        let (sender, receiver) = mpsc::channel(QUEUE);
        self.lock().push(sender);
        receiver
    }

    /// Sends a message to all subscribers, and drops those that are gone or whose queues are full.
    fn publish(&self, message: &Message) {
        self.lock()
            .retain(|queue| queue.try_send(message.clone()).is_ok());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<mpsc::Sender<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
