//! Shares of principals: the sessions of one principal are limited together.

use crate::{error::ClientError, guarded::Guarded, principal::Principal};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Counts of the principals that have sessions. Clones share the counts. There is an entry for each principal with a
/// session, so there are never more entries than sessions.
#[derive(Clone, Default)]
pub(crate) struct PrincipalShares(Arc<Guarded<Counts>>);

/// The keys are bare names: they hold no value of the application.
type Counts = BTreeMap<Principal, Count>;

#[derive(Default)]
struct Count {
    sessions: usize,
    subscriptions: Arc<AtomicUsize>,
}

/// Limits of one principal; `None` is no limit.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShareLimits {
    pub(crate) sessions: Option<usize>,
    pub(crate) subscriptions: Option<usize>,
}

/// A session's place among the sessions of its principal. It is given back when this is dropped.
pub(crate) struct PrincipalShare {
    shares: PrincipalShares,
    principal: Principal,
    places: SubscriptionPlaces,
}

/// The places for the subscriptions of all sessions of one principal.
#[derive(Debug, Clone)]
pub(crate) struct SubscriptionPlaces {
    taken: Arc<AtomicUsize>,
    max: Option<usize>,
}

/// The place of one subscription. It is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct SubscriptionPlace(Arc<AtomicUsize>);

impl PrincipalShares {
    /// Counts a session of `principal`. Returns `None` if nothing is limited.
    ///
    /// # Errors
    ///
    /// Returns the error for the client if the principal has as many sessions as it may have.
    pub(crate) fn join(
        &self,
        principal: &Principal,
        limits: ShareLimits,
    ) -> Result<Option<PrincipalShare>, ClientError> {
        if limits.sessions.is_none() && limits.subscriptions.is_none() {
            return Ok(None);
        }
        let principal = principal.name_only();
        let subscriptions = self.0.with(|counts, _| {
            let sessions = counts.get(&principal).map_or(0, |count| count.sessions);
            if let Some(max) = limits.sessions.filter(|max| sessions >= *max) {
                return Err(ClientError::too_many_sessions(max));
            }
            let count = counts.entry(principal.clone()).or_default();
            count.sessions += 1;
            Ok(Arc::clone(&count.subscriptions))
        })?;
        Ok(Some(PrincipalShare {
            shares: self.clone(),
            principal,
            places: SubscriptionPlaces {
                taken: subscriptions,
                max: limits.subscriptions,
            },
        }))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.with(|counts, _| counts.len())
    }
}

impl PrincipalShare {
    /// The places for the subscriptions of the principal.
    pub(crate) fn places(&self) -> &SubscriptionPlaces {
        &self.places
    }
}

impl SubscriptionPlaces {
    /// Takes a place for a subscription. If none is left, returns their number as the error.
    pub(crate) fn take(&self) -> Result<SubscriptionPlace, usize> {
        let max = self.max.unwrap_or(usize::MAX);
        self.taken
            .fetch_update(Relaxed, Relaxed, |count| (count < max).then(|| count + 1))
            .map_err(|_| max)?;
        Ok(SubscriptionPlace(Arc::clone(&self.taken)))
    }
}

impl Drop for SubscriptionPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Drop for PrincipalShare {
    fn drop(&mut self) {
        self.shares.0.with(|counts, _| {
            if let Some(count) = counts.get_mut(&self.principal) {
                count.sessions -= 1;
                if count.sessions == 0 {
                    counts.remove(&self.principal);
                }
            }
        });
    }
}

impl fmt::Debug for PrincipalShares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PrincipalShares").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: ShareLimits = ShareLimits {
        sessions: Some(2),
        subscriptions: Some(3),
    };

    fn join(shares: &PrincipalShares, name: &str) -> Option<PrincipalShare> {
        shares.join(&Principal::new(name), LIMITS).ok().flatten()
    }

    #[test]
    fn sessions_of_one_principal_share_their_places() {
        let shares = PrincipalShares::default();
        let first = join(&shares, "ann").unwrap();
        let _second = join(&shares, "ann").unwrap();
        let _other = join(&shares, "bob").unwrap();
        assert!(join(&shares, "ann").is_none());
        drop(first);
        assert!(join(&shares, "ann").is_some());
    }

    #[test]
    fn sessions_of_one_principal_take_and_give_back_the_same_places_for_subscriptions() {
        let shares = PrincipalShares::default();
        let first = join(&shares, "ann").unwrap();
        let second = join(&shares, "ann").unwrap();
        let place = first.places().take().unwrap();
        let _others = [&first, &second].map(|share| share.places().take().unwrap());
        assert_eq!(second.places().take().unwrap_err(), 3);
        drop(place);
        let _last = second.places().take().unwrap();
        assert!(first.places().take().is_err());
    }

    #[test]
    fn principals_without_sessions_leave_nothing_behind() {
        let shares = PrincipalShares::default();
        let ann = Principal::new("ann").with_role("staff").with_value(7_u8);
        let share = shares.join(&ann, LIMITS).unwrap().unwrap();
        assert_eq!(share.principal.value::<u8>(), None);
        assert_eq!(shares.len(), 1);
        drop(share);
        assert_eq!(shares.len(), 0);
    }

    #[test]
    fn without_limits_nothing_is_counted() {
        let shares = PrincipalShares::default();
        let none = ShareLimits {
            sessions: None,
            subscriptions: None,
        };
        assert!(shares.join(&Principal::new("ann"), none).unwrap().is_none());
    }
}
