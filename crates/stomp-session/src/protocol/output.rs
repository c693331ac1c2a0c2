//! The actions that the protocol wants from its driver.

use crate::{
    destination::Destination, id::SubscriptionKey, principal_share::SubscriptionPlaces,
    staging::CommitFuture,
};
use bytestring::ByteString;
use stomp_frame::Version;
use stomp_socket::{CloseCode, Outbound};

/// Action for the driver. The driver carries out the actions in order.
#[derive(Debug)]
pub(crate) enum Output {
    Io(IoOutput),
    Call(CallOutput),
}

/// Action that concerns the socket, the handles or the streams.
#[derive(Debug)]
pub(crate) enum IoOutput {
    /// Write this item.
    Write(Outbound),
    /// The peer is connected: continue reading, in this version.
    Negotiated(Version),
    /// `CONNECTED` was sent, and `CONNECT` is answered: add the session to the registry.
    Join,
    /// The implicit subscriptions that handles of the session add need a place among these.
    LimitSubscriptions(SubscriptionPlaces),
    /// The peer has sent `SUBSCRIBE` for this destination, with this id. The service has yet to accept it.
    Subscribed(SubscriptionKey, Option<ByteString>, Destination),
    /// The subscription had no credit, and has some again.
    Credit(SubscriptionKey),
    /// The subscription has ended: drop its streams.
    Unsubscribed(SubscriptionKey),
    /// All subscriptions have ended, after the end of the session has begun: drop all streams.
    AllUnsubscribed,
    /// The end of the session begins: remove it from the registry, and close its handles.
    Leave,
    /// Give a WebSocket peer this reason with the close code.
    SetCloseReason(Box<str>),
    /// Stop reading, flush the output, close with this code, and wait for the peer for a limited time.
    Close(CloseCode),
    /// Drop the socket.
    Abort,
}

/// Action that concerns the service.
#[derive(Debug)]
pub(crate) enum CallOutput {
    /// Call the service with [`Protocol::take_request`](super::Protocol::take_request), when it is ready.
    Start,
    /// Run the futures of a transaction, and pass the result to
    /// [`Protocol::handle_committed`](super::Protocol::handle_committed).
    Commit(CommitFuture),
    /// Drop the call or the futures: they took too long.
    Cancel,
    /// Drop the service, because it was not ready in time. This also ends its wait for a permit, if any.
    DropService,
}
