//! The handshake requests and their expected responses.
//!
//! Each row of a table contains the status that its value causes. A request combines rows of several tables. The first
//! of these rows whose status is not 101 determines the status of the response, in the order of [`case`].
//!
//! `cargo xtask interop` sends the same requests through proxies.

/// One request and its expected response.
pub(crate) struct Case {
    /// The unique name of the case.
    pub(crate) name: String,
    /// The request, in which `HOST` stands for the server's address.
    pub(crate) request: String,
    /// The expected status from a `Server`, which accepts handshakes on every path.
    pub(crate) standalone: u16,
    /// The expected status from an `Upgrade` that is mounted at `/stomp`.
    pub(crate) mounted: u16,
    /// The expected status from an `Upgrade` behind a proxy, which adds `X-Forwarded-For`. `None` if proxies differ.
    pub(crate) proxied: Option<u16>,
    /// The sub-protocol that the server must select; `None` if it must select none.
    pub(crate) subprotocol: Option<&'static str>,
}

/// A name, a part of the request, and the status that this part causes: 101 if it is valid.
type Row = (&'static str, &'static str, u16);

// A request that consists of these rows is valid.
const PATH: Row = ("path", "/stomp", 101);
const GET: Row = ("GET", "GET", 101);
const KEY: Row = (
    "valid key",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    101,
);
const VERSION: Row = ("version 13", "Sec-WebSocket-Version: 13\r\n", 101);
const NO_ORIGIN: Row = ("no origin", "", 101);

const FOREIGN: Row = ("foreign origin", "Origin: https://evil.example\r\n", 403);

const PATHS: &[Row] = &[
    PATH,
    ("path with query", "/stomp?a=b", 101),
    ("other path", "/elsewhere", 404),
    ("path with slash", "/stomp/", 404),
];

const METHODS: &[Row] = &[
    GET,
    ("HEAD", "HEAD", 405),
    ("POST", "POST", 405),
    ("PUT", "PUT", 405),
];

const KEYS: &[Row] = &[
    KEY,
    ("no key", "", 400),
    ("empty key", "Sec-WebSocket-Key:\r\n", 400),
    ("short key", "Sec-WebSocket-Key: c2hvcnQ=\r\n", 400),
    (
        "key not in Base64",
        "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n",
        400,
    ),
];

const VERSIONS: &[Row] = &[
    VERSION,
    ("version 8", "Sec-WebSocket-Version: 8\r\n", 426),
    ("no version", "", 426),
];

const ORIGINS: &[Row] = &[
    NO_ORIGIN,
    ("same origin", "Origin: http://HOST\r\n", 101),
    (
        "same origin, cookie",
        "Origin: http://HOST\r\nCookie: a=b\r\n",
        101,
    ),
    ("loopback origin", "Origin: http://localhost:5173\r\n", 101),
    ("WebSocket URL as origin", "Origin: ws://HOST\r\n", 101),
    (
        "WebSocket URL as origin, cookie",
        "Origin: wss://HOST\r\nCookie: a=b\r\n",
        101,
    ),
    (
        "foreign WebSocket URL",
        "Origin: wss://evil.example\r\n",
        403,
    ),
    FOREIGN,
    ("null origin", "Origin: null\r\n", 403),
    ("file origin", "Origin: file://\r\n", 403),
    ("cookie without origin", "Cookie: a=b\r\n", 403),
];

