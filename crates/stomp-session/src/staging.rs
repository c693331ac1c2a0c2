//! Effects of a transaction, which run when it is committed.

use crate::{
    catch_drop::CatchDrop,
    delivery::Settlement,
    error::{BoxError, PartlyCommitted},
    id::{DeliveryTag, SubscriptionKey},
};
use smallvec::SmallVec;
use std::{
    any::{Any, TypeId},
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

/// Staging area of a transaction: the handlers of its `SEND`s add effects, which run if the commit succeeds.
///
/// When the client commits, the service is called with each `SEND` of the transaction, in order. A handler that
/// supports transactions checks the message, and reserves what it needs. Instead of acting at once, it adds its action:
///
/// - [`on_commit`](Staging::on_commit) adds a future, for an action that may fail, such as a write to a message engine;
/// - [`stage`](Staging::stage) adds a closure, for an effect that cannot fail.
///
/// | step | if it fails |
/// |---|---|
/// | the handlers, one after the other | everything that they have added is dropped, with the reservations in it |
/// | the futures of `on_commit`, in the order in which they were added | the same, but earlier futures are not undone |
/// | the effects of `stage` and the `ACK`s of the transaction, in order | they cannot fail |
/// | the `RECEIPT` of the `COMMIT` | |
///
/// If a step fails, the client gets one `ERROR` for the `COMMIT`, and the `ACK`s of the transaction count as not sent.
/// The action of a handler that does not use the staging area is not undone.
///
/// # Engines
///
/// A message engine that has transactions itself can collect the messages of all `SEND`s, and commit them together:
///
/// ```
/// use std::sync::Mutex;
/// use stomp_session::{BoxError, Request, Response};
/// # type Messages = Vec<bytes::Bytes>;
/// # async fn write_all(_: Messages) -> Result<(), BoxError> { Ok(()) }
///
/// async fn handle_send(request: Request) -> Result<Response, BoxError> {
///     let Some(staging) = request.transaction() else {
///         return write_all(vec![request.body().clone()]).await.map(|()| Response::Done);
///     };
///     let messages = staging.get_or_insert_with(|| {
///         staging.on_commit({
///             let staging = staging.clone();
///             move || {
///                 let messages = staging.get_or_insert_with(Mutex::<Messages>::default);
///                 let messages = std::mem::take(&mut *messages.lock().unwrap());
///                 write_all(messages)
///             }
///         });
///         Mutex::<Messages>::default()
///     });
///     messages.lock().unwrap().push(request.body().clone());
///     Ok(Response::Done)
/// }
/// ```
#[derive(Clone)]
pub struct Staging(Arc<Mutex<Option<Staged>>>);

/// Content of a [`Staging`] whose transaction has not ended.
struct Staged {
    effects: Vec<Effect>,
    /// The functions of [`Staging::on_commit`]. `None` once the commit has taken them.
    commits: Option<Vec<OnCommit>>,
    values: Vec<(TypeId, Value)>,
}

type Value = Arc<dyn Any + Send + Sync>;

/// A function of [`Staging::on_commit`], which makes a future.
type OnCommit = CatchDrop<Box<dyn FnOnce() -> BoxCommit + Send>>;

type BoxCommit = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;

/// Effect that takes place when its transaction is committed.
pub(crate) enum Effect {
    Run(CatchDrop<Box<dyn FnOnce() + Send>>),
    Acknowledge(Acknowledgment),
}

/// Deliveries of one subscription that an `ACK` or `NACK` settles together.
#[derive(Debug)]
pub(crate) struct Acknowledgment {
    pub(crate) subscription: SubscriptionKey,
    /// Tags in ascending order. The last one is the tag that the `ACK` or `NACK` named.
    pub(crate) tags: SmallVec<[DeliveryTag; 1]>,
    pub(crate) settlement: Settlement,
}

impl Staging {
    pub(crate) fn new() -> Staging {
        Staging(Arc::new(Mutex::new(Some(Staged {
            effects: Vec::new(),
            commits: Some(Vec::new()),
            values: Vec::new(),
        }))))
    }

    /// Adds an effect, which runs on the task of the session when the transaction is committed. It must not block. A
    /// panic of the effect is caught.
    ///
    /// If the transaction has ended, the effect is dropped at once.
    pub fn stage(&self, effect: impl FnOnce() + Send + 'static) {
        self.push(Effect::Run(CatchDrop::new(Box::new(effect))));
    }

    /// Adds a future that commits what the handlers have prepared; `commit` makes it. It runs after the handlers of all
    /// `SEND`s have succeeded, and before the effects of [`stage`](Staging::stage).
    ///
    /// Until it completes, the session handles no frames except `ACK` and `NACK`. All futures of a transaction together
    /// must complete within [`Config::handler_timeout`](crate::Config::handler_timeout).
    ///
    /// If the future fails or panics, the transaction is refused. [`Config::error_mapper`](crate::Config::error_mapper)
    /// decides what the client sees. If it returns [`ClientError::internal`](crate::ClientError::internal), the client
    /// gets `engine-unavailable` instead, which says that the transaction may or may not have taken effect.
    ///
    /// Earlier futures of the transaction, of this service or another, are not undone: the transaction then takes effect
    /// in part. The client gets `engine-unavailable` for any such error, and the error is logged. Add futures that can be
    /// refused before those that cannot.
    ///
    /// If the session ends meanwhile, the future still runs to its end, and its result settles the deliveries that the
    /// transaction acknowledges: as the client has said if it succeeds, and as
    /// [`Abandoned`](crate::Settlement::Abandoned) otherwise. The future is dropped before that if it takes too long,
    /// or if the [`Connection`](crate::Connection) is dropped. Its panics are caught, and are errors.
    ///
    /// Returns false if the transaction is being committed already, or has ended. Then `commit` is dropped at once. A
    /// handler that has not returned yet always gets true.
    pub fn on_commit<F, C>(&self, commit: F) -> bool
    where
        F: FnOnce() -> C + Send + 'static,
        C: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let commit: Box<dyn FnOnce() -> BoxCommit + Send> = Box::new(|| Box::pin(commit()));
        let mut commit = Some(CatchDrop::new(commit));
        let mut staged = self.lock();
        if let Some(commits) = staged.as_mut().and_then(|staged| staged.commits.as_mut()) {
            commits.extend(commit.take());
        }
        // Foreign code is dropped outside the lock.
        drop(staged);
        commit.is_none()
    }

    /// Returns the value of this type that the handlers of the transaction share. The first call makes it.
    ///
    /// The transaction holds the value until it ends. After its end, the value is made for this call only. Use a
    /// private type, because services that use the same type share one value.
    pub fn get_or_insert_with<T: Any + Send + Sync>(&self, make: impl FnOnce() -> T) -> Arc<T> {
        if let Some(value) = self.value() {
            return value;
        }
        // Foreign code runs outside the lock.
        let made = Arc::new(make());
        let mut staged = self.lock();
        if let Some(staged) = staged.as_mut() {
            let id = TypeId::of::<T>();
            // `make` may have inserted another value of this type.
            if staged.values.iter().all(|(known, _)| *known != id) {
                let value: Value = made.clone();
                staged.values.push((id, value));
                return made;
            }
        }
        drop(staged);
        self.value().unwrap_or(made)
    }

    fn value<T: Any + Send + Sync>(&self) -> Option<Arc<T>> {
        let staged = self.lock();
        let mut values = staged.as_ref()?.values.iter();
        let (_, value) = values.find(|(id, _)| *id == TypeId::of::<T>())?;
        Arc::clone(value).downcast().ok()
    }

    pub(crate) fn push(&self, effect: Effect) {
        let mut effect = Some(effect);
        let mut staged = self.lock();
        if let Some(staged) = staged.as_mut() {
            staged.effects.extend(effect.take());
        }
        // Foreign code is dropped outside the lock.
        drop(staged);
        drop(effect);
    }

    /// Takes the futures of [`on_commit`](Staging::on_commit), to run one after the other; `None` if there are none.
    /// Futures that are added later are dropped.
    pub(crate) fn begin_commit(&self) -> Option<CommitFuture> {
        let commits = self.lock().as_mut()?.commits.take()?;
        if commits.is_empty() {
            return None;
        }
        let all: BoxCommit = Box::pin(async {
            let mut has_committed = false;
            for commit in commits {
                let Some(commit) = commit.take() else {
                    continue;
                };
                match commit().await {
                    Ok(()) => has_committed = true,
                    Err(error) if has_committed => return Err(PartlyCommitted(error).into()),
                    Err(error) => return Err(error),
                }
            }
            Ok(())
        });
        Some(CommitFuture(CatchDrop::new(all)))
    }

    /// Ends the transaction: returns its effects, and drops everything else. Whatever is added later is dropped.
    pub(crate) fn close(&self) -> Vec<Effect> {
        let Some(Staged {
            effects,
            commits,
            values,
        }) = self.lock().take()
        else {
            return Vec::new();
        };
        drop(commits);
        for (_, value) in values {
            drop(CatchDrop::new(value));
        }
        effects
    }

    fn lock(&self) -> MutexGuard<'_, Option<Staged>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Future that runs the futures of a commit one after the other, until the first error. Panics in its destructor are
/// caught.
pub(crate) struct CommitFuture(CatchDrop<BoxCommit>);

impl Future for CommitFuture {
    type Output = Result<(), BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.get_mut() {
            Some(commit) => commit.as_mut().poll(cx),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for CommitFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommitFuture").finish_non_exhaustive()
    }
}

impl fmt::Debug for Staging {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Staging").finish_non_exhaustive()
    }
}

/// Runs a staged effect and catches its panic, which the panic hook has already reported.
pub(crate) fn run(effect: CatchDrop<Box<dyn FnOnce() + Send>>) {
    let Some(effect) = effect.take() else { return };
    let _ = catch_unwind(AssertUnwindSafe(effect));
}
