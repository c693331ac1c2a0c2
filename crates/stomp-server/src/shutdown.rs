//! Graceful shutdown of servers.

use crate::HealthService;
use pin_project_lite::pin_project;
use slab::Slab;
use std::{
    fmt,
    future::poll_fn,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};
use tokio::time::{Instant, timeout};

/// A handle that shuts servers down and waits until they are down. Clones are handles to the same shutdown.
///
/// 1. [`start`](Shutdown::start): servers stop listening, and upgrades are refused with status 503. Sessions handle the
///    requests that they have already read, send their receipts, and close with code 1001. Later frames are dropped.
///    Their senders get no answer, and so know that they were not handled.
/// 2. Connections that are still open after the drain timeout are aborted. [`abort`](Shutdown::abort) aborts all
///    connections immediately.
/// 3. [`finished`](Shutdown::finished) completes when all connections are closed and their handlers have ended. This
///    includes upgraded connections, which neither hyper nor axum waits for.
///
/// Pass the handle to a server as [`Config::shutdown`](crate::Config::shutdown). axum's graceful shutdown waits for all
/// HTTP connections without a limit, also for those that never send a request. So do not wait for it alone:
///
/// ```no_run
/// use std::future::IntoFuture;
/// use stomp_server::{Config, Shutdown, Upgrade};
///
/// # async fn example(http: axum::Router, listener: tokio::net::TcpListener) -> Result<(), Box<dyn std::error::Error>> {
/// let shutdown = Shutdown::on_signals()?;
/// let config = Config::default().shutdown(shutdown.clone());
/// let http = http.route_service("/stomp", Upgrade::new(config, |socket| async { drop(socket) })?);
/// let serving = axum::serve(listener, http).with_graceful_shutdown(shutdown.started());
/// tokio::select! {
///     served = serving.into_future() => served?,
///     () = shutdown.finished() => {}
/// }
/// // If axum was faster, sessions may still be open.
/// shutdown.finished().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Shutdown(Arc<Shared>);

struct Shared {
    /// Time from the start until open connections are aborted.
    drain_timeout: Duration,
    /// The current [`Phase`]. It is atomic, because each connection reads it at every wake; this costs one load and no
    /// lock.
    phase: AtomicU8,
    /// True if the shutdown was announced.
    is_announced: AtomicBool,
    state: Mutex<State>,
}

/// The phases of a shutdown, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Running,
    Draining,
    Aborted,
    Finished,
}

#[derive(Default)]
struct State {
    /// The number of counted watchers. Once the shutdown has started, it finishes when this number is 0.
    counted: usize,
    started_at: Option<Instant>,
    /// The wakers of all watchers, by [`Watcher::key`]. A waker is foreign code, also when it is cloned or dropped. Under
    /// the lock, only pointers to wakers are.
    wakers: Slab<Option<Arc<Waker>>>,
}

impl Shutdown {
    /// Creates a shutdown that aborts connections if they are still open when `drain_timeout` has passed since its
    /// start.
    ///
    /// [`Shutdown::default`] uses 30 s.
    #[must_use]
    pub fn new(drain_timeout: Duration) -> Shutdown {
        let phase = AtomicU8::new(Phase::Running as u8);
        Shutdown(Arc::new(Shared {
            drain_timeout,
            phase,
            is_announced: AtomicBool::new(false),
            state: Mutex::default(),
        }))
    }

    /// Creates a shutdown that starts at the first SIGINT (Ctrl-C) or SIGTERM of the process, and aborts at the second.
    ///
    /// On systems other than Unix, it reacts to Ctrl-C only.
    ///
    /// # Errors
    ///
    /// Returns an error if the signal handlers cannot be installed.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O enabled.
    pub fn on_signals() -> io::Result<Shutdown> {
        Shutdown::on_signals_after(Duration::ZERO)
    }

