//! Turns accepted connections into sockets.

use crate::{
    Config, Incoming, Listener, Shutdown,
    connections::{ConnectionPermit, Connections, Lingering, Place},
    first_request::{self, FirstRequest},
    http_connection::{HttpServer, after},
    http_service::HttpService,
    listener,
    pace::PacedWrites,
    refusal::Refusal,
    report,
    sniff::{Protocol, Sniff},
    tcp,
};
use hyper_util::rt::TokioIo;
use std::{io, net::SocketAddr, sync::Arc, time::Duration};
use stomp_socket::{LogThrottle, Peer, Socket};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::{Semaphore, mpsc},
    time::{Instant, timeout},
};

/// The state that all listeners of a server share.
pub(crate) struct Acceptor {
    config: Config,
    pub(crate) connections: Arc<Connections>,
    http: HttpServer,
    sockets: mpsc::Sender<Socket>,
    /// Serves the sockets. `None` if [`Server::accept`](crate::Server::accept) returns them.
    serve: Option<Serve>,
    /// Limits the number of refusals that are sent at the same time.
    refusals: Arc<Semaphore>,
}

/// A function that starts a task, which serves a socket. A new task, because the memory of the handshake's task would be
/// kept for the whole session.
pub(crate) type Serve = Box<dyn Fn(Socket) + Send + Sync>;

