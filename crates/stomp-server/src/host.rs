//! Host names in the headers `Host` and `Origin`.

use http::{HeaderMap, header, uri::Authority};
use std::net::IpAddr;
use stomp_socket::InvalidConfig;

/// Reads the `Host` of a request; `None` if it is missing or not a host and a port.
pub(crate) fn host_of(headers: &HeaderMap) -> Option<Authority> {
    parse(headers.get(header::HOST)?.to_str().ok()?)
}

/// Reads a host and a port. Unlike other authorities, these have no user, so that `localhost@evil.example` is nobody's
/// host.
pub(crate) fn parse(text: &str) -> Option<Authority> {
    text.parse().ok().filter(|_| !text.contains('@'))
}

/// Returns true if `host` is a loopback address, `localhost`, or a name below it (RFC 6761, section 6.3). No page from
/// elsewhere has such an origin.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = without_root(host);
    let (parent, name) = host
        .rsplit_once('.')
        .map_or((None, host), |(parent, name)| (Some(parent), name));
    name.eq_ignore_ascii_case("localhost") && parent != Some("")
        || address_of(host).is_some_and(|address| address.is_loopback())
}

/// Returns true if no attacker can make `host` resolve to an address of its choice: it is an address or a loopback
/// name, or one of the server's names.
///
/// DNS rebinding: a page of `attacker.example` makes this name resolve to 127.0.0.1 and connects to its own `Host`, which
/// is this server. Its `Origin` and the `Host` are then equal, and both foreign.
pub(crate) fn is_trusted(host: &str, names: &[String]) -> bool {
    is_loopback(host)
        || address_of(host).is_some()
        || names
            .iter()
            .any(|name| without_root(name).eq_ignore_ascii_case(without_root(host)))
}

/// Removes the dot behind a name, which stands for the root of all names.
fn without_root(host: &str) -> &str {
    host.strip_suffix('.').unwrap_or(host)
}

/// Returns true if a proxy has forwarded the request: it has a header that no web page can set. The proxy is then
/// responsible for the names that it serves.
pub(crate) fn is_forwarded(headers: &HeaderMap) -> bool {
    [
        header::FORWARDED.as_str(),
        "x-forwarded-for",
        header::VIA.as_str(),
    ]
    .into_iter()
    .any(|name| headers.contains_key(name))
}

/// Checks that each entry of `Config::hosts` is the host of a `Host` header.
pub(crate) fn validate(hosts: &[String]) -> Result<(), InvalidConfig> {
    let is_host = |entry: &String| {
        entry
            .parse::<Authority>()
            .is_ok_and(|host| host.host() == entry.as_str())
    };
    match hosts.iter().find(|entry| !is_host(entry)) {
        Some(entry) => Err(InvalidConfig::new(
            "hosts",
            format!(
                "contains {entry:?}, which is no host: write it without a scheme and a port, like `example.com`"
            ),
        )),
        None => Ok(()),
    }
}

/// The address that `host` denotes; `None` if it is a name.
fn address_of(host: &str) -> Option<IpAddr> {
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    literal
        .parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_hosts_are_addresses_and_names_below_localhost() {
        for host in [
            "localhost",
            "LocalHost",
            "localhost.",
            "tauri.localhost",
            "127.0.0.1",
            "127.1.2.3",
            "[::1]",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            ".localhost",
            "localhost.example",
            "notlocalhost",
            "127.0.0.1.example",
            "128.0.0.1",
            "[::2]",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn only_addresses_loopback_names_and_listed_names_are_trusted() {
        let names = ["stomp.example.com".to_owned()];
        assert!(is_trusted("a.example", &["a.example.".to_owned()]));
        for host in [
            "192.0.2.1",
            "[2001:db8::1]",
            "localhost",
            "STOMP.example.com",
            "stomp.example.com.",
        ] {
            assert!(is_trusted(host, &names), "{host}");
        }
        for host in ["example.com", "a.stomp.example.com", "192.0.2.1.example"] {
            assert!(!is_trusted(host, &names), "{host}");
        }
    }

    #[test]
    fn validate_reports_entries_that_are_no_hosts() {
        let validate = |entry: &str| validate(&[entry.to_owned()]);
        for entry in ["example.com", "devbox", "192.0.2.1", "[::1]"] {
            assert_eq!(validate(entry), Ok(()));
        }
        for entry in [
            "",
            "example.com:80",
            "http://example.com",
            "a/b",
            "user@a",
            "*.a b",
        ] {
            let error = validate(entry).unwrap_err().to_string();
            assert!(
                error.starts_with(&format!("hosts contains {entry:?}, ")),
                "{error}"
            );
        }
    }
}