    /// Creates a shutdown like [`on_signals`](Shutdown::on_signals), which is [announced](Shutdown::announce) at the
    /// first signal and starts after `notice`, or at the second signal. The signal after its start aborts.
    ///
    /// # Errors
    ///
    /// Returns an error if the signal handlers cannot be installed.
    ///
    /// # Panics
    ///
    /// Panics outside of a tokio runtime with I/O and time enabled.
    pub fn on_signals_after(notice: Duration) -> io::Result<Shutdown> {
        let shutdown = Shutdown::default();
        let (handle, mut signals) = (shutdown.clone(), Signals::new()?);
        tokio::spawn(async move {
            signals.next().await;
            handle.announce();
            if !notice.is_zero() {
                tracing::info!(
                    ?notice,
                    "the server will shut down; another signal does it now"
                );
                let _ = timeout(notice, signals.next()).await;
            }
            tracing::info!("the server is shutting down; another signal aborts all connections");
            handle.start();
            signals.next().await;
            handle.abort();
        });
        Ok(shutdown)
    }

    /// Announces the shutdown: [`is_ready`](Shutdown::is_ready) returns false from now on, so that load balancers send
    /// their clients elsewhere. Servers continue to work until [`start`](Shutdown::start).
    pub fn announce(&self) {
        self.0.is_announced.store(true, Ordering::Release);
    }

