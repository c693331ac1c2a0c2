//! Checks the `Origin` header.
//!
//! A browser lets any page open a WebSocket to any server, and sends the server's cookies with it. The browser names
//! the page's origin in the `Origin` header, which the server must check.

use crate::host;
use http::{HeaderMap, header, uri::Authority};
use std::{fmt, sync::Arc};
use stomp_socket::InvalidConfig;

/// The web pages that may connect.
///
/// Clients other than browsers usually send no `Origin`. Requests without an `Origin` are allowed unless they have
/// cookies. Some native clients send the URL that they connect to, such as `wss://example.com`. If it names the `Host` of
/// the request, it is allowed: no page has such an origin.
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
    /// server, and apps in a web view: `capacitor://localhost`, `ionic://localhost`, `tauri://localhost`.
    ///
    /// Schemes are not compared, because a server behind a TLS proxy does not know its own scheme. If the `Host` has no
    /// port, and a header shows that a proxy has forwarded the request, ports are not compared either: some proxies
    /// remove the port.
    ///
    /// The `Host` must also be a name of this server: see [`Config::hosts`](crate::Config::hosts).
    #[default]
    SameOrigin,
    /// Pages that [`Origins::SameOrigin`] allows, and pages from these origins, in the form that browsers send:
    /// `https://example.com`, `http://localhost:5173`, `capacitor://localhost`.
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

/// The reason why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The request has a `Cookie` but no `Origin`.
    CookieWithoutOrigin,
    /// The `Origin` is not allowed for the `Host`.
    Origin,
    /// The `Origin` names the `Host`, but an attacker may have chosen both.
    Host,
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

    /// Checks if a request with these headers may be upgraded.
    ///
    /// `hosts` is [`Config::hosts`](crate::Config::hosts); `is_local` is true if the peer has a loopback address.
    pub(crate) fn check(
        &self,
        headers: &HeaderMap,
        hosts: &[String],
        is_local: bool,
    ) -> Result<(), Denial> {
        let Some(origin) = headers.get(header::ORIGIN) else {
            let is_denied = headers.contains_key(header::COOKIE) && !matches!(self, Origins::Any);
            return deny_if(is_denied, Denial::CookieWithoutOrigin);
        };
        let origin = origin.to_str().map_err(|_| Denial::Origin)?;
        let (page, host) = (Page::parse(origin), host::host_of(headers));
        let is_forwarded = host::is_forwarded(headers);
        let same = page
            .zip(host)
            .filter(|(page, host)| page.is_at(host, is_forwarded));
        match (self, same) {
            (_, Some((page, _))) if page.is_native() => Ok(()),
            (Origins::Any, _) => Ok(()),
            (Origins::Matching(allows), _) => deny_if(!allows(origin, headers), Denial::Origin),
            (Origins::List(known), _) if known.iter().any(|it| it.eq_ignore_ascii_case(origin)) => {
                Ok(())
            }
            (Origins::SameOrigin | Origins::List(_), Some((_, host))) => {
                let is_checked = (is_local || !hosts.is_empty()) && !is_forwarded;
                deny_if(
                    is_checked && !host::is_trusted(host.host(), hosts),
                    Denial::Host,
                )
            }
            (Origins::SameOrigin | Origins::List(_), None) => Err(Denial::Origin),
        }
    }
}

fn deny_if(is_denied: bool, denial: Denial) -> Result<(), Denial> {
    if is_denied { Err(denial) } else { Ok(()) }
}

/// The parts of an `Origin`.
struct Page {
    scheme: Scheme,
    authority: Authority,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    /// `ws` or `wss`, of a client that sends its URL as the origin. Pages have no such origin.
    Ws,
    Wss,
    /// An app in a web view, whose pages are in the app.
    WebView,
}

