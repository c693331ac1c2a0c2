//! Requests, and what each is answered with: every value of a table says which status it deserves, and a request gets
//! that of its first fault, in the order of the tables.
//!
//! `cargo xtask interop` sends the same through proxies.

/// One request.
pub(crate) struct Case {
    pub(crate) name: String,
    /// With `HOST` where the server's address belongs.
    pub(crate) request: String,
    /// The answer of a server on which every path is a WebSocket's.
    pub(crate) alone: u16,
    /// The answer of one on which `/stomp` is.
    pub(crate) mounted: u16,
    /// The sub-protocol that is chosen.
    pub(crate) subprotocol: Option<&'static str>,
}

/// A name, what it puts into the request, and the status of its fault, or 101.
type Row = (&'static str, &'static str, u16);

/// What a good request consists of.
const HERE: Row = ("here", "/stomp", 101);
const GET: Row = ("GET", "GET", 101);
const KEY: Row = (
    "key",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    101,
);
const VERSION: Row = ("13", "Sec-WebSocket-Version: 13\r\n", 101);
const NO_ORIGIN: Row = ("no origin", "", 101);

const FOREIGN: Row = ("foreign origin", "Origin: https://evil.example\r\n", 403);

const PATHS: &[Row] = &[
    ("here", "/stomp", 101),
    ("query", "/stomp?a=b", 101),
    ("elsewhere", "/elsewhere", 404),
    ("slash", "/stomp/", 404),
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
        "no base64",
        "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n",
        400,
    ),
];

const VERSIONS: &[Row] = &[
    VERSION,
    ("8", "Sec-WebSocket-Version: 8\r\n", 426),
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
    ("on this machine", "Origin: http://localhost:5173\r\n", 101),
    FOREIGN,
    ("no page", "Origin: null\r\n", 403),
    ("a file", "Origin: file://\r\n", 403),
    ("no browser, cookie", "Cookie: a=b\r\n", 403),
];

/// With the sub-protocol that is chosen.
type Offer = (&'static str, &'static str, Option<&'static str>);

const NO_OFFER: Offer = ("none offered", "", None);

const SUBPROTOCOLS: &[Offer] = &[
    NO_OFFER,
    (
        "1.2",
        "Sec-WebSocket-Protocol: v12.stomp\r\n",
        Some("v12.stomp"),
    ),
    (
        "all",
        "Sec-WebSocket-Protocol: v10.stomp, v11.stomp, v12.stomp\r\n",
        Some("v12.stomp"),
    ),
    (
        "two lines",
        "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Protocol: v11.stomp\r\n",
        Some("v11.stomp"),
    ),
    ("unknown", "Sec-WebSocket-Protocol: mqtt\r\n", None),
];

/// Requests that differ from a good one in one line, which is replaced.
const ODDITIES: &[(&str, &str, &str, u16)] = &[
    ("HTTP/1.0", " HTTP/1.1\r\n", " HTTP/1.0\r\n", 400),
    ("no Upgrade", "Upgrade: websocket\r\n", "", 426),
    (
        "another Upgrade",
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
        "another Connection",
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
        "a body",
        "Host: HOST\r\n",
        "Host: HOST\r\nContent-Length: 4\r\n",
        400,
    ),
    (
        "chunks",
        "Host: HOST\r\n",
        "Host: HOST\r\nTransfer-Encoding: chunked\r\n",
        400,
    ),
    (
        "an empty body",
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
        "an origin that is no text",
        "Host: HOST\r\n",
        "Host: HOST\r\nOrigin: http://\u{e9}\r\n",
        403,
    ),
    (
        "a sub-protocol that is no text",
        "Host: HOST\r\n",
        "Host: HOST\r\nSec-WebSocket-Protocol: \u{e9}\r\n",
        101,
    ),
    (
        "an extension",
        "Host: HOST\r\n",
        "Host: HOST\r\nSec-WebSocket-Extensions: permessage-deflate\r\n",
        101,
    ),
];

/// All of them.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for &path in PATHS {
        for &method in METHODS {
            for &key in KEYS {
                for origin in [NO_ORIGIN, FOREIGN] {
                    cases.push(case(path, [method, VERSION, key, origin], NO_OFFER));
                }
            }
        }
    }
    for &version in VERSIONS {
        for &origin in ORIGINS {
            for &subprotocol in SUBPROTOCOLS {
                cases.push(case(HERE, [GET, version, KEY, origin], subprotocol));
            }
        }
    }
    let good = case(HERE, [GET, VERSION, KEY, NO_ORIGIN], NO_OFFER);
    for &(name, line, by, status) in ODDITIES {
        assert!(good.request.contains(line), "{line}");
        let request = good.request.replacen(line, by, 1);
        cases.push(Case {
            name: name.to_owned(),
            request,
            alone: status,
            mounted: status,
            subprotocol: None,
        });
    }
    cases
}

fn case(path: Row, rows: [Row; 4], offer: Offer) -> Case {
    let [method, version, key, origin] = rows;
    let request = format!(
        "{} {} HTTP/1.1\r\nHost: HOST\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{}{}{}{}\r\n",
        method.1, path.1, version.1, key.1, origin.1, offer.1
    );
    let name = format!(
        "{}, {}, {}, {}, {}, {}",
        path.0, method.0, version.0, key.0, origin.0, offer.0
    );
    let alone = rows
        .iter()
        .map(|row| row.2)
        .find(|status| *status != 101)
        .unwrap_or(101);
    let mounted = if path.2 == 101 { alone } else { path.2 };
    Case {
        name,
        request,
        alone,
        mounted,
        subprotocol: offer.2.filter(|_| alone == 101),
    }
}