/// Creates a [`Serve`]. The tasks end when the shutdown aborts.
pub(crate) fn spawn_each<F, R>(shutdown: Shutdown, serve: F) -> Serve
where
    F: Fn(Socket) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Box::new(move |socket| drop(tokio::spawn(shutdown.abortable(serve(socket)))))
}

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
    pub(crate) fn new(
        config: Config,
        service: Option<HttpService>,
        sockets: mpsc::Sender<Socket>,
        serve: Option<Serve>,
    ) -> Acceptor {
        let connections =
            Connections::new(config.connection_limits.clone(), config.shutdown.clone());
        Acceptor {
            config,
            connections,
            http: HttpServer::new(service),
            sockets,
            serve,
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
        }
    }

    pub(crate) async fn accept_websockets<L: Listener>(self: Arc<Self>, mut listener: L) {
        self.start_listening(&listener, "WebSocket");
        let lingering = Lingering::new(&self.config.connection_limits);
        loop {
            let incoming = accept(&mut listener).await;
            match self.admit(&incoming, &lingering) {
                Ok(permit) => {
                    let address = incoming.peer().address;
                    let handshake = Arc::clone(&self).websocket::<L>(incoming, permit.place());
                    self.spawn(address, permit, handshake);
                }
                Err(refusal) => self.refuse(incoming, refusal),
            }
        }
    }

    pub(crate) async fn accept_streams<L: Listener>(self: Arc<Self>, mut listener: L) {
        self.start_listening(&listener, "STOMP");
        let lingering = Lingering::new(&self.config.connection_limits);
        loop {
            let incoming = accept(&mut listener).await;
            if let Ok(permit) = self.admit(&incoming, &lingering) {
                let address = incoming.peer().address;
                let handshake = Arc::clone(&self).stream::<L>(incoming);
                self.spawn(address, permit, handshake);
            }
        }
    }

    fn start_listening<L: Listener>(&self, listener: &L, protocol: &str) {
        if let Some(listener) = listener.tcp_listener() {
            tcp::prepare(listener, self.config.tcp_keepalive);
        }
        let address = listener.local_address().map(tracing::field::display);
        tracing::info!(address, protocol, "listening");
    }

    fn admit<Io>(
        &self,
        incoming: &Incoming<Io>,
        lingering: &Lingering,
    ) -> Result<ConnectionPermit, Refusal> {
        let address = incoming.peer().address;
        let proxies = &self.config.trusted_proxies;
        let is_proxy = proxies.contain(address.map(|address| address.ip()));
        self.connections
            .admit(address, is_proxy, lingering)
            .inspect_err(|refusal| refusal.report(address))
    }

    /// Completes the handshake that precedes HTTP or STOMP, such as TLS.
    async fn establish<L: Listener>(&self, incoming: Incoming<L::Io>) -> io::Result<(L::Io, Peer)> {
        let (io, peer) = incoming
            .establish_within(self.config.handshake_timeout)
            .await?;
        if let Some(stream) = L::tcp_stream(&io) {
            tcp::set_options(stream, self.config.tcp_keepalive);
        }
        Ok((io, peer))
    }

    /// Runs a handshake until it ends or its connection is displaced, and hands the socket over.
    fn spawn(
        self: &Arc<Self>,
        address: Option<SocketAddr>,
        mut permit: ConnectionPermit,
        handshake: impl Future<Output = io::Result<Option<Socket>>> + Send + 'static,
    ) {
        let acceptor = Arc::clone(self);
        // In a box: the future is large, and it would be moved several times on its way into the task.
        let handshake = Box::pin(async move {
            let socket = tokio::select! {
                socket = handshake => socket,
                displaced = permit.revoked() => {
                    tracing::debug!(error = %displaced, "the connection ended during its handshake");
                    return;
                }
            };
            match socket {
                Ok(Some(socket)) => {
                    let socket = socket.with_permit(Box::new(permit));
                    match &acceptor.serve {
                        Some(serve) => serve(socket),
                        // If the server was dropped, this fails and drops the socket.
                        None => drop(acceptor.sockets.send(socket).await),
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let reason = match error.kind() {
                        io::ErrorKind::TimedOut => "handshake-timeout",
                        _ => "handshake-failed",
                    };
                    let problem = format_args!("it ended during its handshake: {error}");
                    report::refused(reason, address, problem);
                }
            }
        });
        tokio::spawn(self.config.shutdown.abortable(handshake));
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
    ) -> io::Result<Option<Socket>> {
        let (io, peer) = self.establish::<L>(incoming).await?;
        let io = Sniff::new(io, Protocol::Stomp, peer.address);
        Ok(Some(Socket::over_byte_stream(
            io,
            peer,
            &self.config.socket,
        )))
    }

    /// Waits for a WebSocket handshake and turns the connection into a socket. Returns `None` if the connection ends
    /// without a handshake.
    async fn websocket<L: Listener>(
        self: Arc<Self>,
        incoming: Incoming<L::Io>,
        place: Place,
    ) -> io::Result<Option<Socket>> {
        let (io, peer) = self.establish::<L>(incoming).await?;
        let mut io = Sniff::new(io, Protocol::Http, peer.address);
        let (config, since) = (&self.config, Instant::now());
        let deadline = after(since, config.handshake_timeout);
        match first_request::answer(&mut io, &peer, &place, config, deadline).await? {
            FirstRequest::Handshake { peer, early } => {
                let (io, config) = (io.into_inner(), &config.socket);
                return Ok(Some(Socket::over_websocket(io, &early, peer, config)));
            }
            FirstRequest::Refused => return Ok(None),
            FirstRequest::Other => {}
        }
        // In a box, because most connections do not need this large future.
        let served = Box::pin(self.http.serve(io, &peer, &place, config, since)).await?;
        let Some(handshake) = served else {
            return Ok(None);
        };
        let upgraded = handshake.upgrade.await.map_err(io::Error::other)?;
        let (peer, config) = (handshake.peer, &config.socket);
        // Takes the stream out of hyper's box, so that reads and writes are not dispatched dynamically.
        Ok(Some(
            match upgraded.downcast::<TokioIo<PacedWrites<Sniff<L::Io>>>>() {
                Ok(parts) => Socket::over_websocket(
                    parts.io.into_inner().into_inner().into_inner(),
                    &parts.read_buf,
                    peer,
                    config,
                ),
                Err(upgraded) => Socket::over_websocket(TokioIo::new(upgraded), b"", peer, config),
            },
        ))
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
