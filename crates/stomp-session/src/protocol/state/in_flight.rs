//! The request that the service is handling, or the commit that is running.

use super::own_requests::LostSubscription;
use crate::id::SubscriptionKey;
use bytestring::ByteString;
use stomp_frame::{Command, HeartBeat};

/// Data of the current request that are needed for its answer. With the command `COMMIT`, it stands for the running
/// futures of a transaction.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) command: Command,
    pub(crate) receipt: Option<ByteString>,
    /// False if the session made the request itself.
    pub(crate) is_from_peer: bool,
    /// The subscription that a `SUBSCRIBE` asks for.
    pub(crate) subscription: Option<SubscriptionKey>,
    /// That subscription, if it has ended before the answer.
    pub(crate) lost: Option<Box<LostSubscription>>,
    /// The `heart-beat` header of a `CONNECT`.
    pub(crate) heart_beat: Option<HeartBeat>,
    /// True if the service was ready and has been called. Always true for a commit.
    pub(crate) is_started: bool,
}
