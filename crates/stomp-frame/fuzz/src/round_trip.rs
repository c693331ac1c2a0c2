//! Checks that headers reflect all changes to them. Then checks that a frame with these headers either decodes from its
//! encoding unchanged, or cannot be encoded.
//!
//! The input consists of a version, a command, the number of changes to the headers, the changes, and the body. A
//! change is `+`, `=` or `-` for `append`, `insert` or `remove`, then a name and a value.

use stomp_frame::{Frame, Headers};

use super::{choices::Choices, encoding};

/// Checks a frame whose headers were changed.
pub fn check(input: &[u8]) {
    let mut choices = Choices::new(input);
    let (version, command, count) = (choices.version(), choices.command(), choices.count());
    let (mut headers, mut expected) = (Headers::new(), Vec::new());
    for _ in 0..count {
        let kind = choices.byte();
        let header = (choices.text().into_owned(), choices.text().into_owned());
        change(&mut headers, kind, &header);
        change_plainly(&mut expected, kind, header);
    }
    assert!(
        headers
            .iter()
            .eq(expected.iter().map(|(name, value)| (&**name, &**value))),
        "{headers:?}"
    );
    let body = choices.rest().to_vec().into();
    encoding::check(
        &Frame {
            command,
            headers,
            body,
        },
        version,
    );
}

fn change(headers: &mut Headers, kind: u8, (name, value): &(String, String)) {
    let is_present = headers.contains(name);
    match kind {
        b'=' => headers.insert(name, value),
        b'-' => assert_eq!(headers.remove(name), is_present),
        _ => headers.append(name, value),
    }
}

/// Makes the same change to a plain list of names and values, to compare it with the headers.
fn change_plainly(pairs: &mut Vec<(String, String)>, kind: u8, new: (String, String)) {
    let position = pairs.iter().position(|(name, _)| *name == new.0);
    match kind {
        b'=' => {
            let after = pairs.split_off(position.unwrap_or(pairs.len()));
            let others = after
                .into_iter()
                .filter(|(name, _)| *name != new.0)
                .collect::<Vec<_>>();
            pairs.push(new);
            pairs.extend(others);
        }
        b'-' => pairs.retain(|(name, _)| *name != new.0),
        _ => pairs.push(new),
    }
}
