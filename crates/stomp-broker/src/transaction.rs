//! Transactions of clients. All messages of one `COMMIT` to one broker go into one transaction of its engine.

use crate::{
    Address, EngineFuture, EngineTransaction, Publication, broker::Shared, engine::shut_down_error,
};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use stomp_session::{BoxError, ClientError, Staging};

/// The engine transactions of one `COMMIT`: one for each broker, since an application may mount several. They are
/// stored in the staging area of the `COMMIT`, and rolled back when it is dropped.
#[derive(Default)]
struct Transactions(Mutex<Vec<Entry>>);

struct Entry {
    broker: Arc<Shared>,
    transaction: Box<dyn EngineTransaction>,
}

/// Adds a message of a client's transaction to the transaction of the engine. The first message of a `COMMIT` begins
/// the engine's transaction, which is committed when all messages are accepted. The client gets its `RECEIPT` after
/// that.
///
/// The future fails with `transaction-ended` if the `COMMIT` has begun to commit, or has ended. Only the application can
/// come that late, with [`Broker::reply`](crate::Broker::reply).
pub(crate) fn prepare(
    broker: &Arc<Shared>,
    staging: &Staging,
    to: &Address,
    publication: Publication,
) -> EngineFuture<()> {
    let transactions = staging.get_or_insert_with(Transactions::default);
    // The engine is foreign code, so the entry is taken out of the list while the engine is called.
    let mut entry = match transactions.take(broker) {
        Some(entry) => entry,
        None => {
            let (transactions, broker) = (Arc::clone(&transactions), Arc::clone(broker));
            let transaction = broker.engine.begin();
            let entry = Entry {
                broker: Arc::clone(&broker),
                transaction,
            };
            if !staging.on_commit(move || transactions.commit(&broker)) {
                return EngineFuture::ready(Err(transaction_ended()));
            }
            entry
        }
    };
    let prepared = entry.transaction.prepare(to, publication);
    transactions.lock().push(entry);
    prepared
}

impl Transactions {
    fn commit(&self, broker: &Arc<Shared>) -> EngineFuture<()> {
        match self.take(broker) {
            Some(entry) => entry.transaction.commit(),
            None => unreachable_transaction(),
        }
    }

    /// Removes and returns the entry of a broker.
    fn take(&self, broker: &Arc<Shared>) -> Option<Entry> {
        let mut entries = self.lock();
        let mut all = entries.iter();
        let at = all.position(|entry| Arc::ptr_eq(&entry.broker, broker))?;
        Some(entries.swap_remove(at))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn transaction_ended() -> ClientError {
    let text = "The transaction of the request is being committed, or has ended, so nothing can be added to it. Reply \
                before the handler of the request returns.";
    ClientError::new("transaction-ended", text)
}

/// Returns the error for a transaction that is not found. This does not happen, since each transaction is committed
/// only once, after its last message.
fn unreachable_transaction() -> EngineFuture<()> {
    EngineFuture::ready(Err::<_, BoxError>(shut_down_error().into()))
}
