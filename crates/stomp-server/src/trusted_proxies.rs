//! The addresses of peers behind reverse proxies.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use stomp_socket::InvalidConfig;

/// The reverse proxies that tell the addresses of their clients truthfully, and the header in which they do.
///
/// If a connection comes from one of these proxies, the header is read from its end: each proxy appends the address of
/// the peer that has connected to it. The first address that is no trusted proxy is that of the client. Everything
/// further to the left may be invented by the client, and is ignored. An entry without an address, such as `unknown`,
/// ends the search: the client then has the address of the last proxy.
///
/// ```
/// use stomp_server::{Config, TrustedProxies};
///
/// # fn main() -> Result<(), stomp_server::InvalidConfig> {
/// let proxies = TrustedProxies::new(["10.0.0.0/8", "::1", "unix:"])?;
/// let config = Config::default().trusted_proxies(proxies);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies {
    networks: Vec<IpNet>,
    /// True if peers without an address are trusted.
    includes_unix: bool,
    header: ForwardedHeader,
}

/// The request header with the addresses of a proxy's clients.
///
/// Only one header is read, because a proxy that writes one of them usually passes the other one on unchanged, with the
/// client's own inventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ForwardedHeader {
    /// `X-Forwarded-For`, which nearly all proxies can write.
    #[default]
    XForwardedFor,
    /// `Forwarded`: RFC 7239.
    Forwarded,
}

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

impl TrustedProxies {
    /// Creates a list of addresses such as `192.0.2.1` and `2001:db8::1`, of networks such as `10.0.0.0/8`, and of
    /// `unix:`, which stands for all peers without an address. The header is `X-Forwarded-For`.
    ///
    /// # Errors
    ///
    /// Returns an error if an entry is none of these.
    pub fn new<T: AsRef<str>>(
        entries: impl IntoIterator<Item = T>,
    ) -> Result<TrustedProxies, InvalidConfig> {
        let mut proxies = TrustedProxies::default();
        for entry in entries {
            let entry = entry.as_ref();
            let network = entry
                .parse()
                .or_else(|_| entry.parse().map(|address: IpAddr| IpNet::from(address)));
            match network {
                _ if entry == "unix:" => proxies.includes_unix = true,
                Ok(network) => proxies.networks.push(canonical(network)),
                Err(_) => {
                    let problem = format!(
                        "has the entry {entry:?}, which is not an IP address, a network such as 10.0.0.0/8, or \"unix:\""
                    );
                    return Err(InvalidConfig::new("trusted_proxies", problem));
                }
            }
        }
        Ok(proxies)
    }

    /// Sets the header that the proxies write. They must write it in every request.
    #[must_use]
    pub fn header(mut self, header: ForwardedHeader) -> TrustedProxies {
        self.header = header;
        self
    }

    /// Returns true if a peer with this address is a trusted proxy.
    pub(crate) fn contain(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => {
                let address = address.to_canonical();
                self.networks
                    .iter()
                    .any(|network| network.contains(&address))
            }
            None => self.includes_unix,
        }
    }

    /// Returns the address of the client that sent a request. `peer` is the address of the connection.
    pub(crate) fn client(
        &self,
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
    ) -> Option<SocketAddr> {
        if !self.contain(peer.map(|peer| peer.ip())) {
            return peer;
        }
        let name = match self.header {
            ForwardedHeader::XForwardedFor => X_FORWARDED_FOR,
            ForwardedHeader::Forwarded => header::FORWARDED,
        };
        let lines: Vec<&HeaderValue> = headers.get_all(name).iter().collect();
        let mut client = peer;
        for line in lines.into_iter().rev() {
            for element in self.header.elements_from_the_end(line.as_bytes()) {
                let element = std::str::from_utf8(element).ok();
                let node = match self.header {
                    ForwardedHeader::XForwardedFor => element,
                    ForwardedHeader::Forwarded => element.and_then(for_parameter),
                };
                let Some(address) = node.and_then(parse_node) else {
                    return client;
                };
                client = Some(address);
                if !self.contain(Some(address.ip())) {
                    return client;
                }
            }
        }
        client
    }
}

