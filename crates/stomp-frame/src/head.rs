//! The search for the end of a frame's head.

use crate::{
    Command, DecodeError, DecodeErrorKind as Kind, Limits, grammar,
    headers::{Entries, Entry, Headers},
    structural::StructuralBytes,
};

/// The search for the empty line that ends a head. It continues where it stopped when more bytes arrive.
///
/// The scanner visits every line anyway, so it also indexes the headers. For a regular head (see `is_regular`), this
/// index is complete. [`grammar`] parses all other heads again. The grammar defines the result: a property test checks
/// that the scanner returns the same.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadScanner {
    /// The start of the current line.
    line_start: usize,
    /// `line_start..scanned` contains no line feed.
    scanned: usize,
    /// The position of the latest colon that is the first colon of its line. It belongs to the current line only if it
    /// is not before `line_start`.
    colon: usize,
    /// The number of complete lines: the command and headers.
    line_count: usize,
    /// The command, once its line is complete.
    command: Option<Command>,
    /// True if, so far, each header has a name and a colon, and no line contains a CR.
    is_regular: bool,
    /// True if, so far, no value contains a colon, and no line contains a backslash.
    is_literal: bool,
}

impl HeadScanner {
    /// The scanner at the start of a frame.
    pub(crate) const START: HeadScanner = HeadScanner {
        line_start: 0,
        scanned: 0,
        colon: 0,
        line_count: 0,
        command: None,
        is_regular: true,
        is_literal: true,
    };

    /// The command of the frame, if its line is complete.
    pub(crate) fn command(&self) -> Option<Command> {
        self.command
    }

    /// Returns true if each header so far is a name, one colon, a value without escapes, and an LF.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_regular && self.is_literal
    }

    /// Returns true if no byte of the frame was scanned yet.
    pub(crate) fn is_at_start(&self) -> bool {
        self.scanned == 0
    }

    /// Continues the scan, and adds the headers to the index in `headers`.
    ///
    /// Returns the length of the head, including the empty line, and the command; `None` if `bytes` end before the head
    /// does.
    pub(crate) fn scan(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        headers: &mut Headers,
    ) -> Result<Option<(usize, Command)>, DecodeError> {
        // The last byte of a line's EOL must be before this position, which leaves room for the NUL after the head.
        let max_end = limits
            .max_head_bytes
            .min(limits.max_frame_bytes.saturating_sub(1));
        // A local copy is faster. It is stored back before each return.
        let mut scan = *self;
        let mut max_line = limits.max_line_bytes;
        if scan.line_count == 0 {
            max_line = max_line.min(Command::MAX_LEN);
        }
        let mut entries: Option<&mut Entries> = None;
        let unscanned = bytes.get(scan.scanned..).unwrap_or_default();
        for position in StructuralBytes::new(unscanned, scan.scanned) {
            let start = scan.line_start;
            let byte = bytes.get(position).copied().unwrap_or_default();
            if byte == b':' {
                let is_first = scan.colon < start;
                scan.is_literal &= is_first;
                scan.colon = if is_first { position } else { scan.colon };
                continue;
            }
            if byte != b'\n' && byte != 0 {
                scan.is_regular &= byte != b'\r';
                scan.is_literal &= byte != b'\\';
                continue;
            }
            let line = || bytes.get(start..position).unwrap_or_default();
            if position - start > max_line
                || position >= max_end
                || scan.line_count > limits.max_headers
            {
                *self = scan;
                self.check_line(line(), position, limits)?;
            }
            if byte == 0 {
                *self = scan;
                return Err(DecodeError::new(Kind::NulInHead, position));
            }
            if scan.colon > start {
                let index = match entries.take() {
                    Some(index) => index,
                    None => headers.entries_mut(),
                };
                index.push(Entry::new(start, scan.colon, position));
                entries = Some(index);
            } else if position == start || !scan.is_regular && line() == b"\r" {
                *self = scan;
                let head = bytes.get(..=position).unwrap_or_default();
                return Ok(Some((position + 1, self.parse(head, headers)?)));
            } else if scan.line_count == 0 {
                scan.command = Command::from_bytes(without_cr(line()));
                max_line = limits.max_line_bytes;
            } else {
                scan.is_regular = false;
            }
            (scan.line_start, scan.line_count) = (position + 1, scan.line_count + 1);
        }
        scan.scanned = bytes.len();
        *self = scan;
        let line = bytes.get(scan.line_start..).unwrap_or_default();
        self.check_line(line, bytes.len(), limits)?;
        Ok(None)
    }

    /// Parses a complete head, and returns its command. For a regular head, the scan has done this already.
    fn parse(&self, head: &[u8], headers: &mut Headers) -> Result<Command, DecodeError> {
        match self.command {
            Some(command) if self.is_regular => Ok(command),
            _ => {
                let (command, entries) =
                    grammar::parse(head).map_err(|(kind, position)| match kind {
                        Kind::UnknownCommand => {
                            unknown_command(head.split(|byte| *byte == b'\n').next())
                        }
                        _ => DecodeError::new(kind, position),
                    })?;
                *headers.entries_mut() = entries;
                Ok(command)
            }
        }
    }

    /// Checks the limits at `end`: the end of the current line, or of the bytes so far.
    ///
    /// If several limits are exceeded, returns the error for the limit that was exceeded first, so that the error does
    /// not depend on the pieces in which the bytes arrive.
    fn check_line(&self, line: &[u8], end: usize, limits: &Limits) -> Result<(), DecodeError> {
        // The position of the byte that exceeds a limit on the line. If this byte is a CR, it may be half of the EOL,
        // so the next byte counts.
        let byte_after = |limit: usize| {
            (self.line_start + usize::from(line.get(limit) == Some(&b'\r'))).saturating_add(limit)
        };
        let line = without_cr(line);
        let exceeded = |is_exceeded: bool, position: usize, kind: Kind, offset: usize| {
            is_exceeded.then_some((position, kind, offset))
        };
        let exceeded_limits = [
            exceeded(
                self.line_count > limits.max_headers && !line.is_empty(),
                byte_after(0),
                Kind::TooManyHeaders(limits.max_headers),
                self.line_start,
            ),
            exceeded(
                self.line_count == 0 && line.len() > Command::MAX_LEN,
                byte_after(Command::MAX_LEN),
                Kind::UnknownCommand,
                0,
            ),
            exceeded(
                line.len() > limits.max_line_bytes,
                byte_after(limits.max_line_bytes),
                Kind::LineTooLong(limits.max_line_bytes),
                self.line_start,
            ),
            // At least an LF must follow, and a NUL after the head.
            exceeded(
                end >= limits.max_head_bytes,
                limits.max_head_bytes.saturating_sub(1),
                Kind::HeadTooLong(limits.max_head_bytes),
                limits.max_head_bytes,
            ),
            exceeded(
                end.saturating_add(1) >= limits.max_frame_bytes,
                limits.max_frame_bytes.saturating_sub(2),
                Kind::FrameTooLong(limits.max_frame_bytes),
                limits.max_frame_bytes,
            ),
        ];
        let first = exceeded_limits
            .into_iter()
            .flatten()
            .min_by_key(|(position, ..)| *position);
        match first {
            None => Ok(()),
            Some((_, Kind::UnknownCommand, _)) => Err(unknown_command(Some(line))),
            Some((_, kind, offset)) => Err(DecodeError::new(kind, offset)),
        }
    }
}

