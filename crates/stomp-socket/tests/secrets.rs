//! Tests that secrets in a peer's request do not appear in `Debug` output, and therefore not in logs.

use http::Request;
use stomp_socket::{Config, Peer, Socket};

#[test]
fn debug_omits_headers_extensions_and_the_query() {
    let request = Request::get("/chat?access_token=secret-1")
        .header("cookie", "sid=secret-2")
        .header("authorization", "Bearer secret-3")
        .extension("secret-4");
    let (head, ()) = request.body(()).unwrap().into_parts();
    let peer = Peer::from_address("192.0.2.1:5000".parse().unwrap()).with_request(head);
    let (ours, _theirs) = tokio::io::duplex(64);
    let shown = [
        format!("{peer:?}"),
        format!(
            "{:?}",
            Socket::over_byte_stream(ours, peer, &Config::default())
        ),
    ];
    for shown in shown {
        assert!(!shown.contains("secret"), "{shown}");
        assert!(
            shown.contains("/chat") && shown.contains("192.0.2.1"),
            "{shown}"
        );
    }
}
