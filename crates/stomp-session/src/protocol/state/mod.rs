//! Tables of a conversation. They know neither the protocol's phases nor its outputs.

pub(super) mod heart_beats;
pub(super) mod in_flight;
pub(super) mod subscriptions;
pub(super) mod timers;
pub(super) mod transactions;
pub(super) mod unacked;
