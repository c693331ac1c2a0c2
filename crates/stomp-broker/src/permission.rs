//! The permission to send, which a session may use again.

use crate::Address;
use stomp_session::{Destination, Request, SessionId};

/// The permission of a session to send to a destination.
///
/// If it is lasting, it holds for later requests with an [identical](Destination::is_identical) destination too. All that
/// decides about it is fixed then: the rules, the settings, and the principal of a session, which is set at most once.
pub(crate) struct SendPermission {
    session: SessionId,
    has_principal: bool,
    /// The destination as the session parsed it.
    destination: Destination,
    /// The address to which the session may send.
    pub(crate) to: Address,
    /// False if something decided that may decide otherwise the next time: a function of the application, or the
    /// temporary queues that exist.
    is_lasting: bool,
}

impl SendPermission {
    /// Creates the permission for a request. `destination` is that of the request, in memory that it does not share.
    pub(crate) fn new(
        request: &Request,
        destination: Destination,
        to: Address,
        is_lasting: bool,
    ) -> SendPermission {
        SendPermission {
            session: request.session().id(),
            has_principal: request.principal().is_some(),
            destination,
            to,
            is_lasting,
        }
    }

    /// Returns true if the permission holds for a later request.
    pub(crate) fn holds_for(&self, request: &Request) -> bool {
        self.is_lasting
            && self.destination.is_identical(request.destination())
            && self.session == request.session().id()
            && self.has_principal == request.principal().is_some()
    }
}
