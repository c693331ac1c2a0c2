//! Checks the answer to any HTTP head.
//!
//! The input consists of a byte for the settings, and the lines of a head.

use std::net::IpAddr;

use super::{
    exchange::{LISTED, NAME, Settings, exchange},
    head::Head,
};

/// Checks that a head is answered the same however its lists are split and its names are written, that the answer
/// reflects no control bytes, and that no foreign page is accepted.
pub fn check(input: &[u8]) {
    let (first, rest) = input.split_first().unwrap_or((&b'0', &[]));
    let (settings, head) = (Settings::from_byte(*first), Head::new(rest));
    let answer = exchange(settings, &head.to_bytes());

    let is_text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\r' | b'\n');
    assert!(answer.0.iter().all(is_text), "{}", answer.0.escape_ascii());
    let body = answer.body();
    let lines = body.iter().filter(|byte| **byte == b'\n').count();
    let line = body.strip_suffix(b"\n").unwrap_or_default();
    assert!(
        body.is_empty() || (lines == 1 && !line.contains(&b'\r')),
        "{}",
        body.escape_ascii()
    );

    for same in [head.split(), Some(head.with_other_names())]
        .into_iter()
        .flatten()
    {
        let other = exchange(settings, &same.to_bytes());
        assert_eq!(
            answer.0.escape_ascii().to_string(),
            other.0.escape_ascii().to_string(),
            "{same:?}"
        );
    }
    if answer.status() == 101 {
        check_accepted(settings, &head);
    }
}

/// Checks that the page of an accepted request may connect.
fn check_accepted(settings: Settings, head: &Head) {
    let [host] = *head.values("host") else {
        panic!("accepted without one Host: {head:?}")
    };
    // The server ignores the Host of a request with an absolute target: RFC 9112, section 3.2.2.
    let host = head.target_host().unwrap_or(host);
    let origin = match *head.values("origin") {
        [] => {
            assert!(head.values("cookie").is_empty(), "accepted: {head:?}");
            return;
        }
        [origin] => origin.to_ascii_lowercase(),
        _ => panic!("accepted with two origins: {head:?}"),
    };
    if settings.has_list && origin == LISTED.as_bytes() {
        return;
    }
    let (origin, host) = (String::from_utf8(origin), std::str::from_utf8(host));
    let (Ok(origin), Ok(host)) = (origin, host) else {
        panic!("accepted with an Origin or a Host outside of ASCII: {head:?}")
    };
    let Some((scheme, page)) = origin.split_once("://") else {
        panic!("accepted an Origin without a scheme: {head:?}")
    };
    let (page, host) = (without_port(page), without_port(host).to_ascii_lowercase());
    let are_local = is_loopback(page) && is_loopback(&host);
    match scheme {
        "ws" | "wss" => assert_eq!(page, host, "{head:?}"),
        "capacitor" | "ionic" | "tauri" => assert!(are_local, "{head:?}"),
        "http" | "https" => {
            assert!(
                page == host || are_local,
                "accepted a foreign page: {head:?}"
            );
            let is_forwarded = ["forwarded", "x-forwarded-for", "via"]
                .iter()
                .any(|name| !head.values(name).is_empty());
            let is_known = is_loopback(&host)
                || address(&host).is_some()
                || (settings.has_name && host == NAME);
            let is_checked = (settings.is_local || settings.has_name) && !is_forwarded;
            assert!(is_known || !is_checked, "accepted a rebound name: {head:?}");
        }
        _ => panic!("accepted a foreign scheme: {head:?}"),
    }
}

fn without_port(authority: &str) -> &str {
    match authority.find(']') {
        Some(end) => authority.get(..=end).unwrap_or(authority),
        None => authority.split(':').next().unwrap_or(authority),
    }
}

fn is_loopback(host: &str) -> bool {
    let labels = host.trim_end_matches('.');
    labels == "localhost"
        || labels.ends_with(".localhost")
        || address(host).is_some_and(|address| address.to_canonical().is_loopback())
}

fn address(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}
