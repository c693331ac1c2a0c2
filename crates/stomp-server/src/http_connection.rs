//! Serves the HTTP requests of one connection, until one of them is a WebSocket handshake.

use crate::{
    Config,
    activity::{Activity, Busy},
    connections::Place,
    http_service::{HttpService, RequestBody, ResponseBody, full},
    pace::{Pace, PacedWrites},
    refusal::Refusal,
    request_head::{MAX_HEAD_BYTES, MAX_HEADERS},
    websocket_handshake::Handshake,
};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use hyper::{
    body::{Body, Frame, Incoming, SizeHint},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};
use stomp_socket::Peer;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    time::{Instant, sleep_until},
};

/// The HTTP side of a server, which its connections share.
pub(crate) struct HttpServer {
    http: http1::Builder,
    service: Option<HttpService>,
}

impl HttpServer {
    pub(crate) fn new(service: Option<HttpService>) -> HttpServer {
        let mut http = http1::Builder::new();
        http.max_buf_size(MAX_HEAD_BYTES).max_headers(MAX_HEADERS);
        HttpServer { http, service }
    }

    /// Answers HTTP requests until one of them is a handshake, the peer closes the connection, a deadline passes, or the
    /// server shuts down. Returns the handshake, if there was one. The connection is open since `since`.
    pub(crate) async fn serve<Io>(
        &self,
        io: Io,
        peer: &Peer,
        place: &Place,
        config: &Config,
        since: Instant,
    ) -> io::Result<Option<Handshake>>
    where
        Io: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = Requests {
            server: self,
            peer,
            place,
            config,
            activity: Arc::new(Activity::new(place.clone(), since)),
            handshake: Mutex::new(None),
        };
        let io = TokioIo::new(PacedWrites::new(
            io,
            pace(config),
            Arc::clone(&requests.activity),
        ));
        // hyper keeps room for this future while it waits for a request.
        let service = service_fn(|request| Box::pin(requests.answer(request)));
        let mut connection = pin!(self.http.serve_connection(io, service).with_upgrades());
        // No deadline that begins later ends sooner than this.
        let least = config.http.keep_alive_timeout.min(config.handshake_timeout);
        let mut deadline = pin!(sleep_until(after(since, least)));
        let mut shutdown = pin!(config.shutdown.started());
        let mut is_draining = false;
        loop {
            tokio::select! {
                served = connection.as_mut() => {
                    return match served {
                        Ok(()) => Ok(requests.take_handshake()),
                        Err(error) => requests.fail(error).map(|()| None),
                    };
                }
                () = shutdown.as_mut(), if !is_draining => {
                    is_draining = true;
                    connection.as_mut().graceful_shutdown();
                }
                () = deadline.as_mut() => {}
            }
            // The deadline moves only after it has passed, so that busy connections do not move it for each request.
            match requests.deadline(is_draining) {
                Some(next) if next > Instant::now() => {
                    let next = next.min(after(Instant::now(), least));
                    deadline.as_mut().reset(next);
                }
                // Clients expect that idle connections are closed.
                Some(_) if requests.activity.is_used() => return Ok(None),
                Some(_) => return Err(io::ErrorKind::TimedOut.into()),
                // While a request is answered, there is no deadline. The next one is at least this far away.
                None => deadline.as_mut().reset(after(Instant::now(), least)),
            }
        }
    }
}

fn pace(config: &Config) -> Pace {
    Pace::new(config.http.stall_timeout, config.http.min_bytes_per_second)
}

/// A moment that is later by `duration`. A duration that is too long stands for years.
pub(crate) fn after(start: Instant, duration: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
    start.checked_add(duration).unwrap_or_else(|| start + YEARS)
}

/// The requests of one connection.
struct Requests<'a> {
    server: &'a HttpServer,
    peer: &'a Peer,
    place: &'a Place,
    config: &'a Config,
    activity: Arc<Activity>,
    handshake: Mutex<Option<Handshake>>,
}