/// A name, a part of the request, and the sub-protocol that the server selects.
type Offer = (&'static str, &'static str, Option<&'static str>);

const NO_OFFER: Offer = ("no sub-protocol", "", None);

const SUBPROTOCOLS: &[Offer] = &[
    NO_OFFER,
    (
        "sub-protocol 1.2",
        "Sec-WebSocket-Protocol: v12.stomp\r\n",
        Some("v12.stomp"),
    ),
    (
        "all sub-protocols",
        "Sec-WebSocket-Protocol: v10.stomp, v11.stomp, v12.stomp\r\n",
        Some("v12.stomp"),
    ),
    (
        "sub-protocols in two lines",
        "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: v11.stomp\r\n",
        Some("v11.stomp"),
    ),
    (
        "sub-protocol without a version",
        "Sec-WebSocket-Protocol: stomp\r\n",
        Some("stomp"),
    ),
    (
        "sub-protocols with and without a version",
        "Sec-WebSocket-Protocol: stomp,v11.stomp\r\n",
        Some("v11.stomp"),
    ),
    (
        "sub-protocol beside one not in ASCII",
        "Sec-WebSocket-Protocol: \u{e9}, v12.stomp\r\n",
        Some("v12.stomp"),
    ),
    (
        "unknown sub-protocol",
        "Sec-WebSocket-Protocol: mqtt\r\n",
        None,
    ),
];

/// Changes to a valid request: a name, the line to replace, its replacement, and the status.
const CHANGES: &[(&str, &str, &str, u16)] = &[
    ("HTTP/1.0", " HTTP/1.1\r\n", " HTTP/1.0\r\n", 400),
    ("no Upgrade", "Upgrade: websocket\r\n", "", 426),
    (
        "other Upgrade",
        "Upgrade: websocket\r\n",
        "Upgrade: h2c\r\n",
        426,
    ),
    (
        "Upgrade in capitals",
        "Upgrade: websocket\r\n",
        "Upgrade: WebSocket\r\n",
        101,
    ),
    ("no Connection", "Connection: Upgrade\r\n", "", 426),
    (
        "other Connection",
        "Connection: Upgrade\r\n",
        "Connection: keep-alive\r\n",
        426,
    ),
    (
        "Connection as a list",
        "Connection: Upgrade\r\n",
        "Connection: keep-alive, upgrade\r\n",
        101,
    ),
    ("no Host", "Host: HOST\r\n", "", 400),
    (
        "Content-Length 4",
        "Host: HOST\r\n",
        "Host: HOST\r\nContent-Length: 4\r\n",
        400,
    ),
    (
        "chunked body",
        "Host: HOST\r\n",
        "Host: HOST\r\nTransfer-Encoding: chunked\r\n",
        400,
    ),
    (
        "Content-Length 0",
        "Host: HOST\r\n",
        "Host: HOST\r\nContent-Length: 0\r\n",
        101,
    ),
    (
        "two keys",
        "Host: HOST\r\n",
        "Host: HOST\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
        400,
    ),
    (
        "two versions",
        "Host: HOST\r\n",
        "Host: HOST\r\nSec-WebSocket-Version: 13\r\n",
        400,
    ),
    (
        "two origins",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: http://HOST\r\nOrigin: http://HOST\r\n",
        400,
    ),
    (
        "Origin not in ASCII",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: http://\u{e9}\r\n",
        403,
    ),
    (
        "sub-protocol not in ASCII",
        "Host: HOST\r\n",
        "Host: HOST\r\nSec-WebSocket-Protocol: \u{e9}\r\n",
        101,
    ),
    (
        "Capacitor's origin",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: capacitor://localhost\r\n",
        101,
    ),
    (
        "Ionic's origin",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: ionic://localhost\r\n",
        101,
    ),
    (
        "Tauri's origin",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: tauri://localhost\r\n",
        101,
    ),
    (
        "Tauri's origin with https",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: https://tauri.localhost\r\n",
        101,
    ),
    (
        "browser extension's origin",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: chrome-extension://abcdefgh\r\n",
        403,
    ),
    (
        "sticky cookie without origin",
        "Host: HOST\r\n",
        "Host: HOST\r\nCookie: AWSALB=abc; INGRESSCOOKIE=123\r\n",
        403,
    ),
    (
        "origin of the site, Host of the upstream",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: https://app.example.com\r\nX-Forwarded-Host: app.example.com\r\n",
        403,
    ),
    (
        "Host with the default port",
        "Host: HOST\r\n",
        "Host: 192.0.2.1:80\r\nOrigin: http://192.0.2.1\r\n",
        101,
    ),
    (
        "Host and origin with an address",
        "Host: HOST\r\n",
        "Host: 192.0.2.1:8080\r\nOrigin: http://192.0.2.1:8080\r\n",
        101,
    ),
    (
        "Host with a name, no origin",
        "Host: HOST\r\n",
        "Host: stomp.example.com\r\n",
        101,
    ),
    (
        "Host with a name, WebSocket URL as origin",
        "Host: HOST\r\n",
        "Host: stomp.example.com\r\nOrigin: wss://stomp.example.com\r\n",
        101,
    ),
    (
        "extensions offered in two lines",
        "Host: HOST\r\n",
        "Host: HOST\r\nSec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: b; c=d\r\n",
        101,
    ),
    (
        "extension offered",
        "Host: HOST\r\n",
        "Host: HOST\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        101,
    ),
];

/// Changes to a valid request that a proxy may change again: as in [`CHANGES`], and the status behind a proxy.
const PROXY_DEPENDENT: &[(&str, &str, &str, u16, Option<u16>)] = &[
    // Some proxies forward the first line or the first item of such a list only.
    (
        "Upgrade as a list",
        "Upgrade: websocket\r\n",
        "Upgrade: h2c, websocket\r\n",
        101,
        None,
    ),
    (
        "Connection in two lines",
        "Connection: Upgrade\r\n",
        "Connection: keep-alive\r\nConnection: Upgrade\r\n",
        101,
        None,
    ),
    (
        "Connection in two lines, Upgrade first",
        "Connection: Upgrade\r\n",
        "Connection: Upgrade\r\nConnection: keep-alive\r\n",
        101,
        None,
    ),
    (
        "Upgrade in two lines",
        "Upgrade: websocket\r\n",
        "Upgrade: h2c\r\nUpgrade: websocket\r\n",
        101,
        None,
    ),
    // A page whose name resolves to 127.0.0.1. A proxy is responsible for the names that it forwards.
    (
        "DNS rebinding",
        "Host: HOST\r\n",
        "Host: evil.example:8080\r\nOrigin: http://evil.example:8080\r\n",
        403,
        Some(101),
    ),
    (
        "DNS rebinding, cookie",
        "Host: HOST\r\n",
        "Host: evil.example\r\nOrigin: https://evil.example\r\nCookie: a=b\r\n",
        403,
        Some(101),
    ),
    (
        "X-Forwarded-For",
        "Host: HOST\r\n",
        "Host: example.com\r\nOrigin: https://example.com\r\nX-Forwarded-For: 192.0.2.1\r\n",
        101,
        Some(101),
    ),
    (
        "Forwarded",
        "Host: HOST\r\n",
        "Host: example.com\r\nOrigin: https://example.com\r\nForwarded: for=192.0.2.1\r\n",
        101,
        Some(101),
    ),
    (
        "Via",
        "Host: HOST\r\n",
        "Host: example.com\r\nOrigin: https://example.com\r\nVia: 1.1 proxy\r\n",
        101,
        Some(101),
    ),
    (
        "Host without the port of the origin",
        "Host: HOST\r\n",
        "Host: 192.0.2.1\r\nOrigin: http://192.0.2.1:8080\r\n",
        403,
        Some(101),
    ),
    (
        "Host without the port of the origin, Via",
        "Host: HOST\r\n",
        "Host: 192.0.2.1\r\nOrigin: http://192.0.2.1:8080\r\nVia: 1.1 proxy\r\n",
        101,
        Some(101),
    ),
    // RFC 9112, section 3.2.2: the host of an absolute request target replaces the header Host.
    (
        "absolute target, other Host",
        "GET /stomp HTTP/1.1\r\nHost: HOST\r\n",
        "GET http://HOST/stomp HTTP/1.1\r\nHost: other.example\r\nOrigin: http://HOST\r\n",
        101,
        None,
    ),
    (
        "absolute target of another host",
        "GET /stomp HTTP/1.1\r\n",
        "GET http://evil.example/stomp HTTP/1.1\r\nOrigin: http://HOST\r\n",
        403,
        None,
    ),
    (
        "absolute target with a user",
        "GET /stomp HTTP/1.1\r\n",
        "GET http://HOST@evil.example/stomp HTTP/1.1\r\nOrigin: http://HOST\r\n",
        403,
        None,
    ),
];

/// All combinations to test.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for &path in PATHS {
        for &method in METHODS {
            for &key in KEYS {
                for origin in [NO_ORIGIN, FOREIGN] {
                    let name = [path.0, method.0, key.0, origin.0].join(", ");
                    cases.push(case(name, path, [method, VERSION, key, origin], NO_OFFER));
                }
            }
        }
    }
    for &version in VERSIONS {
        for &origin in ORIGINS {
            for &subprotocol in SUBPROTOCOLS {
                let name = [version.0, origin.0, subprotocol.0].join(", ");
                cases.push(case(name, PATH, [GET, version, KEY, origin], subprotocol));
            }
        }
    }
    let valid = case(
        String::new(),
        PATH,
        [GET, VERSION, KEY, NO_ORIGIN],
        NO_OFFER,
    );
    let everywhere = CHANGES
        .iter()
        .map(|&(name, line, by, status)| (name, line, by, status, Some(status)));
    for (name, line, by, status, proxied) in everywhere.chain(PROXY_DEPENDENT.iter().copied()) {
        assert!(valid.request.contains(line), "{line}");
        let request = valid.request.replacen(line, by, 1);
        cases.push(Case {
            name: name.to_owned(),
            request,
            standalone: status,
            mounted: status,
            proxied,
            subprotocol: None,
        });
    }
    cases
}

fn case(name: String, path: Row, rows: [Row; 4], offer: Offer) -> Case {
    let [method, version, key, origin] = rows;
    let request = format!(
        "{} {} HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{}{}{}{}\r\n",
        method.1, path.1, version.1, key.1, origin.1, offer.1
    );
    let standalone = rows
        .iter()
        .map(|row| row.2)
        .find(|status| *status != 101)
        .unwrap_or(101);
    let mounted = if path.2 == 101 { standalone } else { path.2 };
    Case {
        name,
        request,
        standalone,
        mounted,
        proxied: Some(mounted),
        subprotocol: offer.2.filter(|_| standalone == 101),
    }
}
