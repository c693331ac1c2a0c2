//! The request that the service is handling.

use crate::id::SubscriptionKey;
use bytestring::ByteString;
use stomp_frame::{Command, HeartBeat};

/// A request for the service, without its frame: the data that its answer needs.
#[derive(Debug)]
pub(in crate::protocol) struct InFlight {
    pub(in crate::protocol) command: Command,
    pub(in crate::protocol) receipt: Option<ByteString>,
    /// The subscription that a `SUBSCRIBE` asks for.
    pub(in crate::protocol) subscription: Option<SubscriptionKey>,
    /// The `heart-beat` header of a `CONNECT`.
    pub(in crate::protocol) heart_beat: Option<HeartBeat>,
    /// The service was ready and has been called.
    pub(in crate::protocol) is_started: bool,
}
