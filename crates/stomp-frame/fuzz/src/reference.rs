//! A second codec to compare with, which is simple instead of fast.

use stomp_frame::{Command, Frame, Headers, Version};

/// Parses exactly one frame; `None` if it is invalid. EOLs before and after the frame are allowed.
pub(crate) fn frame(bytes: &[u8], version: Version) -> Option<Frame> {
    let (lines, rest) = head(bytes);
    let (command, mut headers) = parse_lines(&lines, version)?;
    let mut length = match headers.get("content-length") {
        Some(value) => content_length(value)?,
        None => rest.iter().position(|byte| *byte == 0)?,
    };
    if !command.allows_body() {
        // A NUL after the head ends a frame that cannot have a body.
        if length > 0 {
            headers.remove("content-length");
        }
        if rest.first() == Some(&0) {
            length = 0;
        }
    }
    let (body, end) = rest.split_at_checked(length)?;
    let (lines_after, rest_after) = head(end.strip_prefix(b"\0")?);
    // STOMP 1.0: "The body of the SUBSCRIBE command is ignored."
    let body = if version == Version::V1_0 && command == Command::Subscribe {
        b""
    } else {
        body
    };
    let is_valid = body.is_empty() || command.allows_body();
    (is_valid && lines_after.is_empty() && rest_after.is_empty()).then(|| Frame {
        command,
        headers,
        body: body.to_vec().into(),
    })
}

/// Skips EOLs, and splits the following head into its lines, without their EOLs. Also returns the bytes after the head.
pub(crate) fn head(mut bytes: &[u8]) -> (Vec<&[u8]>, &[u8]) {
    let mut lines = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let (line, rest) = bytes.split_at(end);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        bytes = rest.strip_prefix(b"\n").unwrap_or(rest);
        match (line.is_empty(), lines.is_empty()) {
            (false, _) => lines.push(line),
            (true, true) => {}
            (true, false) => break,
        }
    }
    (lines, bytes)
}

/// Parses the lines of a head; `None` if they are invalid.
fn parse_lines(lines: &[&[u8]], version: Version) -> Option<(Command, Headers)> {
    let (first, rest) = lines.split_first()?;
    let command = Command::from_bytes(first)?;
    let headers = rest.iter().map(|line| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        let is_valid = !name.is_empty() && !line.contains(&0) && !line.contains(&b'\r');
        let plain = |text: &str| match is_escaped(command, version) {
            true => unescape(text, version),
            false => Some(text.to_owned()),
        };
        Some((plain(name)?, plain(value)?)).filter(|_| is_valid)
    });
    let headers = Headers::from_iter(headers.collect::<Option<Vec<_>>>()?);
    Some((command, trimmed(command, &headers, version)))
}

/// Removes the spaces around the values in frames of STOMP 1.0.
pub(crate) fn trimmed(command: Command, headers: &Headers, version: Version) -> Headers {
    let is_1_0 = |name| Version::negotiate(headers.get(name)) == Some(Version::V1_0);
    let is_trimmed = version == Version::V1_0
        && match command {
            Command::Connect | Command::Stomp => is_1_0("accept-version"),
            Command::Connected => is_1_0("version"),
            _ => true,
        };
    let trim = |value: &str| match is_trimmed {
        true => value.trim_matches(' ').to_owned(),
        false => value.to_owned(),
    };
    let headers = headers
        .iter()
        .map(|(name, value)| (name.to_owned(), trim(value)));
    headers.collect()
}

/// Finds the value of the `receipt` header in the lines of a head, even if everything else is malformed.
pub(crate) fn receipt(lines: &[&[u8]], version: Version) -> Option<Box<str>> {
    let (first, rest) = lines.split_first()?;
    let command = Command::from_bytes(first).unwrap_or(Command::Send);
    let line = rest.iter().find(|line| line.starts_with(b"receipt:"))?;
    // The receipt of a malformed CONNECT is not trimmed.
    let version = if command.is_unescaped() {
        Version::V1_2
    } else {
        version
    };
    let (_, headers) = parse_lines(&[command.as_str().as_bytes(), line], version)?;
    headers.get("receipt").map(Box::from)
}

/// Returns true if `version` can express `frame`.
pub(crate) fn is_expressible(frame: &Frame, version: Version) -> bool {
    let length = frame.headers.get("content-length").map(content_length);
    let is_valid = |(name, value): (&str, &str)| match (is_escaped(frame.command, version), version)
    {
        (false, _) => {
            !name.contains(['\0', '\r', '\n', ':']) && !value.contains(['\0', '\r', '\n'])
        }
        (true, Version::V1_1) => !name.contains(['\0', '\r']) && !value.contains(['\0', '\r']),
        (true, _) => !name.contains('\0') && !value.contains('\0'),
    };
    (frame.body.is_empty() || frame.command.allows_body())
        && length.is_none_or(|length| length == Some(frame.body.len()))
        && frame
            .headers
            .iter()
            .all(|header| !header.0.is_empty() && is_valid(header))
}

/// Parses a `content-length`: one to ten digits.
pub(crate) fn content_length(text: &str) -> Option<usize> {
    let is_number =
        (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

fn is_escaped(command: Command, version: Version) -> bool {
    version != Version::V1_0
        && !matches!(
            command,
            Command::Connect | Command::Stomp | Command::Connected
        )
}

fn unescape(text: &str, version: Version) -> Option<String> {
    let mut plain = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        plain.push(match char {
            '\\' => match chars.next()? {
                '\\' => '\\',
                'n' => '\n',
                'c' => ':',
                'r' if version == Version::V1_2 => '\r',
                _ => return None,
            },
            _ => char,
        });
    }
    Some(plain)
}
