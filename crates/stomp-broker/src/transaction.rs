//! Transactions of clients: all messages of one `COMMIT` go into one transaction of the engine.

use crate::{
    Address, EngineFuture, EngineTransaction, Publication, broker::Shared, engine::shut_down_error,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stomp_session::{BoxError, Staging};

/// The transactions of one `COMMIT`, one for each broker: an application may mount several. They are kept in the
/// `COMMIT`'s staging area. Dropping it rolls them back.
#[derive(Default)]
struct Transactions(Mutex<Vec<Entry>>);

struct Entry {
    broker: Arc<Shared>,
    transaction: Box<dyn EngineTransaction>,
}

/// Prepares a message of a client's transaction. The first message of a `COMMIT` begins a transaction of the engine,
/// which is committed when all messages are accepted. The client gets its `RECEIPT` after the engine has answered.
pub(crate) fn prepare(
    broker: &Arc<Shared>,
    staging: &Staging,
    to: &Address,
    publication: Publication,
) -> EngineFuture<()> {
    let transactions = staging.get_or_insert_with(Transactions::default);
    let mut entries = transactions.lock();
    let known = entries
        .iter()
        .position(|entry| Arc::ptr_eq(&entry.broker, broker));
    let at = known.unwrap_or_else(|| {
        entries.push(Entry {
            broker: Arc::clone(broker),
            transaction: broker.engine.begin(),
        });
        let (transactions, broker) = (Arc::clone(&transactions), Arc::clone(broker));
        staging.on_commit(move || transactions.commit(&broker));
        entries.len() - 1
    });
    match entries.get_mut(at) {
        Some(entry) => entry.transaction.prepare(to, publication),
        None => unreachable_transaction(),
    }
}

impl Transactions {
    fn commit(&self, broker: &Arc<Shared>) -> EngineFuture<()> {
        let mut entries = self.lock();
        let at = entries
            .iter()
            .position(|entry| Arc::ptr_eq(&entry.broker, broker));
        let entry = at.map(|at| entries.swap_remove(at));
        drop(entries);
        match entry {
            Some(entry) => entry.transaction.commit(),
            None => unreachable_transaction(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction is committed once, after its last message. So it is always found.
fn unreachable_transaction() -> EngineFuture<()> {
    EngineFuture::ready(Err::<_, BoxError>(shut_down_error().into()))
}
