//! Which web pages may connect.
//!
//! Browsers let any page open a WebSocket to any server, cookies included, and tell the server which page it is in the
//! `Origin` header. It is the server that has to look at it.

use http::{HeaderMap, Uri, header, uri::Authority};
use std::{fmt, sync::Arc};

/// Which web pages may connect. Clients that are no browsers send no `Origin` and are not concerned, unless they send
/// cookies.
///
/// ```
/// use stomp_server::Origins;
///
/// let list = Origins::List(vec!["https://example.com".to_owned()]);
/// let ours = Origins::matching(|origin, _| origin.ends_with(".example.com"));
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum Origins {
    /// Pages from the host and port that they connect to. And, as long as a server is addressed as `localhost` or a
    /// loopback address, pages from any port there: a front end's development server.
    #[default]
    SameOrigin,
    /// These, written as browsers send them: `https://example.com`, `http://localhost:5173`.
    List(Vec<String>),
    /// Those for which a function says so: see [`Origins::matching`].
    #[expect(
        clippy::type_complexity,
        reason = "it is made by a function that takes a closure"
    )]
    Matching(Arc<dyn Fn(&str, &HeaderMap) -> bool + Send + Sync>),
    /// All. Only for servers that give any visitor the same, whoever is logged in.
    Any,
}

impl Origins {
    /// Those for which `allows` says so. It is given the origin, written as in [`Origins::List`], and all headers of
    /// the request.
    ///
    /// Compare whole hosts: `https://evil-example.com` ends with `example.com` too.
    pub fn matching(allows: impl Fn(&str, &HeaderMap) -> bool + Send + Sync + 'static) -> Origins {
        Origins::Matching(Arc::new(allows))
    }

    /// Whether a request with these headers may be upgraded.
    pub(crate) fn allow(&self, headers: &HeaderMap) -> bool {
        let Some(origin) = headers.get(header::ORIGIN) else {
            return !headers.contains_key(header::COOKIE) || matches!(self, Origins::Any);
        };
        let Ok(origin) = origin.to_str() else {
            return false;
        };
        match self {
            Origins::Any => true,
            Origins::List(known) => known.iter().any(|known| known.eq_ignore_ascii_case(origin)),
            Origins::Matching(allows) => allows(origin, headers),
            Origins::SameOrigin => headers
                .get(header::HOST)
                .and_then(|host| host.to_str().ok()?.parse::<Authority>().ok())
                .is_some_and(|host| is_same(origin, &host)),
        }
    }
}

impl fmt::Debug for Origins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origins::SameOrigin => f.write_str("SameOrigin"),
            Origins::List(known) => f.debug_tuple("List").field(known).finish(),
            Origins::Matching(_) => f.write_str("Matching"),
            Origins::Any => f.write_str("Any"),
        }
    }
}

/// Whether a page from `origin` was served by `host`, or both are on this machine.
///
/// The scheme is not compared: behind a proxy that ends TLS, a server does not know its own.
fn is_same(origin: &str, host: &Authority) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let (Some(scheme), Some(page)) = (origin.scheme_str(), origin.authority()) else {
        return false;
    };
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return false,
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(default);
    let is_same = page.host().eq_ignore_ascii_case(host.host()) && port(page) == port(host);
    is_same || (is_loopback(page.host()) && is_loopback(host.host()))
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(origins: &Origins, origin: Option<&str>, host: &str, cookie: bool) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        if cookie {
            headers.insert(header::COOKIE, "a=b".parse().unwrap());
        }
        origins.allow(&headers)
    }

    #[test]
    fn pages_of_the_same_host_and_port() {
        let same =
            |origin: &str, host: &str| allows(&Origins::SameOrigin, Some(origin), host, true);
        assert!(same("https://example.com", "example.com"));
        assert!(same("https://example.com", "Example.com:443"));
        assert!(same("http://example.com:8080", "example.com:8080"));
        assert!(!same("https://example.com", "example.com:8443"));
        assert!(!same("https://example.com.evil.org", "example.com"));
        assert!(!same("https://evil.org", "example.com"));
        assert!(!same("file://example.com", "example.com"));
        assert!(!same("null", "example.com"));
        assert!(!same("", "example.com"));
    }

    #[test]
    fn on_this_machine_ports_do_not_matter() {
        let same =
            |origin: &str, host: &str| allows(&Origins::SameOrigin, Some(origin), host, false);
        assert!(same("http://localhost:5173", "localhost:8080"));
        assert!(same("http://localhost:5173", "127.0.0.1:8080"));
        assert!(same("http://[::1]:5173", "[::1]:8080"));
        // A name that an attacker makes point to this machine is still not this machine's.
        assert!(!same("http://evil.org:5173", "localhost:8080"));
        assert!(!same("http://localhost:5173", "evil.org:8080"));
        assert!(!same("http://localhost.evil.org", "localhost:8080"));
    }

    #[test]
    fn listed_pages_and_all() {
        let list = Origins::List(vec!["https://example.com".to_owned()]);
        assert!(allows(
            &list,
            Some("https://example.com"),
            "api.example.com",
            true
        ));
        assert!(!allows(
            &list,
            Some("https://other.com"),
            "api.example.com",
            true
        ));
        let ours = Origins::matching(|origin, headers| {
            origin.ends_with(".example.com") && headers.contains_key("host")
        });
        assert!(allows(
            &ours,
            Some("https://shop.example.com"),
            "api.example.com",
            true
        ));
        assert!(!allows(
            &ours,
            Some("https://shop.example.org"),
            "api.example.com",
            true
        ));
        assert!(!allows(&ours, None, "api.example.com", true));
        assert!(allows(&Origins::Any, Some("null"), "api.example.com", true));
    }

    #[test]
    fn clients_that_are_no_browsers() {
        assert!(allows(&Origins::SameOrigin, None, "example.com", false));
        assert!(!allows(&Origins::SameOrigin, None, "example.com", true));
    }
}
