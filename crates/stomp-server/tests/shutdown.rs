//! Tests for the graceful shutdown: open connections, waiting, and aborting.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a failing helper fails the test"
)]

mod support;

use futures_util::{FutureExt, future::BoxFuture};
use std::{
    future::{IntoFuture, pending, poll_fn},
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};
use stomp_server::{Config, Incoming, Listener, Server, Shutdown, Upgrade};
use stomp_socket::Socket;
use stomp_testing::{Client, soon, without_deadlock};
use support::{HANDSHAKE, InMemory, in_memory, serve, settle};
use tokio::{
    io::{AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinHandle,
    time::{Instant, sleep},
};

fn config(shutdown: &Shutdown) -> Config {
    let mut config = Config::default();
    config.shutdown = shutdown.clone();
    config
}

/// Spawns a task that waits for the end of the shutdown and returns the elapsed time.
fn wait(shutdown: &Shutdown) -> JoinHandle<Duration> {
    let (shutdown, start) = (shutdown.clone(), Instant::now());
    tokio::spawn(async move {
        shutdown.finished().await;
        start.elapsed()
    })
}

/// Holds the socket until the shutdown starts, and then for `time`, like a session that still handles requests.
async fn work(mut socket: Socket, time: Duration) {
    poll_fn(|cx| socket.poll_shutdown(cx)).await;
    sleep(time).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_stops_accepting_when_the_shutdown_starts() {
    let (listener, dial) = in_memory();
    let shutdown = Shutdown::default();
    let mut server = Server::new(listener, config(&shutdown)).unwrap();
    assert!(!shutdown.has_started());
    shutdown.start();
    shutdown.start();
    assert!(shutdown.has_started());
    assert!(soon(server.accept()).await.is_none());
    assert!(soon(server.accept()).await.is_none());
    assert_eq!(dial.connect().rest().await, "", "the listener is dropped");
    soon(shutdown.finished()).await;
}

#[tokio::test(start_paused = true)]
async fn a_pending_accept_returns_none_when_the_shutdown_starts() {
    let (listener, _dial) = in_memory();
    let shutdown = Shutdown::default();
    let mut server = Server::new(listener, config(&shutdown)).unwrap();
    let (started, finished) = (tokio::spawn(shutdown.started()), wait(&shutdown));
    let accepting = tokio::spawn(async move { server.accept().await.is_none() });
    settle().await;
    assert!(!started.is_finished() && !finished.is_finished() && !accepting.is_finished());
    shutdown.start();
    assert!(soon(accepting).await.unwrap());
    soon(started).await.unwrap();
    soon(finished).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_handshake_after_the_start_of_the_shutdown_gets_status_503() {
    let (listener, dial) = in_memory();
    let shutdown = Shutdown::default();
    let mut sockets = serve(listener, config(&shutdown));
    let (mut early, mut idle) = (dial.connect(), dial.connect());
    early.send(&HANDSHAKE[..40]).await;
    settle().await;
    shutdown.start();
    settle().await;
    early.send(&HANDSHAKE[40..]).await;
    let head = early.head().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert_eq!(early.rest().await, "The server is shutting down.\n");
    assert_eq!(idle.rest().await, "");
    soon(shutdown.finished()).await;
    assert!(soon(sockets.recv()).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn the_shutdown_notifies_sockets_and_waits_for_them() {
    let (listener, dial) = in_memory();
    let shutdown = Shutdown::default();
    let mut sockets = serve(listener, config(&shutdown));
    let finished = wait(&shutdown);
    let mut clients = Vec::new();
    for seconds in [0, 3, 7] {
        clients.push(dial.handshake().await);
        tokio::spawn(work(
            sockets.recv().await.unwrap(),
            Duration::from_secs(seconds),
        ));
    }
    settle().await;
    shutdown.start();
    assert_eq!(soon(finished).await.unwrap().as_secs(), 7);
}

#[tokio::test(start_paused = true)]
async fn finished_waits_for_abortable_futures_and_drops_them_after_the_drain_timeout() {
    for (work, expected) in [(20, 20), (40, 30)] {
        let shutdown = Shutdown::default();
        let (sender, dropped) = oneshot::channel::<()>();
        tokio::spawn(shutdown.abortable(async move {
            let _held_by_the_future = sender;
            sleep(Duration::from_secs(work)).await;
        }));
        settle().await;
        shutdown.start();
        assert_eq!(soon(wait(&shutdown)).await.unwrap().as_secs(), expected);
        soon(dropped).await.unwrap_err();
    }
}

#[tokio::test(start_paused = true)]
async fn the_drain_timeout_begins_when_the_shutdown_starts() {
    let shutdown = Shutdown::new(Duration::from_secs(8));
    tokio::spawn(shutdown.abortable(pending()));
    shutdown.start();
    sleep(Duration::from_secs(5)).await;
    assert_eq!(soon(wait(&shutdown)).await.unwrap().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_drain_timeout_of_the_maximum_duration_never_aborts() {
    let shutdown = Shutdown::new(Duration::MAX);
    tokio::spawn(shutdown.abortable(sleep(Duration::from_secs(60))));
    shutdown.start();
    assert_eq!(soon(wait(&shutdown)).await.unwrap().as_secs(), 60);
}

#[tokio::test(start_paused = true)]
async fn abort_closes_all_connections_at_once() {
    let (listener, dial) = in_memory();
    let shutdown = Shutdown::default();
    let mut server = Server::new(listener, config(&shutdown)).unwrap();
    let serving = tokio::spawn({
        let shutdown = shutdown.clone();
        async move {
            while let Some(socket) = server.accept().await {
                tokio::spawn(shutdown.abortable(async move {
                    let _held = socket;
                    pending().await
                }));
            }
        }
    });
    let (mut client, _) = dial.handshake().await;
    let finished = wait(&shutdown);
    settle().await;
    shutdown.start();
    settle().await;
    assert!(!finished.is_finished());
    shutdown.abort();
    assert_eq!(soon(finished).await.unwrap(), Duration::ZERO);
    assert_eq!(client.rest().await, "");
    soon(serving).await.unwrap();
}

/// A listener whose connections never complete the handshake that precedes HTTP, such as TLS.
struct NeverReady(InMemory);

impl Listener for NeverReady {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
        let incoming = self.0.accept().await?;
        Ok(incoming.then(|io, _| async move {
            let _held = io;
            pending().await
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn a_tls_handshake_does_not_outlive_the_drain_timeout() {
    let (listener, dial) = in_memory();
    let shutdown = Shutdown::new(Duration::from_secs(2));
    let mut server = Server::new(NeverReady(listener), config(&shutdown)).unwrap();
    let serving = tokio::spawn(async move { server.accept().await.is_none() });
    let mut client = dial.connect();
    settle().await;
    let start = Instant::now();
    shutdown.start();
    assert!(serving.await.unwrap());
    assert_eq!(start.elapsed().as_secs(), 2);
    assert_eq!(client.rest().await, "");
}

#[tokio::test]
async fn the_shutdown_notifies_the_sockets_of_an_upgrade_service_and_waits_for_them() {
    let shutdown = Shutdown::default();
    let upgrade = Upgrade::new(config(&shutdown), |socket| {
        work(socket, Duration::from_millis(50))
    })
    .unwrap();
    let http = axum::Router::new().route_service("/stomp", upgrade.clone());
    let mut addresses = Vec::new();
    let mut serving = Vec::new();
    // The second HTTP server is not shut down.
    for signal in [shutdown.started().boxed(), pending().boxed()] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        addresses.push(listener.local_addr().unwrap());
        let server = axum::serve(listener, http.clone()).with_graceful_shutdown(signal);
        serving.push(tokio::spawn(async { server.await }));
    }

    let handshake = async |address| {
        let stream = TcpStream::connect(address).await.unwrap();
        Client::upgrade(stream, "/stomp", &[]).await
    };
    let _upgraded = handshake(addresses[0]).await.unwrap();
    shutdown.start();
    let response = handshake(addresses[1]).await.unwrap_err();
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    soon(serving.remove(0)).await.unwrap().unwrap();
    // The first HTTP server has ended. The shutdown still waits for the socket.
    soon(shutdown.finished()).await;
    assert_eq!(upgrade.connections().open, 0);
}

#[tokio::test]
async fn half_a_head_does_not_delay_the_end_of_an_axum_server_that_waits_as_documented() {
    let shutdown = Shutdown::new(Duration::from_millis(50));
    let upgrade = Upgrade::new(config(&shutdown), |socket| work(socket, Duration::MAX)).unwrap();
    let http = axum::Router::new().route_service("/stomp", upgrade);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    silent.write_all(b"GET / HT").await.unwrap();
    let (handle, started) = (shutdown.clone(), shutdown.started());
    let serving = tokio::spawn(async move {
        let serving = axum::serve(listener, http).with_graceful_shutdown(started);
        tokio::select! {
            served = serving.into_future() => served.unwrap(),
            () = handle.finished() => {}
        }
        handle.finished().await;
    });
    let stream = TcpStream::connect(address).await.unwrap();
    let _session = Client::upgrade(stream, "/stomp", &[]).await.unwrap();
    shutdown.start();
    soon(serving).await.unwrap();
}

/// A waker that uses a shutdown when it is woken and when it is dropped. It may also panic when it is woken.
struct UnrulyWaker {
    shutdown: Shutdown,
    panics: bool,
}

impl Wake for UnrulyWaker {
    fn wake(self: Arc<Self>) {
        drop(self.shutdown.started());
        assert!(!self.panics, "a waker panics");
    }
}

impl Drop for UnrulyWaker {
    fn drop(&mut self) {
        drop(self.shutdown.started());
    }
}

#[test]
fn wakers_that_use_the_shutdown_or_panic_do_not_stop_it() {
    without_deadlock(|| {
        let shutdown = Shutdown::default();
        let poll = |started: &mut BoxFuture<'_, ()>, panics| {
            let shutdown = shutdown.clone();
            let waker = Waker::from(Arc::new(UnrulyWaker { shutdown, panics }));
            started.poll_unpin(&mut Context::from_waker(&waker))
        };
        let mut all = [(); 3].map(|()| shutdown.started().boxed());
        for started in &mut all {
            // The second waker replaces the first, and nobody else holds the first.
            assert!(poll(started, false).is_pending());
            assert!(poll(started, true).is_pending());
        }
        let [first, mut second, third] = all;
        drop(first);
        let counted = Arc::new(CountWake::default());
        let waker = Waker::from(Arc::clone(&counted));
        assert!(
            second
                .poll_unpin(&mut Context::from_waker(&waker))
                .is_pending()
        );
        shutdown.start();
        assert_eq!(counted.0.load(Ordering::Relaxed), 1);
        assert!(second.now_or_never().is_some() && third.now_or_never().is_some());
    });
}

#[derive(Default)]
struct CountWake(AtomicUsize);

impl Wake for CountWake {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
