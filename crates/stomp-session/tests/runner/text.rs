//! The notation of frames in conversations.

use std::{collections::BTreeMap, iter};
use stomp_frame::{Command, Frame, Headers};

/// Values that the server has chosen, such as the ids of messages, under the names that the conversation gives to them.
///
/// The first `header:@name` in an expected frame stands for any value that has no other name yet. From then on, `@name`
/// is this value.
#[derive(Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// Returns true if the name is that of this value, or now becomes its name.
    fn fits(&mut self, name: &str, value: &str) -> bool {
        if let Some(known) = self.0.get(name) {
            return known == value;
        }
        let is_free = !value.is_empty() && !self.0.values().any(|known| known == value);
        if is_free {
            self.0.insert(name.to_owned(), value.to_owned());
        }
        is_free
    }

    /// Replaces a name at the beginning of `text` by its value.
    fn resolve(&self, text: &str) -> Result<String, String> {
        let Some(named) = text.strip_prefix('@') else {
            return Ok(text.to_owned());
        };
        let end = named.find(|letter: char| !letter.is_ascii_alphanumeric());
        let (name, rest) = named.split_at(end.unwrap_or(named.len()));
        let value = self.0.get(name).ok_or(format!("@{name} has no value"))?;
        Ok(format!("{value}{rest}"))
    }

    /// Replaces all names that have values.
    pub(crate) fn resolve_all(&self, text: &str) -> String {
        let replace = |text: String, (name, value): (&String, &String)| {
            text.replace(&format!("@{name}"), value)
        };
        self.0.iter().fold(text.to_owned(), replace)
    }
}

/// A frame that a step expects.
pub(crate) struct Expected {
    command: Command,
    /// Names of headers, and the requirement for each.
    headers: Vec<(String, Value)>,
    body: Option<Vec<u8>>,
}

enum Value {
    Is(String),
    /// The header must occur once, with the value of this name: `name:@name`.
    Named(String),
    /// The header must occur once, with any value: `name:*`.
    Any,
    /// The header must not occur: `-name`.
    Missing,
}

impl Expected {
    pub(crate) fn parse(text: &str) -> Result<Expected, String> {
        let Written {
            command,
            words,
            body,
        } = Written::parse(text)?;
        let header = |word: &str| match (word.split_once(':'), word.strip_prefix('-')) {
            (Some((name, "*")), _) => Ok((unescaped(name), Value::Any)),
            (Some((name, value)), _) => Ok((
                unescaped(name),
                match value.strip_prefix('@') {
                    Some(named) => Value::Named(named.to_owned()),
                    None => Value::Is(unescaped(value)),
                },
            )),
            (None, Some(name)) => Ok((unescaped(name), Value::Missing)),
            (None, None) => Err(format!("{word:?} is not a header")),
        };
        let headers = words.into_iter().map(header).collect::<Result<_, _>>()?;
        Ok(Expected {
            command,
            headers,
            body,
        })
    }

    /// Returns true if a frame is the expected one.
    pub(crate) fn fits(
        &self,
        command: Command,
        headers: &Headers,
        body: &[u8],
        names: &mut Names,
    ) -> bool {
        let mut fits = |(name, expected): &(String, Value)| {
            let found: Vec<_> = headers
                .iter()
                .filter(|(found, _)| found == name)
                .map(|(_, value)| value)
                .collect();
            match (expected, &found[..]) {
                (Value::Missing, []) => true,
                (Value::Any, [found]) => !found.is_empty(),
                (Value::Is(expected), [found]) => expected == found,
                (Value::Named(name), [found]) => names.fits(name, found),
                _ => false,
            }
        };
        command == self.command
            && self.headers.iter().all(&mut fits)
            && self.body.as_ref().is_none_or(|expected| expected == body)
    }
}

/// Parses a frame in the notation `COMMAND name:value … | body`.
pub(crate) fn frame(text: &str, names: &Names) -> Result<Frame, String> {
    let Written {
        command,
        words,
        body,
    } = Written::parse(text)?;
    let header = |word: &str| {
        let (name, value) = word
            .split_once(':')
            .ok_or_else(|| format!("{word:?} is not a header"))?;
        Ok((unescaped(name), unescaped(&names.resolve(value)?)))
    };
    let headers: Vec<_> = words
        .into_iter()
        .map(header)
        .collect::<Result<_, String>>()?;
    Ok(Frame {
        command,
        headers: headers.into_iter().collect(),
        body: body.unwrap_or_default().into(),
    })
}

/// The parts of a text `COMMAND word … | body`.
struct Written<'a> {
    command: Command,
    words: Vec<&'a str>,
    body: Option<Vec<u8>>,
}

impl<'a> Written<'a> {
    fn parse(text: &'a str) -> Result<Written<'a>, String> {
        let (head, body) = match text.split_once(" |") {
            Some((head, body)) => (head, Some(unescape(body.strip_prefix(' ').unwrap_or(body)))),
            None => (text, None),
        };
        let mut words = head.split(' ');
        let command = words.next().unwrap_or_default();
        let command = Command::from_bytes(command.as_bytes())
            .ok_or_else(|| format!("{command:?} is not a command"))?;
        Ok(Written {
            command,
            words: words.collect(),
            body,
        })
    }
}

/// Undoes the escapes of a text that is UTF-8.
pub(crate) fn unescaped(text: &str) -> String {
    String::from_utf8(unescape(text)).expect("the text is UTF-8")
}

/// Undoes escapes: `\n`, `\r`, `\0`, `\s` for a space, `\c` for a colon, `\\`, `\xff` for any byte, and `\{9}` for nine
/// times an `x`. Any other backslash stands for itself.
pub(crate) fn unescape(mut text: &str) -> Vec<u8> {
    const ESCAPES: [(&str, u8); 6] = [
        ("\\n", b'\n'),
        ("\\r", b'\r'),
        ("\\0", 0),
        ("\\s", b' '),
        ("\\c", b':'),
        ("\\\\", b'\\'),
    ];
    let mut bytes = Vec::new();
    while let Some(first) = text.chars().next() {
        if let Some((escape, byte)) = ESCAPES.iter().find(|(escape, _)| text.starts_with(escape)) {
            bytes.push(*byte);
            text = &text[escape.len()..];
        } else if let Some((number, rest)) = text
            .strip_prefix("\\{")
            .and_then(|rest| rest.split_once('}'))
        {
            bytes.extend(iter::repeat_n(
                b'x',
                number.parse().expect("the braces hold a count"),
            ));
            text = rest;
        } else if let Some(rest) = text.strip_prefix("\\x") {
            bytes.push(u8::from_str_radix(&rest[..2], 16).expect("two hexadecimal digits"));
            text = &rest[2..];
        } else {
            bytes.extend(first.to_string().bytes());
            text = &text[first.len_utf8()..];
        }
    }
    bytes
}