/// The error for a first line that is not a command.
///
/// Quotes at most [`Command::MAX_LEN`] bytes. A longer line is rejected as soon as one more byte has arrived, and the
/// error must not depend on the pieces in which the bytes arrive.
#[cold]
fn unknown_command(line: Option<&[u8]>) -> DecodeError {
    let line = line.unwrap_or_default();
    let line = without_cr(line.get(..=Command::MAX_LEN).unwrap_or(line));
    DecodeError::new(Kind::UnknownCommand, 0).with_found(line, Command::MAX_LEN)
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Entries;
    use proptest::{collection::vec, prelude::*, sample::select};

    /// A command, and the value and position of each header.
    type Parsed = Result<(Command, Vec<(Vec<u8>, usize)>), (Kind, usize)>;

    fn comparable(head: &[u8], result: Result<(Command, Entries), (Kind, usize)>) -> Parsed {
        let values = |entries: Entries| {
            entries
                .iter()
                .map(|e| (e.value_bytes(head).to_vec(), e.start()))
                .collect()
        };
        result.map(|(command, entries)| (command, values(entries)))
    }

    proptest! {
        #[test]
        fn the_scanner_and_the_grammar_agree_on_every_head(
            command in select(&["SEND", "MESSAGE", "ACK", "SENT", ""][..]),
            lines in vec(vec(select(&b"ab:\\\r\n\xc3\xa9"[..]), 0..8), 0..10),
        ) {
            let mut head = command.as_bytes().to_vec();
            for line in lines {
                head.push(b'\n');
                head.extend(line);
            }
            head.extend(b"\n\n");
            let (mut scanner, mut headers) = (HeadScanner::START, Headers::new());
            if let Ok(Some((end, command))) = scanner.scan(&head, &Limits::default(), &mut headers) {
                let head = &head[..end];
                let lines = head.strip_prefix(command.as_str().as_bytes()).unwrap_or_default();
                let special = lines.iter().filter(|byte| b":\\\r\n".contains(byte)).count();
                let plain = 2 * headers.len() + 2;
                prop_assert_eq!(scanner.is_plain(), special == plain, "a colon and an LF per header, and two LFs");
                let scanned = Ok((command, headers.entries().into()));
                prop_assert_eq!(comparable(head, scanned), comparable(head, grammar::parse(head)));
            }
        }
    }
}
