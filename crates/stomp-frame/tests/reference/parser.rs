//! The reference decoder, see [`parse`].

use stomp_frame::{
    DecodeErrorKind as Kind, Limits,
    Version::{self, V1_0, V1_2},
};

/// The result of parsing a stream.
#[derive(Debug, Default)]
pub(crate) struct Parsed {
    pub(crate) frames: Vec<PlainFrame>,
    /// All errors in the bytes after `frames`.
    pub(crate) errors: Vec<Kind>,
    /// The `receipt` header of the frame with the errors.
    pub(crate) receipt: Option<String>,
    /// True if a decoder must fail now. If false, it may report the errors later, when the last frame is complete.
    pub(crate) must_fail: bool,
}

/// A frame that consists of types of the standard library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlainFrame {
    pub(crate) command: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

/// Parses a whole stream: frames with any number of EOLs between them.
pub(crate) fn parse(version: Version, limits: &Limits, bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let mut rest = bytes;
    loop {
        while rest.starts_with(b"\n") || rest.starts_with(b"\r\n") {
            rest = if rest[0] == b'\n' {
                &rest[1..]
            } else {
                &rest[2..]
            };
        }
        match parse_frame(version, limits, rest, &mut parsed) {
            Some(length) => rest = &rest[length..],
            None => return parsed,
        }
    }
}

/// Parses the first frame of `bytes`, and returns its length; `None` if it has errors or is incomplete.
///
/// frame = command EOL *( header EOL ) EOL *OCTET NULL
fn parse_frame(
    version: Version,
    limits: &Limits,
    bytes: &[u8],
    parsed: &mut Parsed,
) -> Option<usize> {
    let head = Head::parse(bytes);
    parsed.errors = head.errors(version, limits);
    parsed.receipt = head.receipt(version);
    let Some(body_start) = head.end else {
        parsed.must_fail = parsed
            .errors
            .iter()
            .any(|kind| kind.is_limit() || *kind == Kind::NulInHead);
        return None;
    };
    parsed.must_fail = !parsed.errors.is_empty();
    if parsed.must_fail {
        return None;
    }

    let rest = &bytes[body_start..];
    let is_body_allowed = matches!(head.command(), b"SEND" | b"MESSAGE" | b"ERROR");
    let has_no_body = !is_body_allowed && rest.first().is_none_or(|byte| *byte == 0);
    let announced = head
        .first("content-length")
        .map(|digits| number(&head.trimmed(version, digits)).unwrap());
    let nul = rest.iter().position(|byte| *byte == 0);
    let length = match announced {
        _ if has_no_body => 0,
        Some(announced) => announced,
        None => nul.unwrap_or(rest.len()),
    };
    let is_body_ignored = version == V1_0 && head.command() == b"SUBSCRIBE";
    if !has_no_body && !is_body_allowed && !is_body_ignored {
        parsed.errors.push(Kind::UnexpectedBody);
    }
    if body_start + length + 1 > limits.max_frame_bytes {
        parsed
            .errors
            .push(Kind::FrameTooLong(limits.max_frame_bytes));
        parsed.must_fail = true;
    }
    if rest.get(length).is_some_and(|byte| *byte != 0) {
        parsed.errors.push(Kind::MissingNul);
    }
    let headers = head.texts(version, &mut parsed.errors);
    if rest.len() <= length {
        return None;
    }
    parsed.must_fail = !parsed.errors.is_empty();
    if parsed.must_fail {
        return None;
    }
    let body = &rest[..if is_body_allowed { length } else { 0 }];
    let is_dropped =
        |name: &str| name == "content-length" && !is_body_allowed && announced > Some(0);
    parsed.frames.push(PlainFrame {
        command: String::from_utf8(head.command().to_vec()).unwrap(),
        headers: headers?
            .into_iter()
            .filter(|(name, _)| !is_dropped(name))
            .collect(),
        body: body.to_vec(),
    });
    Some(body_start + length + 1)
}

/// The lines of a head, without their EOLs.
#[derive(Debug, Default)]
struct Head {
    /// The complete lines, except the empty line.
    lines: Vec<Vec<u8>>,
    /// The last line, if it is incomplete.
    last: Vec<u8>,
    /// The position of the end of the input, of the end of the head, or of a NUL: whichever is first.
    length: usize,
    /// The position of the body, if the head is complete.
    end: Option<usize>,
    has_nul: bool,
}

impl Head {
    /// Splits `bytes` into lines, up to the end of the head. The end of a line is `EOL = [CR] LF`.
    fn parse(bytes: &[u8]) -> Head {
        let mut head = Head::default();
        for byte in bytes {
            if *byte == 0 {
                head.has_nul = true;
                break;
            }
            head.length += 1;
            if *byte != b'\n' {
                head.last.push(*byte);
                continue;
            }
            let line = without_cr(&std::mem::take(&mut head.last));
            if line.is_empty() {
                head.end = Some(head.length);
                break;
            }
            head.lines.push(line);
        }
        head.last = without_cr(&head.last);
        head
    }

    /// The command, or the bytes of the command that have arrived.
    fn command(&self) -> &[u8] {
        self.lines.first().unwrap_or(&self.last)
    }

