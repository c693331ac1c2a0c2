//! How a server goes down.

use pin_project_lite::pin_project;
use slab::Slab;
use std::{
    fmt,
    future::poll_fn,
    io,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, timeout_at};

/// The handle by which a server is told to go down, and which tells when it is down. Clones are the same handle.
///
/// 1. [`begin`](Shutdown::start): servers stop listening and upgrades are refused with 503. Sessions read nothing more,
///    finish the request that is being handled and those that were read already, send their receipts, and close with
///    1001.
/// 2. What is still there when the time for that is over is cut; so is everything by [`cut`](Shutdown::abort).
/// 3. [`ended`](Shutdown::finished) is over when all connections are gone, upgraded ones too, for which the HTTP servers
///    themselves do not wait.
///
/// A server gets it as [`Config::shutdown`](crate::Config::shutdown). Under axum:
///
/// ```no_run
/// use stomp_server::{Config, Shutdown, Upgrade};
///
/// # async fn example(http: axum::Router, listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// let shutdown = Shutdown::on_signals()?;
/// let config = Config::default().shutdown(shutdown.clone());
/// let http = http.route_service("/stomp", Upgrade::new(config, |socket| async { drop(socket) })?);
/// axum::serve(listener, http).with_graceful_shutdown(shutdown.started()).await?;
/// shutdown.finished().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Shutdown(Arc<Shared>);

struct Shared {
    patience: Duration,
    /// A [`Phase`]: what is asked for at every wake of every connection costs no lock.
    phase: AtomicU8,
    state: Mutex<State>,
}

/// In their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Cut,
    Ended,
}

#[derive(Default)]
struct State {
    /// The waiters without which nothing has ended.
    open: usize,
    begun: Option<Instant>,
    waiting: Slab<Option<Waker>>,
}

impl Shutdown {
    /// A shutdown that gives connections this time to end well. [`Shutdown::default`] gives 30 s.
    #[must_use]
    pub fn new(patience: Duration) -> Shutdown {
        let phase = AtomicU8::new(Phase::Running as u8);
        Shutdown(Arc::new(Shared {
            patience,
            phase,
            state: Mutex::default(),
        }))
    }

    /// A shutdown that begins with the process's first SIGINT (Ctrl-C) or SIGTERM, and cuts with the second.
    ///
    /// # Errors
    ///
    /// If the system does not let the process listen to signals.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime with I/O enabled.
    pub fn on_signals() -> io::Result<Shutdown> {
        let shutdown = Shutdown::default();
        let (told, mut signals) = (shutdown.clone(), Signals::new()?);
        tokio::spawn(async move {
            signals.next().await;
            tracing::info!("going down; another signal cuts all connections");
            told.start();
            signals.next().await;
            told.abort();
        });
        Ok(shutdown)
    }

    /// Begins to go down. Again has no effect.
    pub fn start(&self) {
        let mut state = self.0.state();
        if state.begun.is_none() {
            state.begun = Some(Instant::now());
            self.0.advance(Phase::Draining, state);
        }
    }

    /// Cuts all connections, without a word to them.
    pub fn abort(&self) {
        self.start();
        self.0.advance(Phase::Cut, self.0.state());
    }

