//! A connection from being accepted to being a socket.

use crate::{
    Config, Incoming, Listener,
    handshake::Handshake,
    limits::{ConnectionPermit, Connections},
    listener,
    log_throttle::LogThrottle,
    refusal::Refusal,
    sniff::{Protocol, Sniff},
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

/// What all listeners of a server share.
pub(crate) struct Acceptor {
    config: Config,
    pub(crate) connections: Arc<Connections>,
    http: http1::Builder,
    sockets: mpsc::Sender<Socket>,
    /// How many refusals may be on their way at a time.
    refusals: Arc<Semaphore>,
}

/// The longest HTTP head, in bytes. Cookies make it long.
const LONGEST_HEAD: usize = 16 << 10;

/// So many connections are told that they are refused at a time, as many as come out of one full queue. Others are closed
/// without a word.
const REFUSALS: usize = listener::QUEUE as usize;

/// How long one that is refused is waited for, and how many bytes of it are dropped, before it is closed: what is
/// unread then makes TCP reset the connection, and the answer may be lost.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: usize = 64 << 10;

/// All failures to accept share one line of the log.
static UNACCEPTED: LogThrottle = LogThrottle::new();

impl Acceptor {
    pub(crate) fn new(config: Config, sockets: mpsc::Sender<Socket>) -> Acceptor {
        let connections =
            Connections::new(config.connection_limits.clone(), config.shutdown.clone());
        let mut http = http1::Builder::new();
        http.max_buf_size(LONGEST_HEAD);
        Acceptor {
            config,
            connections,
            http,
            sockets,
            refusals: Arc::new(Semaphore::new(REFUSALS)),
        }
    }

    pub(crate) async fn accept_websockets<L: Listener>(self: Arc<Self>, mut listener: L) {
        loop {
            let incoming = accept(&mut listener).await;
            match self.enter(&incoming) {
                Ok(permit) => self.spawn(Arc::clone(&self).websocket(incoming, permit)),
                Err(refusal) => self.refuse(incoming, refusal),
            }
        }
    }

    pub(crate) async fn accept_streams<L: Listener>(self: Arc<Self>, mut listener: L) {
        loop {
            let incoming = accept(&mut listener).await;
            if let Ok(permit) = self.enter(&incoming) {
                self.spawn(Arc::clone(&self).stream(incoming, permit));
            }
        }
    }

    fn enter<Io>(&self, incoming: &Incoming<Io>) -> Result<ConnectionPermit, Refusal> {
        self.connections
            .enter(incoming.peer().address.map(|address| address.ip()))
    }

    fn spawn(&self, handshake: impl Future<Output = io::Result<()>> + Send + 'static) {
        tokio::spawn(self.config.shutdown.abortable(async {
            if let Err(error) = handshake.await {
                tracing::debug!(%error, "a connection ended before it was a socket");
            }
        }));
    }

    /// Tells a connection that it is refused, where HTTP can be spoken at once. With TLS, its handshake would cost more
    /// than the connection that is refused.
    fn refuse<Io>(&self, incoming: Incoming<Io>, refusal: Refusal)
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() else {
            return;
        };
        let Some(mut io) = incoming.into_plain() else {
            return;
        };
        tokio::spawn(timeout(LINGER, async move {
            let _permit = permit;
            io.write_all(refusal.bytes().as_bytes()).await?;
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

    /// STOMP without HTTP.
    async fn stream<Io>(
        self: Arc<Self>,
        incoming: Incoming<Io>,
        permit: ConnectionPermit,
    ) -> io::Result<()>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (io, peer) = timeout(self.config.handshake_timeout, incoming.ready()).await??;
        let socket =
            Socket::over_byte_stream(Sniff::new(io, Protocol::Stomp), peer, &self.config.socket);
        self.hand_over(socket.with_permit(Box::new(permit))).await;
        Ok(())
    }

    async fn websocket<Io>(
        self: Arc<Self>,
        incoming: Incoming<Io>,
        permit: ConnectionPermit,
    ) -> io::Result<()>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (io, peer) = timeout(self.config.handshake_timeout, incoming.ready()).await??;
        // One time for whatever is asked, so that neither single bytes nor one request after the other prolong it.
        let handshake = timeout(self.config.handshake_timeout, self.shake_hands(io, &peer)).await?;
        let Some(handshake) = handshake? else {
            return Ok(());
        };
        let upgraded = handshake.upgrade.await.map_err(io::Error::other)?;
        let peer = handshake.peer.with_address(peer.address).with_tls(peer.tls);
        let config = &self.config.socket;
        // The stream under HTTP, without the box around it.
        let socket = match upgraded.downcast::<TokioIo<Sniff<Io>>>() {
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

    /// Answers requests until one is a handshake, or the peer leaves, or the server goes down.
    async fn shake_hands<Io>(&self, io: Io, peer: &Peer) -> io::Result<Option<Handshake>>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let handshake = Mutex::new(None);
        let service = service_fn(|mut request| {
            insert(&mut request, peer);
            ready(Ok::<_, Infallible>(self.answer(request, &handshake)))
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
        handshake: &Mutex<Option<Handshake>>,
    ) -> Response<Full<Bytes>> {
        match Handshake::of(request, &self.config.origins) {
            Ok(_) if self.config.shutdown.has_started() => Refusal::AWAY.response(),
            Ok((response, accepted)) => {
                *handshake.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepted);
                response
            }
            Err(refusal) => refusal.response(),
        }
    }

    async fn hand_over(&self, socket: Socket) {
        // If nobody accepts any more, it is dropped.
        let _ = self.sockets.send(socket).await;
    }
}

/// The next connection. What stands in the way is waited for.
async fn accept<L: Listener>(listener: &mut L) -> Incoming<L::Io> {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    loop {
        match listener.accept().await {
            Ok(incoming) => return incoming,
            // This one has gone already; the next one may be there.
            Err(error)
                if matches!(
                    error.kind(),
                    ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
                ) => {}
            Err(error) => {
                if let Some(count) = UNACCEPTED.note() {
                    tracing::warn!(%error, count, "cannot accept connections; trying again every 100 ms");
                }
                // With no file descriptor left, trying again at once would fail at once.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// What handlers may look for among the extensions of [`Peer::request`].
fn insert(request: &mut Request<Body>, peer: &Peer) {
    if let Some(address) = peer.address {
        request.extensions_mut().insert(address);
    }
}
