//! Tests of two nodes of one engine.

pub(super) mod queues;
pub(super) mod settings;
pub(super) mod topics;