    /// Whether it has begun.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.is_at(Phase::Draining)
    }

    /// Waits until it has begun.
    pub fn started(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut waiter = Waiter::new(self, false);
        async move { poll_fn(|cx| waiter.poll(Phase::Draining, cx)).await }
    }

    /// Waits until it has begun and all connections are gone, and cuts those that take too long.
    ///
    /// The time that connections have is measured here: somebody has to wait for this.
    pub async fn finished(&self) {
        let mut waiter = Waiter::new(self, false);
        poll_fn(|cx| waiter.poll(Phase::Draining, cx)).await;
        let begun = self.0.state().begun.unwrap_or_else(Instant::now);
        let ended = timeout_at(
            begun + self.0.patience,
            poll_fn(|cx| waiter.poll(Phase::Ended, cx)),
        )
        .await;
        if ended.is_err() {
            tracing::warn!(
                open = self.0.state().open,
                "connections that are still there are cut"
            );
            self.abort();
            poll_fn(|cx| waiter.poll(Phase::Ended, cx)).await;
        }
    }

    /// Runs what serves a connection until it ends or is cut. This is waited for by [`ended`](Shutdown::finished), also
    /// when the connection itself is gone.
    pub fn abortable<F: Future<Output = ()>>(&self, future: F) -> Abortable<F> {
        Abortable {
            waiter: Waiter::new(self, true),
            future: Some(future),
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown::new(Duration::from_secs(30))
    }
}

impl fmt::Debug for Shutdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shutdown")
            .field("has_started", &self.has_started())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn is_at(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) >= phase as u8
    }

    /// Goes on to a phase, and wakes all who may wait for it. Nothing goes back.
    fn advance(&self, phase: Phase, state: MutexGuard<'_, State>) {
        let phase = if state.open == 0 { Phase::Ended } else { phase };
        self.phase.fetch_max(phase as u8, Ordering::Release);
        let wakers: Vec<Waker> = state
            .waiting
            .iter()
            .filter_map(|(_, waker)| waker.clone())
            .collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One who waits for a phase. Of some it is known that they are there, and nothing has ended before they are gone.
pub(crate) struct Waiter {
    shared: Arc<Shared>,
    key: usize,
    /// A copy of what is registered, so that it is seen without a lock that nothing has changed.
    waker: Option<Waker>,
    is_open: bool,
}

impl Waiter {
    fn new(shutdown: &Shutdown, is_open: bool) -> Waiter {
        let shared = Arc::clone(&shutdown.0);
        let mut state = shared.state();
        state.open += usize::from(is_open);
        let key = state.waiting.insert(None);
        drop(state);
        Waiter {
            shared,
            key,
            waker: None,
            is_open,
        }
    }

    /// One who is waited for, unless it has begun already.
    pub(crate) fn enter(shutdown: &Shutdown) -> Option<Waiter> {
        let waiter = Waiter::new(shutdown, true);
        (!shutdown.has_started()).then_some(waiter)
    }

    pub(crate) fn poll_begun(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(Phase::Draining, cx)
    }

    fn poll(&mut self, phase: Phase, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.is_at(phase) {
            return Poll::Ready(());
        }
        if !self
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            self.waker = Some(cx.waker().clone());
            if let Some(slot) = self.shared.state().waiting.get_mut(self.key) {
                slot.clone_from(&self.waker);
            }
            // It may have come before the waker was there.
            if self.shared.is_at(phase) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // Wakers are foreign code, and are not dropped under the lock.
        let waker = state.waiting.try_remove(self.key);
        state.open -= usize::from(self.is_open);
        if state.open == 0 && state.begun.is_some() {
            self.shared.advance(Phase::Ended, state);
        } else {
            drop(state);
        }
        drop(waker);
    }
}

pin_project! {
    /// See [`Shutdown::abortable`].
    #[must_use = "nothing happens unless it is polled"]
    pub struct Abortable<F> {
        #[pin]
        future: Option<F>,
        // Dropped after what is waited for.
        waiter: Waiter,
    }
}

impl<F: Future<Output = ()>> Future for Abortable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.waiter.poll(Phase::Cut, cx).is_ready() {
            this.future.set(None);
        }
        this.future
            .as_pin_mut()
            .map_or(Poll::Ready(()), |future| future.poll(cx))
    }
}

impl<F> fmt::Debug for Abortable<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Abortable").finish_non_exhaustive()
    }
}

/// The signals by which a process is asked to end.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Signals> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Signals> {
        Ok(Signals)
    }

    async fn next(&mut self) {
        // Without signals, none comes.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