impl ForwardedHeader {
    /// The elements of one line, the last one first.
    ///
    /// A line is read from its end, because proxies append to what the client has sent. So a quote or any other byte of
    /// the client cannot change how the elements of the proxies are read.
    fn elements_from_the_end(self, line: &[u8]) -> Vec<&[u8]> {
        match self {
            ForwardedHeader::XForwardedFor => line.rsplit(|byte| *byte == b',').collect(),
            ForwardedHeader::Forwarded => rsplit_unquoted(line, b','),
        }
    }
}

/// Returns the IPv4 network for one that is mapped to IPv6, such as `::ffff:10.0.0.0/104`. Addresses are compared in this
/// form.
fn canonical(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let address = network.addr().to_canonical();
    let bits = match (network, address) {
        (IpNet::V6(_), IpAddr::V4(_)) => network.prefix_len().checked_sub(MAPPED_BITS),
        _ => None,
    };
    bits.and_then(|bits| IpNet::new(address, bits).ok())
        .unwrap_or(network)
}

/// Splits text at each separator that is not in a quoted string. The last part is the first one in the result.
fn rsplit_unquoted(text: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut parts, mut rest, mut is_quoted) = (Vec::new(), text, false);
    for (at, byte) in text.iter().enumerate().rev() {
        if *byte == b'"' {
            let (before, _) = text.split_at(at);
            // In a quoted string, a quote after a backslash belongs to the string.
            is_quoted = !is_quoted || before.ends_with(b"\\");
        } else if *byte == separator && !is_quoted {
            let (before, part) = rest.split_at(at);
            parts.push(part.get(1..).unwrap_or_default());
            rest = before;
        }
    }
    parts.push(rest);
    parts
}

/// The value of the parameter `for` in an element of `Forwarded`. Its name is not case-sensitive.
fn for_parameter(element: &str) -> Option<&str> {
    let pairs = rsplit_unquoted(element.as_bytes(), b';');
    pairs.into_iter().find_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })
}

/// Parses an address with or without a port, in quotes or not. An IPv6 address may be in brackets, and must be if a port
/// follows. A missing port is 0.
fn parse_node(node: &str) -> Option<SocketAddr> {
    let node = node.trim();
    let node = node
        .strip_prefix('"')
        .and_then(|node| node.strip_suffix('"'))
        .unwrap_or(node);
    let node = match node.split_once(":_") {
        Some((host, port)) if is_obfuscated(port) => host,
        _ => node,
    };
    let literal = node
        .strip_prefix('[')
        .and_then(|node| node.strip_suffix(']'))
        .unwrap_or(node);
    let address = match literal.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, 0),
        Err(_) => node.parse().ok()?,
    };
    Some(SocketAddr::new(address.ip().to_canonical(), address.port()))
}

