//! Turns accepted connections into sockets.

use crate::{
    Config, Incoming, Listener,
    limits::{ConnectionPermit, Connections, Lingering},
    listener,
    log_throttle::LogThrottle,
    refusal::Refusal,
    sniff::{Protocol, Sniff},
    tcp,
    websocket_handshake::Handshake,
};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming as Body, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    future::ready,
    io,
    pin::pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use stomp_socket::{Peer, Socket};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Semaphore, mpsc},
    time::timeout,
};

/// The state that all listeners of a server share.
pub(crate) struct Acceptor {
    config: Config,
    pub(crate) connections: Arc<Connections>,
    http: http1::Builder,
    sockets: mpsc::Sender<Socket>,
    /// Limits the number of refusals that are sent at the same time.
    refusals: Arc<Semaphore>,
}

/// Maximum length of an HTTP head, in bytes. Cookies can make it long.
const MAX_HTTP_HEAD: usize = 16 << 10;

/// Maximum number of refusals that are sent at the same time: as many as one full listener queue holds. Further
/// connections are closed without a response.
const MAX_REFUSALS: usize = listener::QUEUE as usize;

/// Maximum time for sending a refusal, and for reading and dropping the client's bytes before the connection is closed.
///
/// Unread bytes would make TCP reset the connection, and the response could be lost.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);

/// Maximum bytes to read and drop from a refused connection before it is closed.
const LINGER_BYTES: usize = 64 << 10;

/// The log throttle for failures to accept.
static ACCEPT_FAILURES: LogThrottle = LogThrottle::new();

