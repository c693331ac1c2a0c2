//! Transactions of clients: all messages of one `COMMIT` go into one transaction of the engine.

use crate::{
    Address, Engine, EngineFuture, EngineTransaction, Publication, engine::shut_down_error,
};
use futures_util::FutureExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use stomp_session::{BoxError, Session, Staging};

/// The transaction of an engine, until it is committed. Dropping it without a commit rolls it back.
type Slot = Mutex<Option<Box<dyn EngineTransaction>>>;

/// The transactions of the `COMMIT` that a session handles, by the address of their engine: an application may mount
/// several brokers. They are kept in the session's extensions.
///
/// The references are weak: the staged effect of a `COMMIT` owns its transaction, so that a `COMMIT` which is refused
/// leaves nothing to the next.
#[derive(Clone, Default)]
struct Current(Arc<Mutex<Vec<Entry>>>);

struct Entry {
    engine: usize,
    slot: Weak<Slot>,
}

/// Prepares a message of a client's transaction. The first message of a `COMMIT` begins a transaction of the engine,
/// and stages its commit.
pub(crate) fn prepare(
    engine: &dyn Engine,
    session: &Session,
    staging: &Staging,
    to: &Address,
    publication: Publication,
) -> EngineFuture<()> {
    let slot = slot(engine, session, staging);
    let mut transaction = lock(&slot);
    match &mut *transaction {
        Some(transaction) => transaction.prepare(to, publication),
        // The commit runs after the last message, so this does not happen.
        None => EngineFuture::ready(Err(shut_down_error())),
    }
}

/// Returns the transaction of the `COMMIT` that the session handles.
fn slot(engine: &dyn Engine, session: &Session, staging: &Staging) -> Arc<Slot> {
    // A session handles one request at a time, so no other request inserts a value meanwhile.
    let current = session.get::<Current>().unwrap_or_else(|| {
        let current = Current::default();
        session.insert(current.clone());
        current
    });
    let address = std::ptr::from_ref(engine).cast::<()>().addr();
    let mut current = lock(&current.0);
    current.retain(|entry| entry.slot.strong_count() > 0);
    let known = current.iter().find(|entry| entry.engine == address);
    if let Some(slot) = known.and_then(|entry| entry.slot.upgrade()) {
        return slot;
    }
    let slot = Arc::new(Slot::new(Some(engine.begin())));
    current.push(Entry {
        engine: address,
        slot: Arc::downgrade(&slot),
    });
    stage_commit(staging, Arc::clone(&slot));
    slot
}

/// Stages the commit of a transaction. The only place that knows how a session commits.
///
/// An effect can neither wait nor fail. So the client gets its `RECEIPT` before a commit that is not ready at once, and
/// its failure is only logged.
fn stage_commit(staging: &Staging, slot: Arc<Slot>) {
    staging.stage(move || {
        let Some(transaction) = lock(&slot).take() else {
            return;
        };
        let mut commit = transaction.commit();
        match (&mut commit).now_or_never() {
            Some(result) => report(result),
            None => match tokio::runtime::Handle::try_current() {
                Ok(runtime) => drop(runtime.spawn(async { report(commit.await) })),
                Err(error) => report(Err(error.into())),
            },
        }
    });
}

fn report(result: Result<(), BoxError>) {
    if let Err(error) = result {
        tracing::error!(%error, "the engine failed to commit a transaction");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
