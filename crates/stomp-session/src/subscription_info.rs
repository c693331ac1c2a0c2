//! A description of a subscription.

use crate::destination::Destination;
use bytestring::ByteString;

/// A subscription of a session, as [`Session::subscriptions`](crate::Session::subscriptions) lists it.
#[derive(Debug, Clone)]
pub struct SubscriptionInfo {
    id: Option<ByteString>,
    destination: Destination,
}

impl SubscriptionInfo {
    pub(crate) fn new(id: Option<ByteString>, destination: Destination) -> SubscriptionInfo {
        SubscriptionInfo { id, destination }
    }

    /// The id that the peer has given to the subscription. In STOMP 1.0, it may have none.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The destination to which the peer has subscribed.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }
}