impl Requests<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<BusyBody>, Infallible> {
        let has_service = self.server.service.is_some();
        let busy = has_service.then(|| Busy::new(&self.activity));
        let proxies = &self.config.trusted_proxies;
        let client = proxies.client(self.peer.address, request.headers());
        let response = match &self.server.service {
            Some(service) if !is_handshake(&request, self.config) => match self.begin_http() {
                Ok(()) => {
                    let body = |body| RequestBody::new(body, pace(self.config));
                    let mut request = request.map(body);
                    insert_peer(&mut request, client, self.peer);
                    service.call(request).await
                }
                Err(refusal) => close(&refusal, client),
            },
            _ => match self.accept(request, client) {
                Ok(response) => response,
                Err(refusal @ Refusal::TooManyConnections { .. }) => close(&refusal, client),
                Err(refusal) => match self.begin_http() {
                    Ok(()) => refuse(&refusal, client),
                    Err(refusal) => close(&refusal, client),
                },
            },
        };
        Ok(response.map(|body| BusyBody { body, _busy: busy }))
    }

    /// Counts the connection as one for HTTP. Without an HTTP service, a connection has to send its handshake before the
    /// first deadline, whatever else it sends.
    fn begin_http(&self) -> Result<(), Refusal> {
        if self.server.service.is_none() {
            return Ok(());
        }
        self.place.begin_http(self.peer.address)
    }

    fn accept(
        &self,
        request: Request<Incoming>,
        client: Option<SocketAddr>,
    ) -> Result<Response<ResponseBody>, Refusal> {
        match &self.config.websocket_path {
            Some(path) if path != request.uri().path() => {
                return Err(Refusal::WrongPath(path.clone()));
            }
            _ => {}
        }
        let (response, mut handshake) = Handshake::accept(request, self.peer.address, self.config)?;
        if self.config.shutdown.has_started() {
            return Err(Refusal::ShuttingDown);
        }
        self.place.begin_session(client)?;
        handshake.peer = handshake
            .peer
            .with_address(client)
            .with_tls(self.peer.tls.as_deref().cloned());
        *self.handshake() = Some(handshake);
        Ok(response.map(full))
    }

    /// The deadline for the end of the next request's head. `None` while a request is answered.
    fn deadline(&self, is_draining: bool) -> Option<Instant> {
        let (idle_since, has_answered) = self.activity.idle()?;
        let limit = match has_answered && !is_draining {
            true => self.config.http.keep_alive_timeout,
            false => self.config.handshake_timeout,
        };
        Some(after(idle_since, limit))
    }

    /// Ends the connection after an error of hyper. Returns it unless it is reported here, or the connection was used for
    /// HTTP: clients may close such a connection at any time.
    fn fail(&self, error: hyper::Error) -> io::Result<()> {
        if error.is_parse_too_large() {
            // hyper has answered with the same status.
            Refusal::HeadTooLong.report(self.peer.address);
        } else if self.activity.is_used() {
            tracing::debug!(%error, "an HTTP connection ended");
        } else {
            return Err(io::Error::other(error));
        }
        Ok(())
    }

    fn take_handshake(&self) -> Option<Handshake> {
        self.handshake().take()
    }

    fn handshake(&self) -> MutexGuard<'_, Option<Handshake>> {
        self.handshake
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns true if a request is, or tries to be, a WebSocket handshake: if it is for [`Config::websocket_path`], or,
/// without such a path, if its header `Upgrade` names `websocket`.
fn is_handshake<B>(request: &Request<B>, config: &Config) -> bool {
    let mut protocols = request.headers().get_all(header::UPGRADE).iter();
    let names_websocket = |value: &HeaderValue| {
        let mut names = value.as_bytes().split(|byte| *byte == b',');
        names.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
    };
    match &config.websocket_path {
        Some(path) => request.uri().path() == path,
        None => protocols.any(names_websocket),
    }
}

/// Reports a refusal, and creates its response.
fn refuse(refusal: &Refusal, client: Option<SocketAddr>) -> Response<ResponseBody> {
    refusal.report(client);
    refusal.response().map(full)
}

/// Reports a refusal, and creates its response, after which the connection is closed.
fn close(refusal: &Refusal, client: Option<SocketAddr>) -> Response<ResponseBody> {
    let mut response = refuse(refusal, client);
    let close = HeaderValue::from_static("close");
    response.headers_mut().insert(header::CONNECTION, close);
    response
}

/// Adds the peer's address and TLS identity to the extensions of the request, for the HTTP service.
fn insert_peer(request: &mut Request<RequestBody>, address: Option<SocketAddr>, peer: &Peer) {
    let extensions = request.extensions_mut();
    if let Some(address) = address {
        extensions.insert(address);
        #[cfg(feature = "axum")]
        extensions.insert(axum::extract::ConnectInfo(address));
    }
    if let Some(tls) = peer.tls.as_deref() {
        extensions.insert(tls.clone());
    }
}

/// The body of a response. Its connection is busy until hyper has taken all of it.
struct BusyBody {
    body: ResponseBody,
    _busy: Option<Busy>,
}

impl Body for BusyBody {
    type Data = Bytes;
    type Error = <ResponseBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
