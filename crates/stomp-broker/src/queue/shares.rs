//! The shares of clients in a bounded whole.

use super::{holder::Holder, slots::Slots};
use std::{
    collections::{BTreeMap, VecDeque},
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// The smallest number of sizes of shares that are distinguished to find the largest, as a power of two.
const SIZE_BITS: u32 = 10;

/// Maximum number of accounts that are kept although nothing is held, so that a client whose messages never wait long
/// costs no allocations.
const MAX_EMPTY: usize = 64;

/// A whole that clients share, such as the bytes or the names of all queues.
///
/// While there is room, a client may take any share of it. When three quarters are in use, the client with the largest
/// share gets no more, unless it is the only one. Another quarter above the maximum is for all clients except the
/// largest, so that a client that has taken everything does not stop those that come later. A share of less than about a
/// thousandth of the whole is never the largest: where all are that small, nobody has taken too much.
///
/// The application is counted apart, with the same maximum.
///
/// Taking and returning a share takes logarithmic time. The memory grows with the number of holders that hold anything.
pub(super) struct Shares {
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The amount that all clients hold.
    total: usize,
    accounts: Slots<Account>,
    /// The keys of the accounts.
    keys: BTreeMap<Holder, usize>,
    /// The number of clients that hold anything.
    clients: usize,
    /// The number of clients by the [size](Shares::size) of their shares, without those of size 0.
    sizes: BTreeMap<usize, usize>,
    /// The keys of accounts that were empty, longest ago first.
    empty: VecDeque<usize>,
}

/// The share of one holder.
struct Account {
    holder: Holder,
    held: usize,
    /// True if the account is in [`State::empty`].
    is_listed: bool,
}

/// A part of a whole. Dropping it returns it.
pub(super) struct Share {
    shares: Arc<Shares>,
    /// The key of the account. The account exists at least as long as it holds anything.
    account: usize,
    amount: usize,
}

/// The state in which a whole refused a share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoShare {
    /// The amount that the holder had.
    pub(super) held: usize,
    /// The amount that all clients had.
    pub(super) total: usize,
    pub(super) max: usize,
    /// True if there is room, but not for the holder with the largest share.
    pub(super) is_largest: bool,
}

impl Shares {
    pub(super) fn new(max: usize) -> Arc<Shares> {
        Arc::new(Shares {
            max,
            state: Mutex::default(),
        })
    }

    /// Takes a part of the whole.
    pub(super) fn take(self: &Arc<Self>, holder: &Holder, amount: usize) -> Result<Share, NoShare> {
        let mut state = self.lock();
        let known = state.keys.get(holder).copied();
        let held = known.map_or(0, |account| state.held(account));
        let (limit, sum) = match holder {
            Holder::Application => (self.max, held.saturating_add(amount)),
            _ => (self.limit(&state, held), state.total.saturating_add(amount)),
        };
        if sum > limit || held.saturating_add(amount) > self.max {
            return Err(NoShare {
                held,
                total: state.total,
                max: self.max,
                is_largest: sum <= self.max,
            });
        }
        let account = known.unwrap_or_else(|| state.open(holder));
        Ok(self.add(&mut state, account, held, amount))
    }

    /// Takes a part of the whole even beyond the maximum.
    pub(super) fn take_needed(self: &Arc<Self>, holder: &Holder, amount: usize) -> Share {
        let mut state = self.lock();
        let known = state.keys.get(holder).copied();
        let account = known.unwrap_or_else(|| state.open(holder));
        let held = state.held(account);
        self.add(&mut state, account, held, amount)
    }

    /// The total up to which a client gets a share that holds this amount.
    fn limit(&self, state: &State, held: usize) -> usize {
        let max = self.max;
        let size = self.size(held);
        let largest = state.sizes.last_key_value();
        let is_largest = size > 0 && largest.is_none_or(|(largest, _)| *largest <= size);
        if !is_largest {
            max.saturating_add(max / 4)
        } else if state.clients == 1 {
            max
        } else {
            max - max / 4
        }
    }

    /// Adds to an account that holds `held`.
    fn add(
        self: &Arc<Self>,
        state: &mut State,
        account: usize,
        held: usize,
        amount: usize,
    ) -> Share {
        self.set_held(state, account, held + amount);
        Share {
            shares: Arc::clone(self),
            account,
            amount,
        }
    }

    /// Changes the amount that a holder holds.
    fn set_held(&self, state: &mut State, account: usize, held: usize) {
        let Some(account) = state.accounts.get_mut(account) else {
            return;
        };
        let before = mem::replace(&mut account.held, held);
        if matches!(account.holder, Holder::Application) {
            return;
        }
        state.total = state.total - before + held;
        match (before, held) {
            (0, 1..) => state.clients += 1,
            (1.., 0) => state.clients -= 1,
            _ => {}
        }
        let (before, after) = (self.size(before), self.size(held));
        if before != after {
            state.resize(before, after);
        }
    }

