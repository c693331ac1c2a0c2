//! Tables of a conversation. They do not depend on the protocol's phases and outputs.

pub(super) mod heart_beats;
pub(super) mod in_flight;
pub(super) mod message_ids;
pub(super) mod own_requests;
pub(super) mod subscriptions;
pub(super) mod timers;
pub(super) mod transactions;
pub(super) mod unacked;