impl Acceptor {
    pub(crate) fn new(config: Config, sockets: mpsc::Sender<Socket>) -> Acceptor {
        let connections =
            Connections::new(config.connection_limits.clone(), config.shutdown.clone());
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HTTP_HEAD);
        Acceptor {
            config,
            connections,
            http,
            sockets,
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
        }
    }

    pub(crate) async fn accept_websockets<L: Listener>(self: Arc<Self>, mut listener: L) {
        let lingering = Lingering::new(&self.config.connection_limits);
        loop {
            let incoming = accept(&mut listener).await;
            match self.admit(&incoming, &lingering) {
                Ok(permit) => self.spawn(Arc::clone(&self).websocket::<L>(incoming, permit)),
                Err(refusal) => self.refuse(incoming, refusal),
            }
        }
    }

    pub(crate) async fn accept_streams<L: Listener>(self: Arc<Self>, mut listener: L) {
        let lingering = Lingering::new(&self.config.connection_limits);
        loop {
            let incoming = accept(&mut listener).await;
            if let Ok(permit) = self.admit(&incoming, &lingering) {
                self.spawn(Arc::clone(&self).stream::<L>(incoming, permit));
            }
        }
    }

    fn admit<Io>(
        &self,
        incoming: &Incoming<Io>,
        lingering: &Lingering,
    ) -> Result<ConnectionPermit, Refusal> {
        let address = incoming.peer().address;
        self.connections
            .admit(address.map(|address| address.ip()), lingering)
    }

    /// Completes the handshake that precedes HTTP or STOMP, such as TLS.
    async fn establish<L: Listener>(&self, incoming: Incoming<L::Io>) -> io::Result<(L::Io, Peer)> {
        let (io, peer) = timeout(self.config.handshake_timeout, incoming.establish()).await??;
        if let Some(stream) = L::tcp_stream(&io) {
            tcp::set_keepalive(stream, self.config.tcp_keepalive);
        }
        Ok((io, peer))
    }

    fn spawn(&self, handshake: impl Future<Output = io::Result<()>> + Send + 'static) {
        tokio::spawn(self.config.shutdown.abortable(async {
            if let Err(error) = handshake.await {
                tracing::debug!(%error, "the connection ended during its handshake");
            }
        }));
    }

    /// Sends a refusal and closes the connection. A connection that needs a handshake before HTTP, such as TLS, is
    /// closed without a response, because the handshake would cost more than the connection itself.
    ///
    /// The response is sent at once, before the request is read, so that the client does not wait.
    fn refuse<Io>(&self, incoming: Incoming<Io>, refusal: Refusal)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(slot) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        let Some(mut io) = incoming.into_ready() else {
            return;
        };
        tokio::spawn(timeout(LINGER_TIMEOUT, async move {
            let _slot = slot;
            io.write_all(refusal.to_http1().as_bytes()).await?;
            io.shutdown().await?;
            let (mut space, mut dropped) = ([0; 512], 0);
            while dropped < LINGER_BYTES {
                match io.read(&mut space).await? {
                    0 => break,
                    count => dropped += count,
                }
            }
            io::Result::Ok(())
        }));
    }

    /// Turns a connection that speaks STOMP without HTTP into a socket.
    async fn stream<L: Listener>(
        self: Arc<Self>,
        incoming: Incoming<L::Io>,
        permit: ConnectionPermit,
    ) -> io::Result<()> {
        let (io, peer) = self.establish::<L>(incoming).await?;
        let socket =
            Socket::over_byte_stream(Sniff::new(io, Protocol::Stomp), peer, &self.config.socket);
        self.hand_over(socket.with_permit(Box::new(permit))).await;
        Ok(())
    }

    /// Waits for a WebSocket handshake and turns the connection into a socket.
    async fn websocket<L: Listener>(
        self: Arc<Self>,
        incoming: Incoming<L::Io>,
        permit: ConnectionPermit,
    ) -> io::Result<()> {
        let (io, peer) = self.establish::<L>(incoming).await?;
        // All requests together have one deadline. A client could extend an idle timeout by sending single bytes, and a
        // timeout per request by sending another request.
        let handshake =
            timeout(self.config.handshake_timeout, self.serve_http(io, &peer)).await??;
        let Some(handshake) = handshake else {
            return Ok(());
        };
        let upgraded = handshake.upgrade.await.map_err(io::Error::other)?;
        let peer = handshake.peer.with_address(peer.address).with_tls(peer.tls);
        let config = &self.config.socket;
        // Takes the stream out of hyper's box, so that reads and writes are not dispatched dynamically.
        let socket = match upgraded.downcast::<TokioIo<Sniff<L::Io>>>() {
            Ok(parts) => Socket::over_websocket(
                parts.io.into_inner().into_inner(),
                &parts.read_buf,
                peer,
                config,
            ),
            Err(upgraded) => Socket::over_websocket(TokioIo::new(upgraded), b"", peer, config),
        };
        self.hand_over(socket.with_permit(Box::new(permit))).await;
        Ok(())
    }

    /// Answers HTTP requests until one of them is a handshake, the peer closes the connection, or the server shuts
    /// down.
    async fn serve_http<Io>(&self, io: Io, peer: &Peer) -> io::Result<Option<Handshake>>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = Mutex::new(None);
        let service = service_fn(|mut request| {
            insert_address(&mut request, peer);
            ready(Ok::<_, Infallible>(self.answer(request, peer, &handshake)))
        });
        let io = TokioIo::new(Sniff::new(io, Protocol::Http));
        let mut connection = pin!(self.http.serve_connection(io, service).with_upgrades());
        let served = tokio::select! {
            served = connection.as_mut() => served,
            () = self.config.shutdown.started() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        served.map_err(io::Error::other)?;
        Ok(handshake
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner))
    }

    fn answer(
        &self,
        request: Request<Body>,
        peer: &Peer,
        handshake: &Mutex<Option<Handshake>>,
    ) -> Response<Full<Bytes>> {
        match Handshake::accept(request, peer.address, &self.config) {
            Ok(_) if self.config.shutdown.has_started() => Refusal::ShuttingDown.response(),
            Ok((response, accepted)) => {
                *handshake.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
                response
            }
            Err(refusal) => refusal.response(),
        }
    }

    async fn hand_over(&self, socket: Socket) {
        // If the server was dropped, this fails and drops the socket.
        let _ = self.sockets.send(socket).await;
    }
}

/// Accepts the next connection. Retries after failures.
async fn accept<L: Listener>(listener: &mut L) -> Incoming<L::Io> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    loop {
        match listener.accept().await {
            Ok(incoming) => return incoming,
            // Only this connection failed, so the next one can be accepted at once.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
                ) => {}
            Err(error) => {
                if let Some(count) = ACCEPT_FAILURES.record() {
                    tracing::warn!(%error, count, "connections cannot be accepted; retrying every 100 ms");
                }
                // Without a free file descriptor, accepting would fail again immediately.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Adds the peer's address to the extensions of the request. Handlers find the extensions in [`Peer::request`].
fn insert_address(request: &mut Request<Body>, peer: &Peer) {
    if let Some(address) = peer.address {
        request.extensions_mut().insert(address);
    }
}
