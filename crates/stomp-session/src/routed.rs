//! The destination of a request, and the route that is remembered for it.

use crate::{destination::Destination, params::Params};
use std::sync::{Arc, OnceLock};

/// A destination that a session has parsed, and the route of the first `SEND` to it.
///
/// The route is not a part of [`Destination`], because it is only of use while a peer sends to one destination again and
/// again.
#[derive(Debug, Default)]
pub(crate) struct Known {
    destination: Destination,
    route: OnceLock<Params>,
}

impl Known {
    pub(crate) fn new(destination: Destination) -> Known {
        Known {
            destination,
            route: OnceLock::new(),
        }
    }

    #[inline]
    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }
}

/// The destination of a request. Clones share the memory of a [`Known`] destination.
#[derive(Debug, Clone)]
pub(crate) enum Target {
    /// A destination whose route is remembered for the next `SEND` to it.
    Known(Arc<Known>),
    /// Any other destination.
    Plain(Destination),
}

impl Target {
    #[inline]
    pub(crate) fn destination(&self) -> &Destination {
        match self {
            Target::Known(known) => &known.destination,
            Target::Plain(destination) => destination,
        }
    }

    /// The route that was remembered first.
    #[inline]
    pub(crate) fn route(&self) -> Option<&Params> {
        match self {
            Target::Known(known) => known.route.get(),
            Target::Plain(_) => None,
        }
    }

    /// Remembers a route for later requests, unless there is one already or the destination is not a known one.
    pub(crate) fn remember_route(&self, params: &Params) {
        if let Target::Known(known) = self {
            known.route.get_or_init(|| params.clone());
        }
    }
}
