//! The request that the service is handling, or the commit that is running.

use crate::id::SubscriptionKey;
use bytestring::ByteString;
use stomp_frame::{Command, HeartBeat};

/// A request for the service, without its frame: the data that its answer needs. Or, with the command `COMMIT`, the
/// futures of a transaction.
#[derive(Debug)]
pub(crate) struct InFlight {
    pub(crate) command: Command,
    pub(crate) receipt: Option<ByteString>,
    /// The subscription that a `SUBSCRIBE` asks for.
    pub(crate) subscription: Option<SubscriptionKey>,
    /// The `heart-beat` header of a `CONNECT`.
    pub(crate) heart_beat: Option<HeartBeat>,
    /// True if the service was ready and has been called.
    pub(crate) is_started: bool,
}
