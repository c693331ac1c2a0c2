//! A well-behaved client.

use crate::Result;
use futures_util::{SinkExt, StreamExt};
use std::{fmt::Display, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message},
};

/// A STOMP client over WebSocket.
pub(crate) struct Client(WebSocketStream<TcpStream>);

/// The result of [`Client::dial`].
pub(crate) enum Dialled {
    /// The server accepted the handshake, and answered CONNECT with CONNECTED.
    Connected(Client),
    /// The server answered the handshake with status 503.
    Rejected,
}

/// Maximum time to wait for an answer from the server.
const TIMEOUT: Duration = Duration::from_secs(60);

impl Client {
    /// Connects and waits for `CONNECTED`. Fails if the server answers the handshake with status 503.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Client> {
        match Client::dial(address).await? {
            Dialled::Connected(client) => Ok(client),
            Dialled::Rejected => {
                Err("the server answered the handshake with status 503".to_owned())
            }
        }
    }

    /// Connects and waits for `CONNECTED` or for status 503.
    pub(crate) async fn dial(address: SocketAddr) -> Result<Dialled> {
        let stream = in_time("a connection", TcpStream::connect(address)).await?;
        Client::dial_over(stream, address).await
    }

    /// Sends a handshake and `CONNECT` over this connection, and waits for `CONNECTED` or for status 503.
    pub(crate) async fn dial_over(stream: TcpStream, address: SocketAddr) -> Result<Dialled> {
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let url = format!("ws://{address}/");
        match timeout(TIMEOUT, client_async(url, stream)).await {
            Err(_) => Err("the server did not answer a handshake in time".to_owned()),
            Ok(Err(Error::Http(response))) if response.status() == 503 => Ok(Dialled::Rejected),
            Ok(Err(error)) => Err(format!("the handshake failed: {error}")),
            Ok(Ok((socket, _))) => {
                let mut client = Client(socket);
                client
                    .send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0".to_owned())
                    .await?;
                let answer = client.next().await?;
                if matches!(&answer, Received::Frame(frame) if frame.starts_with("CONNECTED\n")) {
                    Ok(Dialled::Connected(client))
                } else {
                    Err(format!("the server answered CONNECT with {answer:?}"))
                }
            }
        }
    }

    pub(crate) async fn send(&mut self, frame: String) -> Result {
        self.0
            .send(Message::text(frame))
            .await
            .map_err(|error| error.to_string())
    }

    /// Sends a message and waits for its RECEIPT.
    pub(crate) async fn request(&mut self) -> Result {
        self.send("SEND\ndestination:/echo\nreceipt:r\n\n\0".to_owned())
            .await?;
        match self.next().await? {
            Received::Frame(frame) if frame.starts_with("RECEIPT\nreceipt-id:r\n") => Ok(()),
            other => Err(format!("the server answered SEND with {other:?}")),
        }
    }

    /// Returns the next frame, or the status code of a Close.
    pub(crate) async fn next(&mut self) -> Result<Received> {
        loop {
            let message = timeout(TIMEOUT, self.0.next())
                .await
                .map_err(|_| "the server sent nothing in time".to_owned())?;
            match message
                .ok_or("the connection ended without a Close")?
                .map_err(|error| error.to_string())?
            {
                Message::Text(text) if text.as_str() == "\n" => {}
                Message::Text(text) => return Ok(Received::Frame(text.as_str().to_owned())),
                Message::Close(close) => {
                    return Ok(Received::Close(close.map(|close| close.code.into())));
                }
                _ => {}
            }
        }
    }
}

/// A message of the server.
#[derive(Debug)]
pub(crate) enum Received {
    Frame(String),
    Close(Option<u16>),
}

async fn in_time<T, E: Display>(
    what: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    let result = timeout(TIMEOUT, future)
        .await
        .map_err(|_| format!("{what}: timed out"))?;
    result.map_err(|error| format!("{what}: {error}"))
}
