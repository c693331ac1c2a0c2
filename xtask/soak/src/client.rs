//! A client that does what it should.

use crate::Result;
use futures_util::{SinkExt, StreamExt};
use std::{fmt::Display, net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message},
};

pub(crate) struct Client(WebSocketStream<TcpStream>);

/// How a handshake ended.
pub(crate) enum Dialled {
    Served(Client),
    /// 503.
    Refused,
}

/// No answer takes longer, or it never comes.
const PATIENCE: Duration = Duration::from_secs(60);

impl Client {
    /// Connects as far as `CONNECTED`.
    pub(crate) async fn connect(address: SocketAddr) -> Result<Client> {
        match Client::dial(address).await? {
            Dialled::Served(client) => Ok(client),
            Dialled::Refused => Err("refused with 503".to_owned()),
        }
    }

    /// The same, where 503 is also an answer.
    pub(crate) async fn dial(address: SocketAddr) -> Result<Dialled> {
        let stream = in_time("a connection", TcpStream::connect(address)).await?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        let url = format!("ws://{address}/");
        match timeout(PATIENCE, client_async(url, stream)).await {
            Err(_) => Err("no answer to a handshake".to_owned()),
            Ok(Err(Error::Http(response))) if response.status() == 503 => Ok(Dialled::Refused),
            Ok(Err(error)) => Err(format!("handshake: {error}")),
            Ok(Ok((socket, _))) => {
                let mut client = Client(socket);
                client
                    .send("CONNECT\naccept-version:1.2\nheart-beat:0,0\n\n\0".to_owned())
                    .await?;
                let answer = client.next().await?;
                if matches!(&answer, Said::Frame(frame) if frame.starts_with("CONNECTED\n")) {
                    Ok(Dialled::Served(client))
                } else {
                    Err(format!("{answer:?}, and no CONNECTED"))
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

    /// Sends something and waits for its receipt.
    pub(crate) async fn ask(&mut self) -> Result {
        self.send("SEND\ndestination:/echo\nreceipt:r\n\n\0".to_owned())
            .await?;
        match self.next().await? {
            Said::Frame(frame) if frame.starts_with("RECEIPT\nreceipt-id:r\n") => Ok(()),
            other => Err(format!("{other:?}, and no RECEIPT")),
        }
    }

    /// The next frame, or the code of the close.
    pub(crate) async fn next(&mut self) -> Result<Said> {
        loop {
            let message = timeout(PATIENCE, self.0.next())
                .await
                .map_err(|_| "nothing comes any more".to_owned())?;
            match message
                .ok_or("the end, and no close")?
                .map_err(|error| error.to_string())?
            {
                Message::Text(text) if text.as_str() == "\n" => {}
                Message::Text(text) => return Ok(Said::Frame(text.as_str().to_owned())),
                Message::Close(close) => {
                    return Ok(Said::Close(close.map(|close| close.code.into())));
                }
                _ => {}
            }
        }
    }
}

#[derive(Debug)]
pub(crate) enum Said {
    Frame(String),
    Close(Option<u16>),
}

async fn in_time<T, E: Display>(
    what: &str,
    future: impl Future<Output = Result<T, E>>,
) -> Result<T> {
    let result = timeout(PATIENCE, future)
        .await
        .map_err(|_| format!("no {what}"))?;
    result.map_err(|error| format!("{what}: {error}"))
}
