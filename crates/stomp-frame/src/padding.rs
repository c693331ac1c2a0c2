//! Spaces around the values of headers, which STOMP 1.0 ignores.

use crate::{
    Command, Headers, Version, header,
    headers::{Entry, find_entry},
};
use std::str;

/// Returns true if spaces around the values of a frame are no part of them. `version` is the version of the stream.
///
/// The examples in the specification of STOMP 1.0 have such spaces, for example `destination: /queue/foo`, and its
/// clients send them. From 1.1 on, "clients and servers MUST never trim or pad headers with spaces". The frames that
/// open a session are read before the version is negotiated, but each of them shows whether it can be 1.0.
pub(crate) fn is_ignored(
    version: Version,
    command: Command,
    head: &[u8],
    entries: &[Entry],
) -> bool {
    let value = |name| {
        let entry = find_entry(head, entries, name)?;
        str::from_utf8(entry.value_bytes(head)).ok()
    };
    version == Version::V1_0
        && match command {
            Command::Connect | Command::Stomp => {
                Version::negotiate(value(header::ACCEPT_VERSION)) == Some(Version::V1_0)
            }
            // A server of STOMP 1.0 sends no version.
            Command::Connected => Version::negotiate(value(header::VERSION)) == Some(Version::V1_0),
            _ => true,
        }
}

/// Removes spaces at both ends.
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ', rest @ ..] | [rest @ .., b' '] = value {
        value = rest;
    }
    value
}

/// Removes the spaces around the values of the headers that `index` locates in `head`. Returns the text that `index`
/// points into from now on: the head, followed by the trimmed headers. `None` if no value has such spaces.
pub(crate) fn trim_headers(head: &str, index: &mut Headers) -> Option<String> {
    let is_padded = |entry: &Entry| {
        let value = entry.value(head);
        value.starts_with(' ') || value.ends_with(' ')
    };
    if !index.entries().iter().any(is_padded) {
        return None;
    }
    let mut text = String::with_capacity(2 * head.len());
    text.push_str(head);
    for entry in index
        .entries_mut()
        .iter_mut()
        .filter(|entry| is_padded(entry))
    {
        let start = text.len();
        text.push_str(entry.name(head));
        let colon = text.len();
        text.push(':');
        text.push_str(entry.value(head).trim_matches(' '));
        *entry = Entry::new(start, colon, text.len());
    }
    Some(text)
}