    /// Returns true if new clients are welcome: the shutdown was neither announced nor started.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.0.is_announced.load(Ordering::Acquire) && !self.has_started()
    }

    /// Returns true until the shutdown has finished.
    #[must_use]
    pub fn is_live(&self) -> bool {
        !self.0.has_reached(Phase::Finished)
    }

    /// An HTTP service that answers `/live` and `/ready`.
    #[must_use]
    pub fn health(&self) -> HealthService {
        HealthService::new(self.clone())
    }

    /// Starts the shutdown. Further calls have no effect.
    pub fn start(&self) {
        let mut state = self.0.state();
        if state.started_at.is_none() {
            state.started_at = Some(Instant::now());
            self.0.advance(Phase::Draining, state);
        }
    }

    /// Aborts all connections immediately, without a close frame. Also starts the shutdown.
    ///
    /// This drops the futures from [`abortable`](Shutdown::abortable). It cannot abort a socket from
    /// [`Server::accept`](crate::Server::accept) that another future serves.
    pub fn abort(&self) {
        self.start();
        self.0.advance(Phase::Aborted, self.0.state());
    }

    /// Returns true if the shutdown has started.
    #[must_use]
    pub fn has_started(&self) -> bool {
        self.0.has_reached(Phase::Draining)
    }

    /// Waits until the shutdown has started.
    pub fn started(&self) -> impl Future<Output = ()> + Send + 'static + use<> {
        let mut watcher = Watcher::new(self, false);
        async move { poll_fn(|cx| watcher.poll(Phase::Draining, cx)).await }
    }

    /// Waits until the shutdown has started and all connections have ended. Aborts connections that are still open
    /// after the drain timeout.
    ///
    /// The drain timeout is only enforced while this future or [`Server::accept`](crate::Server::accept) is polled, so
    /// each shutdown needs a task that awaits it.
    pub async fn finished(&self) {
        let mut watcher = Watcher::new(self, false);
        poll_fn(|cx| watcher.poll(Phase::Draining, cx)).await;
        let started_at = self.0.state().started_at.unwrap_or_else(Instant::now);
        // A deadline could overflow, because the timeout may be very long. The remaining time cannot.
        let remaining = self.0.drain_timeout.saturating_sub(started_at.elapsed());
        let finished = timeout(remaining, poll_fn(|cx| watcher.poll(Phase::Finished, cx))).await;
        if finished.is_err() {
            tracing::warn!(
                open = self.0.state().counted,
                drain_timeout = ?self.0.drain_timeout,
                "connections that are still open after the drain timeout are aborted"
            );
            self.abort();
            poll_fn(|cx| watcher.poll(Phase::Finished, cx)).await;
        }
    }

    /// Wraps a future that serves a connection. [`abort`](Shutdown::abort) drops the future, and
    /// [`finished`](Shutdown::finished) waits until it has completed.
    ///
    /// The future may run longer than the connection, because a handler may still run after the peer has left.
    pub fn abortable<F: Future<Output = ()>>(&self, future: F) -> Abortable<F> {
        Abortable {
            watcher: Watcher::new(self, true),
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
    fn has_reached(&self, phase: Phase) -> bool {
        self.phase.load(Ordering::Acquire) >= phase as u8
    }

    /// Advances to `phase`, or to [`Phase::Finished`] if there are no counted watchers, and then wakes all watchers.
    /// Never returns to an earlier phase.
    fn advance(&self, phase: Phase, state: MutexGuard<'_, State>) {
        let phase = if state.counted == 0 {
            Phase::Finished
        } else {
            phase
        };
        let before = self.phase.fetch_max(phase as u8, Ordering::AcqRel);
        if before >= phase as u8 {
            // Each watcher that is dropped after the end comes here. Nobody waits for it.
            return;
        }
        let wakers: Vec<Arc<Waker>> = state
            .wakers
            .iter()
            .filter_map(|(_, waker)| waker.clone())
            .collect();
        drop(state);
        for waker in wakers {
            // The panic hook has reported a panic. The other tasks are woken all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| {
                waker.wake_by_ref();
                drop(waker);
            }));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Watches the phase of a shutdown. A counted watcher also keeps the shutdown from finishing until it is dropped.
pub(crate) struct Watcher {
    shared: Arc<Shared>,
    key: usize,
    /// The registered waker, which the state has too, and a clone of it, which tells without the lock and without another
    /// access to memory that the waker has not changed.
    waker: Option<(Arc<Waker>, Waker)>,
    is_counted: bool,
}

impl Watcher {
    fn new(shutdown: &Shutdown, is_counted: bool) -> Watcher {
        let shared = Arc::clone(&shutdown.0);
        let mut state = shared.state();
        state.counted += usize::from(is_counted);
        let key = state.wakers.insert(None);
        drop(state);
        Watcher {
            shared,
            key,
            waker: None,
            is_counted,
        }
    }

    /// Creates a counted watcher. Returns `None` if the shutdown has started.
    pub(crate) fn unless_started(shutdown: &Shutdown) -> Option<Watcher> {
        // The watcher is counted before the check. Otherwise the shutdown could start and finish in between.
        let watcher = Watcher::new(shutdown, true);
        (!shutdown.has_started()).then_some(watcher)
    }

    pub(crate) fn poll_started(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(Phase::Draining, cx)
    }

    fn poll(&mut self, phase: Phase, cx: &mut Context<'_>) -> Poll<()> {
        if self.shared.has_reached(phase) {
            return Poll::Ready(());
        }
        if !self
            .waker
            .as_ref()
            .is_some_and(|(_, waker)| waker.will_wake(cx.waker()))
        {
            let waker = Arc::new(cx.waker().clone());
            if let Some(slot) = self.shared.state().wakers.get_mut(self.key) {
                // The watcher has another reference to the waker that was registered before.
                *slot = Some(Arc::clone(&waker));
            }
            self.waker = Some((waker, cx.waker().clone()));
            // The phase is checked again, because it may have changed before the waker was registered.
            if self.shared.has_reached(phase) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        // The watcher has another reference to its waker, which is dropped after this.
        state.wakers.try_remove(self.key);
        state.counted -= usize::from(self.is_counted);
        if state.counted == 0 && state.started_at.is_some() {
            self.shared.advance(Phase::Finished, state);
        } else {
            drop(state);
        }
    }
}

pin_project! {
    /// The future that [`Shutdown::abortable`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct Abortable<F> {
        #[pin]
        future: Option<F>,
        // Declared last, so that it is dropped after the future.
        watcher: Watcher,
    }
}

impl<F: Future<Output = ()>> Future for Abortable<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        if this.watcher.poll(Phase::Aborted, cx).is_ready() {
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

/// The signals that ask the process to terminate.
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
        // If signals are not available, waits forever.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}
