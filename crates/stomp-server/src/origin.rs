//! Checks the `Origin` header.
//!
//! A browser lets any page open a WebSocket to any server, and sends the server's cookies with it. The browser names
//! the page's origin in the `Origin` header, which the server must check.

use http::{HeaderMap, Uri, header, uri::Authority};
use std::{fmt, sync::Arc};
use stomp_socket::InvalidConfig;

/// The web pages that may connect.
///
/// Clients other than browsers usually send no `Origin`. Requests without an `Origin` are allowed unless they have
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
    /// Pages from the same host and port as the server. If the server is addressed as `localhost` or by a loopback
    /// address, also pages from any port of `localhost` or a loopback address, such as a front end's development
    /// server.
    ///
    /// Schemes are not compared, because a server behind a TLS proxy does not know its own scheme.
    #[default]
    SameOrigin,
    /// Pages from these origins, in the form that browsers send: `https://example.com`, `http://localhost:5173`.
    List(Vec<String>),
    /// Pages that a function allows: see [`Origins::matching`].
    #[expect(
        clippy::type_complexity,
        reason = "`Origins::matching` constructs it from a closure"
    )]
    Matching(Arc<dyn Fn(&str, &HeaderMap) -> bool + Send + Sync>),
    /// Pages from any origin, and requests with cookies but without an `Origin`. Safe only if no response depends on
    /// cookies.
    Any,
}

impl Origins {
    /// Allows pages for which `allows` returns true. `allows` receives the origin, such as `https://example.com`, and
    /// all headers of the request.
    ///
    /// Compare whole host names: `https://evil-example.com` also ends with `example.com`.
    pub fn matching(allows: impl Fn(&str, &HeaderMap) -> bool + Send + Sync + 'static) -> Origins {
        Origins::Matching(Arc::new(allows))
    }

    /// Checks that browsers can send each entry of [`Origins::List`].
    pub(crate) fn validate(&self) -> Result<(), InvalidConfig> {
        let Origins::List(entries) = self else {
            return Ok(());
        };
        for entry in entries {
            if let Some(problem) = problem_of(entry) {
                return Err(InvalidConfig::new(
                    "origins",
                    format!("contains {entry:?}, which never matches: it {problem}"),
                ));
            }
        }
        Ok(())
    }

    /// Returns true if a request with these headers may be upgraded.
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

/// The reason why no browser sends this entry of [`Origins::List`]; `None` if a browser may send it.
fn problem_of(entry: &str) -> Option<&'static str> {
    let Some((scheme, host)) = entry.split_once("://") else {
        // Browsers send `null` for pages without an origin, such as sandboxed frames.
        return (!entry.eq_ignore_ascii_case("null")).then_some("has no scheme such as `https://`");
    };
    let has_default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => host.ends_with(":80"),
        "https" => host.ends_with(":443"),
        _ => false,
    };
    if host.contains('*') {
        Some("has a `*`, but entries are compared literally: use `Origins::matching`")
    } else if host.contains(['/', '?', '#', '@']) {
        Some("has more than a scheme, a host and a port")
    } else if !host.bytes().all(|byte| byte.is_ascii_graphic()) {
        Some("has a host that is not ASCII: browsers send it in Punycode")
    } else if has_default_port {
        Some("has the default port of its scheme, which browsers omit")
    } else {
        None
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

/// Returns true if `origin` has the same host and port as `host`, or if both are loopback hosts.
///
/// Schemes are not compared, because a server behind a TLS proxy does not know its own scheme.
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
    fn same_origin_allows_only_the_same_host_and_port() {
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
    fn same_origin_ignores_ports_between_loopback_hosts() {
        let same =
            |origin: &str, host: &str| allows(&Origins::SameOrigin, Some(origin), host, false);
        assert!(same("http://localhost:5173", "localhost:8080"));
        assert!(same("http://localhost:5173", "127.0.0.1:8080"));
        assert!(same("http://[::1]:5173", "[::1]:8080"));
        // Other names do not count as loopback hosts, even if an attacker makes them resolve to a loopback address.
        assert!(!same("http://evil.org:5173", "localhost:8080"));
        assert!(!same("http://localhost:5173", "evil.org:8080"));
        assert!(!same("http://localhost.evil.org", "localhost:8080"));
    }

    #[test]
    fn list_matching_and_any_allow_exactly_the_pages_that_they_describe() {
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
    fn validate_reports_entries_that_no_browser_sends() {
        let validate = |entry: &str| Origins::List(vec![entry.to_owned()]).validate();
        for entry in [
            "https://example.com",
            "HTTP://localhost:5173",
            "http://[::1]:8080",
            "https://example.com:80",
            "chrome-extension://abcdef",
            "file://",
            "null",
        ] {
            assert_eq!(validate(entry), Ok(()));
        }
        for (entry, problem) in [
            ("example.com", "no scheme"),
            ("*", "no scheme"),
            ("", "no scheme"),
            ("https://*.example.com", "compared literally"),
            ("https://example.com/", "more than a scheme"),
            ("https://user@example.com", "more than a scheme"),
            ("https://b\u{fc}cher.example", "Punycode"),
            ("https://example.com:443", "default port"),
            ("http://example.com:80", "default port"),
        ] {
            let error = validate(entry).unwrap_err().to_string();
            let start = format!("origins contains {entry:?}, which never matches: it has ");
            assert!(
                error.starts_with(&start) && error.contains(problem),
                "{error}"
            );
        }
    }

    #[test]
    fn requests_without_an_origin_are_allowed_unless_they_have_cookies() {
        assert!(allows(&Origins::SameOrigin, None, "example.com", false));
        assert!(!allows(&Origins::SameOrigin, None, "example.com", true));
    }
}
