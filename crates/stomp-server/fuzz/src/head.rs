//! Reads and changes HTTP heads, in the plainest way.

use std::fmt;

/// A head: the request line, then the header lines, without line ends.
#[derive(Clone)]
pub(crate) struct Head(Vec<Vec<u8>>);

/// The headers whose values are comma-separated lists.
const LISTS: [&str; 7] = [
    "connection",
    "upgrade",
    "sec-websocket-protocol",
    "sec-websocket-extensions",
    "forwarded",
    "x-forwarded-for",
    "via",
];

/// Maximum lines of a head that is split. hyper refuses heads of more than 100 headers.
const MAX_LINES: usize = 90;

impl Head {
    /// Reads the lines of `input` up to the first empty line.
    pub(crate) fn new(input: &[u8]) -> Head {
        let lines = input
            .split(|byte| *byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .take_while(|line| !line.is_empty());
        Head(lines.map(<[u8]>::to_vec).collect())
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.0.join(&b"\r\n"[..]);
        bytes.extend(b"\r\n\r\n");
        bytes
    }

    /// The values of all lines of a header, without the spaces around them.
    pub(crate) fn values(&self, name: &str) -> Vec<&[u8]> {
        let headers = self.0.iter().skip(1).filter_map(|line| field(line));
        headers
            .filter(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.trim_ascii())
            .collect()
    }

    /// The host and the port in an absolute request target.
    pub(crate) fn target_host(&self) -> Option<&[u8]> {
        let target = self.0.first()?.split(|byte| *byte == b' ').nth(1)?;
        let start = target.windows(3).position(|three| three == b"://")? + 3;
        // A `://` in the path or the query belongs to no absolute target.
        let is_absolute = target.first().is_some_and(u8::is_ascii_alphabetic);
        let rest = target.get(start..).filter(|_| is_absolute)?;
        rest.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next()
    }

    /// The same head with a line for each item of a list. Returns `None` if there are too many.
    pub(crate) fn split(&self) -> Option<Head> {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for (index, line) in self.0.iter().enumerate() {
            match field(line).filter(|(name, _)| index > 0 && is_list(name)) {
                Some((name, value)) => {
                    let items = value.split(|byte| *byte == b',');
                    lines.extend(items.map(|item| [name, b":", item].concat()));
                }
                None => lines.push(line.clone()),
            }
        }
        (lines.len() <= MAX_LINES).then_some(Head(lines))
    }

    /// The same head with the names of its headers in other cases.
    pub(crate) fn with_other_names(&self) -> Head {
        let change = |(index, line): (usize, &Vec<u8>)| match field(line) {
            Some((name, value)) if index > 0 => {
                let name: Vec<u8> = name
                    .iter()
                    .map(|byte| match byte {
                        byte if byte.is_ascii_lowercase() => byte.to_ascii_uppercase(),
                        byte => byte.to_ascii_lowercase(),
                    })
                    .collect();
                [&name, &b":"[..], value].concat()
            }
            _ => line.clone(),
        };
        Head(self.0.iter().enumerate().map(change).collect())
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_bytes().escape_ascii().to_string())
    }
}

fn is_list(name: &[u8]) -> bool {
    LISTS
        .iter()
        .any(|list| name.eq_ignore_ascii_case(list.as_bytes()))
}

/// The name and the value of a header line.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line.get(..colon)?, line.get(colon + 1..)?))
}