impl Page {
    /// Returns `None` if this rule allows no such origin anywhere.
    fn parse(origin: &str) -> Option<Page> {
        let (scheme, authority) = origin.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ws" => Scheme::Ws,
            "wss" => Scheme::Wss,
            "capacitor" | "ionic" | "tauri" => Scheme::WebView,
            _ => return None,
        };
        let authority = host::parse(authority)?;
        Some(Page { scheme, authority })
    }

    fn is_native(&self) -> bool {
        matches!(self.scheme, Scheme::Ws | Scheme::Wss)
    }

    /// Returns true if this page, or the URL of a native client, is at the same host and port as the server, or if both
    /// are on this machine.
    fn is_at(&self, server: &Authority, is_forwarded: bool) -> bool {
        let (ours, theirs) = (server.host(), self.authority.host());
        let default = match self.scheme {
            Scheme::Http | Scheme::Ws => 80,
            Scheme::Https | Scheme::Wss => 443,
            Scheme::WebView => return host::is_loopback(theirs) && host::is_loopback(ours),
        };
        let port = self.authority.port_u16().unwrap_or(default);
        let has_same_port = match server.port_u16() {
            Some(ours) => ours == port,
            None => port == default || is_forwarded,
        };
        (ours.eq_ignore_ascii_case(theirs) && has_same_port)
            || (!self.is_native() && host::is_loopback(theirs) && host::is_loopback(ours))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn request(host: &str, lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        for (name, value) in lines {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// Returns true if a request from elsewhere is allowed.
    fn allows(origins: &Origins, origin: Option<&str>, host: &str, cookie: bool) -> bool {
        let mut lines: Vec<_> = origin
            .map(|origin| ("origin", origin))
            .into_iter()
            .collect();
        lines.extend(cookie.then_some(("cookie", "a=b")));
        origins.check(&request(host, &lines), &[], false).is_ok()
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
            Some("https://api.example.com"),
            "api.example.com",
            true
        ));
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
        let headers = request("example.com", &[("cookie", "a=b")]);
        assert_eq!(
            Origins::SameOrigin.check(&headers, &[], false),
            Err(Denial::CookieWithoutOrigin)
        );
        assert_eq!(Origins::Any.check(&headers, &[], false), Ok(()));
    }

    #[test]
    fn the_websocket_url_of_the_server_is_allowed_as_an_origin() {
        let refuse = Origins::matching(|_, _| false);
        let list = Origins::List(vec!["https://example.com".to_owned()]);
        for origins in [&Origins::SameOrigin, &list, &refuse, &Origins::Any] {
            for (origin, host) in [
                ("ws://stomp.example.com", "stomp.example.com"),
                ("wss://stomp.example.com", "Stomp.example.com:443"),
                ("WSS://stomp.example.com:8443", "stomp.example.com:8443"),
                ("ws://[::1]:8080", "[::1]:8080"),
            ] {
                assert!(allows(origins, Some(origin), host, true), "{origin} {host}");
            }
        }
        for (origin, host) in [
            ("ws://evil.org", "stomp.example.com"),
            ("ws://stomp.example.com:81", "stomp.example.com"),
            ("ws://user@stomp.example.com", "stomp.example.com"),
            ("ws://stomp.example.com/", "stomp.example.com"),
            ("ws://localhost:1", "localhost:2"),
        ] {
            let is_allowed = allows(&Origins::SameOrigin, Some(origin), host, false);
            assert!(!is_allowed, "{origin} {host}");
        }
    }

    #[test]
    fn apps_in_a_web_view_may_connect_to_a_loopback_host() {
        for origin in [
            "capacitor://localhost",
            "ionic://localhost",
            "tauri://localhost",
            "https://tauri.localhost",
            "https://localhost",
        ] {
            let same = |host| allows(&Origins::SameOrigin, Some(origin), host, false);
            assert!(same("127.0.0.1:8080"), "{origin}");
            assert!(same("localhost:8080"), "{origin}");
            assert!(!same("example.com"), "{origin}");
            let list = Origins::List(vec![origin.to_owned()]);
            assert!(
                allows(&list, Some(origin), "example.com", false),
                "{origin}"
            );
        }
        for origin in [
            "file://",
            "null",
            "capacitor://evil.org",
            "chrome-extension://abc",
        ] {
            let same = |host| allows(&Origins::SameOrigin, Some(origin), host, false);
            assert!(!same("127.0.0.1:8080") && !same("evil.org"), "{origin}");
        }
    }

    #[test]
    fn a_host_without_a_port_matches_every_port_only_behind_a_proxy() {
        for (origin, is_allowed) in [
            ("https://example.com:8443", true),
            ("https://example.com", true),
            ("https://example.org:8443", false),
        ] {
            for proxy in [
                ("x-forwarded-for", "192.0.2.1"),
                ("via", "1.1 a"),
                ("forwarded", "for=a"),
            ] {
                let headers = request("example.com", &[("origin", origin), proxy]);
                let result = Origins::SameOrigin.check(&headers, &[], false);
                assert_eq!(result.is_ok(), is_allowed, "{origin} {proxy:?}");
            }
        }
        assert!(!allows(
            &Origins::SameOrigin,
            Some("https://example.com:8443"),
            "example.com",
            false
        ));
    }

    #[test]
    fn a_page_that_made_its_own_name_point_to_this_machine_is_refused() {
        let check = |host: &str, hosts: &[&str], is_local, lines: &[(&'static str, &str)]| {
            let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
            Origins::SameOrigin.check(&request(host, lines), &hosts, is_local)
        };
        let page = ("origin", "http://evil.org:8080");
        assert_eq!(
            check("evil.org:8080", &[], true, &[page]),
            Err(Denial::Host)
        );
        assert_eq!(
            check("evil.org:8080", &["example.com"], false, &[page]),
            Err(Denial::Host)
        );
        let list = Origins::List(vec!["https://example.com".to_owned()]);
        assert_eq!(
            list.check(&request("evil.org:8080", &[page]), &[], true),
            Err(Denial::Host)
        );
        // The name is not local, is known, or comes from a proxy; or the client is no page.
        assert_eq!(check("evil.org:8080", &[], false, &[page]), Ok(()));
        assert_eq!(check("evil.org:8080", &["Evil.org"], true, &[page]), Ok(()));
        assert_eq!(
            check("evil.org:8080", &[], true, &[page, ("via", "1.1 a")]),
            Ok(())
        );
        assert_eq!(check("evil.org:8080", &["example.com"], true, &[]), Ok(()));
        assert_eq!(
            check(
                "evil.org:8080",
                &[],
                true,
                &[("origin", "ws://evil.org:8080")]
            ),
            Ok(())
        );
        for host in [
            "localhost:8080",
            "127.0.0.1:8080",
            "192.0.2.1:8080",
            "[::1]:8080",
        ] {
            let origin = format!("http://{host}");
            assert_eq!(
                check(host, &[], true, &[("origin", &origin)]),
                Ok(()),
                "{host}"
            );
        }
    }
}