    /// The size of a share, in steps of about a thousandth of the maximum, so that few changes of a share change its
    /// size.
    fn size(&self, held: usize) -> usize {
        let max_bits = usize::BITS - self.max.leading_zeros();
        held >> max_bits.saturating_sub(SIZE_BITS + 1)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open(&mut self, holder: &Holder) -> usize {
        let holder = holder.bare();
        let account = self.accounts.insert(Account {
            holder: holder.clone(),
            held: 0,
            is_listed: false,
        });
        self.keys.insert(holder, account);
        account
    }

    /// The amount that an account holds.
    fn held(&self, account: usize) -> usize {
        self.accounts.get(account).map_or(0, |account| account.held)
    }

    /// Records that the share of a client has another size.
    fn resize(&mut self, before: usize, after: usize) {
        if after > 0 {
            *self.sizes.entry(after).or_default() += 1;
        }
        if let Some(count) = self.sizes.get_mut(&before) {
            *count -= 1;
            if *count == 0 {
                self.sizes.remove(&before);
            }
        }
    }

    /// Keeps an empty account for a while, and forgets the one that has been kept longest if there are too many.
    fn keep_empty(&mut self, key: usize) {
        let account = self.accounts.get_mut(key);
        if account.is_none_or(|it| mem::replace(&mut it.is_listed, true)) {
            return;
        }
        self.empty.push_back(key);
        if self.empty.len() <= MAX_EMPTY {
            return;
        }
        let Some(oldest) = self.empty.pop_front() else {
            return;
        };
        let Some(account) = self.accounts.get_mut(oldest) else {
            return;
        };
        account.is_listed = false;
        if account.held == 0 {
            // No account and no key has a foreign destructor.
            if let Some(account) = self.accounts.remove(oldest) {
                self.keys.remove(&account.holder);
            }
        }
    }
}

impl Share {
    pub(super) fn amount(&self) -> usize {
        self.amount
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Share {
            shares,
            account,
            amount,
        } = self;
        let mut state = shares.lock();
        let held = state.held(*account) - *amount;
        shares.set_held(&mut state, *account, held);
        if held == 0 {
            state.keep_empty(*account);
        }
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share")
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_session::Principal;

    fn client(name: &str) -> Holder {
        Holder::new(Some(Principal::new(name)), None, None)
    }

    /// Takes parts of 1 until no more is given.
    fn take_all(shares: &Arc<Shares>, holder: &Holder) -> Vec<Share> {
        std::iter::from_fn(|| shares.take(holder, 1).ok()).collect()
    }

    #[test]
    fn a_single_client_gets_the_whole_and_others_still_get_a_share() {
        let shares = Shares::new(100);
        let all = take_all(&shares, &client("junk"));
        assert_eq!(all.len(), 100);
        let other = take_all(&shares, &client("other"));
        assert_eq!(other.len(), 25);
        assert!(shares.take(&client("third"), 1).is_err());
        assert_eq!(take_all(&shares, &Holder::Application).len(), 100);
    }

    #[test]
    fn the_largest_client_is_refused_when_three_quarters_are_in_use() {
        let shares = Shares::new(100);
        let small = shares.take(&client("small"), 5).unwrap();
        let large = take_all(&shares, &client("large"));
        assert_eq!(large.len(), 70);
        let refused = shares.take(&client("large"), 1).unwrap_err();
        let expected = NoShare {
            held: 70,
            total: 75,
            max: 100,
            is_largest: true,
        };
        assert_eq!(refused, expected);
        assert_eq!(take_all(&shares, &client("small")).len(), 50);
        drop((large, small));
        assert_eq!(take_all(&shares, &client("large")).len(), 100);
    }

    #[test]
    fn clients_with_small_shares_fill_the_whole_and_its_reserve() {
        let shares = Shares::new(4_096);
        let users: Vec<Holder> = (0..2_000).map(|user| client(&user.to_string())).collect();
        let mut taken = Vec::new();
        for _ in 0..2 {
            taken.extend(users.iter().map(|user| shares.take(user, 1).unwrap()));
        }
        let newcomer = take_all(&shares, &client("newcomer"));
        assert_eq!(newcomer.len(), 4, "more would be a share of some size");
        drop(taken);
        assert_eq!(take_all(&shares, &client("newcomer")).len(), 4_092);
    }

    #[test]
    fn the_application_is_counted_apart() {
        let shares = Shares::new(100);
        let _own = shares.take(&Holder::Application, 60).unwrap();
        let ann = take_all(&shares, &client("ann"));
        assert_eq!(ann.len(), 100);
        assert_eq!(take_all(&shares, &Holder::Application).len(), 40);
    }

    #[test]
    fn few_accounts_are_kept_for_holders_that_hold_nothing() {
        let shares = Shares::new(10_000_000);
        for number in 0..1_000 {
            let holder = client(&number.to_string());
            let taken = [3, 50_000, 7].map(|amount| shares.take(&holder, amount).unwrap());
            let state = shares.lock();
            assert_eq!((state.total, state.clients), (50_010, 1));
            assert_eq!(state.sizes, BTreeMap::from([(50_010 >> 13, 1)]));
            drop(state);
            drop(taken);
        }
        let state = shares.lock();
        assert_eq!((state.total, state.clients), (0, 0));
        assert!(state.sizes.is_empty());
        assert_eq!(state.accounts.len(), MAX_EMPTY);
        drop(state);
        assert_eq!(Arc::strong_count(&shares), 1);
    }

    #[test]
    fn the_account_of_a_holder_that_holds_something_is_never_forgotten() {
        let shares = Shares::new(1_000);
        let ann = client("ann");
        drop(shares.take(&ann, 1).unwrap());
        let held = shares.take(&ann, 1).unwrap();
        for number in 0..200 {
            drop(shares.take(&client(&number.to_string()), 1).unwrap());
        }
        let more = shares.take(&ann, 1).unwrap();
        assert_eq!(held.account, more.account);
        assert_eq!(shares.lock().held(more.account), 2);
    }

    #[test]
    fn a_part_that_is_larger_than_the_whole_is_refused() {
        let shares = Shares::new(100);
        assert!(shares.take(&client("a"), 101).is_err());
        assert!(shares.take(&Holder::Application, usize::MAX).is_err());
        let needed = shares.take_needed(&client("a"), 101);
        assert_eq!(needed.amount(), 101);
        assert!(shares.take(&client("a"), 1).is_err());
    }
}