/// Returns true for the part after the `_` of an obfuscated port, such as `_http` (RFC 7239, section 6.3).
fn is_obfuscated(port: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !port.is_empty() && port.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing helper fails the test")]

    use super::*;
    use ForwardedHeader::{Forwarded, XForwardedFor};

    const PROXIES: [&str; 3] = ["10.0.0.0/8", "2001:db8:aaaa::/48", "192.0.2.1"];

    fn client(header: ForwardedHeader, peer: &str, lines: &[&str]) -> String {
        let proxies = TrustedProxies::new(PROXIES).unwrap().header(header);
        let mut headers = HeaderMap::new();
        for line in lines {
            let name = match header {
                XForwardedFor => "x-forwarded-for",
                Forwarded => "forwarded",
            };
            headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        // The other header must have no effect.
        match header {
            XForwardedFor => headers.append("forwarded", HeaderValue::from_static("for=9.9.9.9")),
            Forwarded => headers.append("x-forwarded-for", HeaderValue::from_static("9.9.9.9")),
        };
        let peer = Some(SocketAddr::new(peer.parse().unwrap(), 1));
        proxies.client(peer, &headers).unwrap().to_string()
    }

    /// The header, the address of the connection, the header's lines, and the expected address of the client.
    const CASES: &[(ForwardedHeader, &str, &[&str], &str)] = &[
        // The peer is no proxy, so its headers do not count.
        (XForwardedFor, "203.0.113.9", &["1.1.1.1"], "203.0.113.9:1"),
        (Forwarded, "203.0.113.9", &["for=1.1.1.1"], "203.0.113.9:1"),
        // No header.
        (XForwardedFor, "10.0.0.1", &[], "10.0.0.1:1"),
        (Forwarded, "10.0.0.1", &[], "10.0.0.1:1"),
        // One and several proxies.
        (XForwardedFor, "10.0.0.1", &["1.1.1.1"], "1.1.1.1:0"),
        (XForwardedFor, "192.0.2.1", &["1.1.1.1"], "1.1.1.1:0"),
        (XForwardedFor, "192.0.2.2", &["1.1.1.1"], "192.0.2.2:1"),
        (
            XForwardedFor,
            "10.0.0.1",
            &["6.6.6.6, 1.1.1.1"],
            "1.1.1.1:0",
        ),
        (
            XForwardedFor,
            "10.0.0.1",
            &["6.6.6.6,1.1.1.1 ,10.1.2.3"],
            "1.1.1.1:0",
        ),
        (
            XForwardedFor,
            "10.0.0.1",
            &["10.2.2.2, 10.1.2.3"],
            "10.2.2.2:0",
        ),
        // Several lines are one list.
        (
            XForwardedFor,
            "10.0.0.1",
            &["6.6.6.6", "1.1.1.1", "10.1.2.3"],
            "1.1.1.1:0",
        ),
        (
            Forwarded,
            "10.0.0.1",
            &["for=6.6.6.6", "for=1.1.1.1", "for=10.1.2.3"],
            "1.1.1.1:0",
        ),
        // Ports, IPv6 and quotes.
        (XForwardedFor, "10.0.0.1", &["1.1.1.1:5000"], "1.1.1.1:5000"),
        (
            XForwardedFor,
            "10.0.0.1",
            &["2001:db8::7"],
            "[2001:db8::7]:0",
        ),
        (
            XForwardedFor,
            "10.0.0.1",
            &["[2001:db8::7]"],
            "[2001:db8::7]:0",
        ),
        (
            XForwardedFor,
            "10.0.0.1",
            &["\"[2001:db8::7]:443\""],
            "[2001:db8::7]:443",
        ),
        (XForwardedFor, "10.0.0.1", &["::ffff:1.1.1.1"], "1.1.1.1:0"),
        (XForwardedFor, "::ffff:10.0.0.1", &["1.1.1.1"], "1.1.1.1:0"),
        (
            XForwardedFor,
            "2001:db8:aaaa::1",
            &["1.1.1.1, ::ffff:10.9.9.9"],
            "1.1.1.1:0",
        ),
        (Forwarded, "10.0.0.1", &["for=1.1.1.1:80"], "1.1.1.1:80"),
        (
            Forwarded,
            "10.0.0.1",
            &["For=\"[2001:db8::7]:4711\""],
            "[2001:db8::7]:4711",
        ),
        (
            Forwarded,
            "10.0.0.1",
            &["for=\"[2001:db8::7]\""],
            "[2001:db8::7]:0",
        ),
        (
            Forwarded,
            "10.0.0.1",
            &["for=\"1.1.1.1:_http\""],
            "1.1.1.1:0",
        ),
        (
            Forwarded,
            "10.0.0.1",
            &[
                "for=6.6.6.6;by=\"a,b;for=7.7.7.7\", proto=https; FOR=\"1.1.1.1\" ;host=\"x\\\",for=8.8.8.8\"",
            ],
            "1.1.1.1:0",
        ),
        // Entries without an address: the nearest known proxy is the client.
        (
            XForwardedFor,
            "10.0.0.1",
            &["1.1.1.1, unknown"],
            "10.0.0.1:1",
        ),
        (
            XForwardedFor,
            "10.0.0.1",
            &["1.1.1.1, unknown, 10.1.2.3"],
            "10.1.2.3:0",
        ),
        (XForwardedFor, "10.0.0.1", &["1.1.1.1,"], "10.0.0.1:1"),
        (
            XForwardedFor,
            "10.0.0.1",
            &["1.1.1.1, \u{e9}"],
            "10.0.0.1:1",
        ),
        (
            Forwarded,
            "10.0.0.1",
            &["for=1.1.1.1, for=_hidden"],
            "10.0.0.1:1",
        ),
        (
            Forwarded,
            "10.0.0.1",
            &["for=1.1.1.1, proto=https"],
            "10.0.0.1:1",
        ),
        (Forwarded, "10.0.0.1", &["for=\"1.1.1.1"], "10.0.0.1:1"),
    ];

    /// Texts that a client may send, to which its proxy appends.
    const INVENTED: [&str; 14] = [
        "\"",
        "6.6.6.6:_\"",
        "6.6.6.6:_",
        "for=6.6.6.6:_\"",
        "for=\"6.6.6.6:_",
        "for=\"6.6.6.6",
        "for=\"6.6.6.6\\",
        "for=\"6.6.6.6\\\"",
        "for=6.6.6.6;by=\"",
        "for=6.6.6.6;\\",
        "[6.6.6.6",
        "\u{e9}",
        ",",
        "",
    ];

    #[test]
    fn nothing_that_a_client_sends_changes_what_its_proxy_appends() {
        for invented in INVENTED {
            for (header, appended) in [
                (XForwardedFor, "1.1.1.1"),
                (XForwardedFor, "1.1.1.1, 10.1.2.3"),
                (Forwarded, "for=1.1.1.1"),
                (Forwarded, "for=\"1.1.1.1\""),
                (Forwarded, "for=\"1.1.1.1:_x\";host=\"a,\\\"b\";proto=http"),
                (Forwarded, "host=\"\";for=1.1.1.1,for=\"10.1.2.3\""),
            ] {
                for separator in [", ", ","] {
                    let line = format!("{invented}{separator}{appended}");
                    assert_eq!(client(header, "10.0.0.1", &[&line]), "1.1.1.1:0", "{line}");
                }
            }
        }
    }

    #[test]
    fn an_entry_may_be_an_ipv4_address_that_is_mapped_to_ipv6() {
        for entry in ["::ffff:10.0.0.1", "::ffff:10.0.0.0/120", "10.0.0.1"] {
            let proxies = TrustedProxies::new([entry]).unwrap();
            for (address, expected) in [
                ("10.0.0.1", true),
                ("::ffff:10.0.0.1", true),
                ("10.1.0.1", false),
                ("::1", false),
            ] {
                let address = Some(address.parse().unwrap());
                assert_eq!(proxies.contain(address), expected, "{entry} {address:?}");
            }
        }
    }

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy_is_the_clients() {
        for (header, peer, lines, expected) in CASES {
            assert_eq!(client(*header, peer, lines), *expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn peers_without_an_address_are_proxies_only_if_the_list_says_so() {
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("1.1.1.1"));
        let unix = TrustedProxies::new(["unix:"]).unwrap();
        assert_eq!(
            unix.client(None, &headers),
            Some("1.1.1.1:0".parse().unwrap())
        );
        let tcp = TrustedProxies::new(["10.0.0.1"]).unwrap();
        assert_eq!(tcp.client(None, &headers), None);
    }

    #[test]
    fn entries_are_addresses_or_networks() {
        for entry in ["localhost", "10.0.0.0/33", "", "10.0.0.1:80", "unix"] {
            let error = TrustedProxies::new([entry]).unwrap_err();
            assert_eq!(error.setting(), "trusted_proxies");
            assert!(error.to_string().contains(&format!("{entry:?}")), "{error}");
        }
    }
}
