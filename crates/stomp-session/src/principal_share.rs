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

/// A session's part of the share of its principal. It is given back when this is dropped.
pub(crate) struct PrincipalShare {
    shares: PrincipalShares,
    principal: Principal,
    limits: ShareLimits,
    /// Subscriptions of all sessions of the principal.
    subscriptions: Arc<AtomicUsize>,
    /// Subscriptions of this session.
    own_subscriptions: usize,
}

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
            limits,
            subscriptions,
            own_subscriptions: 0,
        }))
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.0.with(|counts, _| counts.len())
    }
}

impl PrincipalShare {
    /// Counts a subscription.
    ///
    /// # Errors
    ///
    /// Returns the error for the client if the principal has as many subscriptions as it may have.
    pub(crate) fn add_subscription(&mut self) -> Result<(), ClientError> {
        let max = self.limits.subscriptions.unwrap_or(usize::MAX);
        self.subscriptions
            .fetch_update(Relaxed, Relaxed, |count| (count < max).then_some(count + 1))
            .map_err(|_| ClientError::too_many_subscriptions(max))?;
        self.own_subscriptions += 1;
        Ok(())
    }

    /// Gives a counted subscription back.
    pub(crate) fn remove_subscription(&mut self) {
        self.own_subscriptions -= 1;
        self.subscriptions.fetch_sub(1, Relaxed);
    }
}

impl Drop for PrincipalShare {
    fn drop(&mut self) {
        self.subscriptions
            .fetch_sub(self.own_subscriptions, Relaxed);
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
    fn subscriptions_are_given_back_one_by_one_and_with_their_session() {
        let shares = PrincipalShares::default();
        let mut first = join(&shares, "ann").unwrap();
        let mut second = join(&shares, "ann").unwrap();
        first.add_subscription().unwrap();
        first.add_subscription().unwrap();
        second.add_subscription().unwrap();
        assert!(second.add_subscription().is_err());
        first.remove_subscription();
        second.add_subscription().unwrap();
        assert!(second.add_subscription().is_err());
        drop(first);
        second.add_subscription().unwrap();
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