    /// The names and values of all complete headers: `header = header-name ":" header-value`.
    fn headers(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let split = |line: &Vec<u8>| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            Some((line[..colon].to_vec(), line[colon + 1..].to_vec()))
        };
        self.lines.iter().skip(1).filter_map(split).collect()
    }

    /// The value of the first header named `name`.
    fn first(&self, name: &str) -> Option<Vec<u8>> {
        self.headers()
            .into_iter()
            .find(|header| header.0 == name.as_bytes())
            .map(|(_, value)| value)
    }

    /// The value of the `receipt` header. That of a malformed `CONNECT` is not trimmed.
    fn receipt(&self, version: Version) -> Option<String> {
        let text = self.text(version, self.first("receipt")?).ok()?;
        Some(match self.command() {
            b"CONNECT" | b"STOMP" | b"CONNECTED" => text,
            _ if version == V1_0 => text.trim_matches(' ').to_owned(),
            _ => text,
        })
    }

    /// Finds all errors except those of the encoding and the escapes.
    fn errors(&self, version: Version, limits: &Limits) -> Vec<Kind> {
        let mut errors = Vec::new();
        let mut check = |is_error: bool, kind: Kind| errors.extend(is_error.then_some(kind));
        let is_command = |word: &&str| match self.lines.first() {
            Some(command) => command == word.as_bytes(),
            None => word.as_bytes().starts_with(&self.last),
        };
        check(!COMMANDS.iter().any(is_command), Kind::UnknownCommand);
        check(self.has_nul, Kind::NulInHead);
        check(
            self.lines.iter().any(|line| line.contains(&b'\r')),
            Kind::BareCarriageReturn,
        );
        let headers = self.lines.get(1..).unwrap_or_default();
        check(
            headers.iter().any(|line| line[0] == b':'),
            Kind::EmptyHeaderName,
        );
        check(
            headers.iter().any(|line| !line.contains(&b':')),
            Kind::MissingColon,
        );
        let length = self.first("content-length");
        check(
            length.is_some_and(|digits| number(&self.trimmed(version, digits)).is_none()),
            Kind::InvalidContentLength,
        );

        // An incomplete line counts as a header, unless it may still become the empty line.
        let last = if self.lines.is_empty() {
            0
        } else {
            self.last.len()
        };
        check(
            headers.len() + usize::from(last > 0) > limits.max_headers,
            Kind::TooManyHeaders(limits.max_headers),
        );
        let longest = headers.iter().map(Vec::len).max().unwrap_or(0).max(last);
        check(
            longest > limits.max_line_bytes,
            Kind::LineTooLong(limits.max_line_bytes),
        );
        // An incomplete head needs at least one more LF, and the frame needs a NUL.
        let length = if self.end.is_some() {
            self.length
        } else {
            self.length + 1
        };
        check(
            length > limits.max_head_bytes,
            Kind::HeadTooLong(limits.max_head_bytes),
        );
        check(
            length + 1 > limits.max_frame_bytes,
            Kind::FrameTooLong(limits.max_frame_bytes),
        );
        errors
    }

    /// The headers as text. If their encoding or escapes are invalid, returns `None` and adds the errors to `errors`.
    fn texts(&self, version: Version, errors: &mut Vec<Kind>) -> Option<Vec<(String, String)>> {
        let mut text = |bytes| {
            self.text(version, bytes)
                .map_err(|kind| errors.push(kind))
                .ok()
        };
        let texts: Vec<_> = self
            .headers()
            .into_iter()
            .map(|(name, value)| (text(name), text(self.trimmed(version, value))))
            .collect();
        texts
            .into_iter()
            .map(|(name, value)| name.zip(value))
            .collect()
    }

    /// Removes the spaces around a value in STOMP 1.0.
    fn trimmed(&self, version: Version, value: Vec<u8>) -> Vec<u8> {
        let named = |name| Some(String::from_utf8_lossy(&self.first(name)?).into_owned());
        let is_1_0 = |list: Option<String>| Version::negotiate(list.as_deref()) == Some(V1_0);
        let is_trimmed = version == V1_0
            && match self.command() {
                b"CONNECT" | b"STOMP" => is_1_0(named("accept-version")),
                b"CONNECTED" => is_1_0(named("version")),
                _ => true,
            };
        let is_text = |byte: &u8| *byte != b' ';
        match (
            value.iter().position(is_text),
            value.iter().rposition(is_text),
        ) {
            _ if !is_trimmed => value,
            (Some(start), Some(end)) => value[start..=end].to_vec(),
            _ => Vec::new(),
        }
    }

    /// Unescapes a name or a value.
    fn text(&self, version: Version, bytes: Vec<u8>) -> Result<String, Kind> {
        let is_escaped =
            version != V1_0 && !matches!(self.command(), b"CONNECT" | b"STOMP" | b"CONNECTED");
        let text = String::from_utf8(bytes).map_err(|_| Kind::NotUtf8)?;
        if is_escaped {
            unescape(version, &text).ok_or(Kind::UndefinedEscape)
        } else {
            Ok(text)
        }
    }
}

fn without_cr(line: &[u8]) -> Vec<u8> {
    line.strip_suffix(b"\r").unwrap_or(line).to_vec()
}

/// Parses a `content-length`: one to ten digits.
fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 10 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    String::from_utf8(digits.to_vec()).unwrap().parse().ok()
}

/// Unescapes text; `None` if an escape is undefined.
///
/// "When decoding frame headers, the following transformations MUST be applied"
fn unescape(version: Version, text: &str) -> Option<String> {
    let mut plain = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            plain.push(character);
            continue;
        }
        match characters.next() {
            Some('r') if version == V1_2 => plain.push('\r'),
            Some('n') => plain.push('\n'),
            Some('c') => plain.push(':'),
            Some('\\') => plain.push('\\'),
            _ => return None,
        }
    }
    Some(plain)
}

/// All commands: `command = client-command | server-command`.
pub(crate) const COMMANDS: [&str; 15] = [
    "SEND",
    "SUBSCRIBE",
    "UNSUBSCRIBE",
    "BEGIN",
    "COMMIT",
    "ABORT",
    "ACK",
    "NACK",
    "DISCONNECT",
    "CONNECT",
    "STOMP",
    "CONNECTED",
    "MESSAGE",
    "RECEIPT",
    "ERROR",
];
