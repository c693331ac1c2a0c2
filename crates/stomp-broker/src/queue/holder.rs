//! The clients that share the queues.

use std::net::{IpAddr, Ipv6Addr};
use stomp_session::{Principal, SessionId};

/// The client to which a share of the queues belongs: the best that is known about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// The application itself.
    Application,
    /// All sessions of a principal.
    Principal(Principal),
    /// All sessions without a principal from an IPv4 address, or from an IPv6 /64 network.
    Address(IpAddr),
    /// A session of which no more is known.
    Session(SessionId),
}

impl Holder {
    /// Creates the holder for a request. A request without all of these comes from the application.
    pub(crate) fn new(
        principal: Option<Principal>,
        address: Option<IpAddr>,
        session: Option<SessionId>,
    ) -> Holder {
        match (principal, address, session) {
            (Some(principal), _, _) => Holder::Principal(principal),
            (None, Some(address), _) => Holder::Address(network(address)),
            (None, None, Some(session)) => Holder::Session(session),
            (None, None, None) => Holder::Application,
        }
    }

    /// Returns an equal holder without the roles and the value of a principal. It may be dropped under a lock: the value
    /// may have a foreign destructor.
    pub(super) fn bare(&self) -> Holder {
        match self {
            Holder::Principal(principal) => Holder::Principal(Principal::new(principal.name())),
            other => other.clone(),
        }
    }
}

/// Returns the network that one client usually owns: the address itself, or the /64 network of an IPv6 address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let bits = address.to_bits() >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from_bits(bits))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_addresses_of_one_network_are_one_holder() {
        let holder = |text: &str| Holder::new(None, Some(text.parse().unwrap()), None);
        assert_eq!(holder("2001:db8::1"), holder("2001:db8::ffff:1"));
        assert_ne!(holder("2001:db8::1"), holder("2001:db8:0:1::1"));
        assert_eq!(holder("::ffff:192.0.2.1"), holder("192.0.2.1"));
        assert_ne!(holder("192.0.2.1"), holder("192.0.2.2"));
    }

    #[test]
    fn a_principal_is_one_holder_whatever_its_address() {
        let ann = Some(Principal::new("ann"));
        let at = |text: &str| Holder::new(ann.clone(), Some(text.parse().unwrap()), None);
        assert_eq!(at("192.0.2.1"), at("192.0.2.2").bare());
        assert_eq!(Holder::new(None, None, None), Holder::Application);
    }
}
