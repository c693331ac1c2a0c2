//! The search for the end of a frame's head.

use crate::{
    Command, DecodeError, DecodeErrorKind as Kind, Limits, grammar,
    headers::{Entries, Entry, Headers},
    marks::Marks,
};

/// The search for the empty line that ends a head, which goes on where it stopped when more bytes come.
///
/// It looks at every line anyway, so it notes where the headers are as well. What is regular needs no more than that; at
/// anything else the grammar looks again, as a whole.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadSearch {
    /// Where the line begins whose end is looked for.
    line: usize,
    /// There is no line feed in `line..scanned`.
    scanned: usize,
    /// The last colon that was the first of its line: that of this line, if it is not before `line`.
    colon: usize,
    /// How many lines end before `line`: the command's, and the headers'.
    lines: usize,
    /// The command, once its line has ended.
    command: Option<Command>,
    /// So far, each header has a name and a colon, and lines end with LF alone.
    is_regular: bool,
    /// So far, no value has a colon, and nothing has a backslash.
    is_bare: bool,
}

impl HeadSearch {
    /// The beginning of a frame.
    pub(crate) const START: HeadSearch = HeadSearch {
        line: 0,
        scanned: 0,
        colon: 0,
        lines: 0,
        command: None,
        is_regular: true,
        is_bare: true,
    };

    /// The frame's command, if it is known.
    pub(crate) fn command(&self) -> Option<Command> {
        self.command
    }

    /// Whether each header is a name, one colon and a value, with an LF behind it and nothing escaped.
    pub(crate) fn is_plain(&self) -> bool {
        self.is_regular && self.is_bare
    }

    /// Whether nothing of the frame was looked at.
    pub(crate) fn is_at_start(&self) -> bool {
        self.scanned == 0
    }

    /// The bytes in the head, the empty line included, and its command; `None` if it goes on. Where its headers are is
    /// noted in `headers`.
    pub(crate) fn go_on(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        headers: &mut Headers,
    ) -> Result<Option<(usize, Command)>, DecodeError> {
        // Bytes before the last that an EOL may have, with room for the NUL behind the head.
        let most = limits
            .max_head_bytes
            .min(limits.max_frame_bytes.saturating_sub(1));
        // At hand, and put back when more bytes are needed.
        let (mut start, mut lines, mut colon) = (self.line, self.lines, self.colon);
        let mut longest = if lines == 0 {
            limits.max_line_bytes.min(Command::LONGEST)
        } else {
            limits.max_line_bytes
        };
        let mut entries: Option<&mut Entries> = None;
        for at in Marks::new(bytes.get(self.scanned..).unwrap_or_default(), self.scanned) {
            let mark = bytes.get(at).copied().unwrap_or_default();
            if mark == b':' {
                self.is_bare &= colon < start;
                colon = if colon < start { at } else { colon };
                continue;
            }
            if mark != b'\n' && mark != 0 {
                self.is_regular &= mark != b'\r';
                self.is_bare &= mark != b'\\';
                continue;
            }
            if at - start > longest || at >= most || lines > limits.max_headers {
                (self.line, self.lines) = (start, lines);
                self.check_line(bytes.get(start..at).unwrap_or_default(), at, limits)?;
            }
            if mark == 0 {
                return Err(Kind::NulInHead.at(at));
            }
            if at == start || !self.is_regular && bytes.get(start..at) == Some(b"\r") {
                let head = bytes.get(..=at).unwrap_or_default();
                return self
                    .read(head, headers)
                    .map(|command| Some((at + 1, command)));
            }
            if lines == 0 {
                let line = bytes.get(start..at).unwrap_or_default();
                self.command = Command::from_bytes(line.strip_suffix(b"\r").unwrap_or(line));
                longest = limits.max_line_bytes;
            } else if colon > start {
                let noted = match entries.take() {
                    Some(noted) => noted,
                    None => headers.noted(),
                };
                noted.push(Entry::new(start, colon, at));
                entries = Some(noted);
            } else {
                self.is_regular = false;
            }
            (start, lines) = (at + 1, lines + 1);
        }
        (self.line, self.lines, self.colon, self.scanned) = (start, lines, colon, bytes.len());
        self.check_line(bytes.get(start..).unwrap_or_default(), bytes.len(), limits)?;
        Ok(None)
    }

    /// The command of a head that is there as a whole, and its headers.
    fn read(&self, head: &[u8], headers: &mut Headers) -> Result<Command, DecodeError> {
        match self.command {
            Some(command) if self.is_regular => Ok(command),
            _ => {
                let (command, found) =
                    grammar::parse(head).map_err(|(kind, offset)| kind.at(offset))?;
                *headers.noted() = found;
                Ok(command)
            }
        }
    }

    /// Checks the line that ends, or has come so far, before `end`.
    ///
    /// Of several limits, the one that was exceeded first counts: so that the pieces make no difference.
    fn check_line(&self, line: &[u8], end: usize, limits: &Limits) -> Result<(), DecodeError> {
        // Which byte exceeds a limit of a line. A CR does not: it may be half of the EOL.
        let byte = |limit: usize| {
            (self.line + usize::from(line.get(limit) == Some(&b'\r'))).saturating_add(limit)
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let exceeded = |is_exceeded: bool, at: usize, kind: Kind, offset| {
            is_exceeded.then(|| (at, kind.at(offset)))
        };
        let faults = [
            exceeded(
                self.lines > limits.max_headers && !line.is_empty(),
                byte(0),
                Kind::TooManyHeaders(limits.max_headers),
                self.line,
            ),
            exceeded(
                self.lines == 0 && line.len() > Command::LONGEST,
                byte(Command::LONGEST),
                Kind::UnknownCommand,
                0,
            ),
            exceeded(
                line.len() > limits.max_line_bytes,
                byte(limits.max_line_bytes),
                Kind::LineTooLong(limits.max_line_bytes),
                self.line,
            ),
            // With the EOL that must come, and behind the head a NUL.
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
        match faults.into_iter().flatten().min_by_key(|(at, _)| *at) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::Entries;
    use proptest::{collection::vec, prelude::*, sample::select};

    /// Where the headers are, as far as `Entry` tells.
    type Found = Result<(Command, Vec<(Vec<u8>, usize)>), (Kind, usize)>;

    fn shown(head: &[u8], result: Result<(Command, Entries), (Kind, usize)>) -> Found {
        let places = |entries: Entries| {
            entries
                .iter()
                .map(|e| (e.value_bytes(head).to_vec(), e.start()))
                .collect()
        };
        result.map(|(command, entries)| (command, places(entries)))
    }

    proptest! {
        /// What is taken for regular while the end of a head is looked for is what the grammar makes of it.
        #[test]
        fn regular_heads_are_read_as_the_grammar_reads_them(
            command in select(&["SEND", "MESSAGE", "ACK", "SENT", ""][..]),
            lines in vec(vec(select(&b"ab:\\\r\n\xc3\xa9"[..]), 0..8), 0..10),
        ) {
            let mut head = command.as_bytes().to_vec();
            for line in lines {
                head.push(b'\n');
                head.extend(line);
            }
            head.extend(b"\n\n");
            let (mut search, mut headers) = (HeadSearch::START, Headers::new());
            if let Ok(Some((end, command))) = search.go_on(&head, &Limits::default(), &mut headers) {
                let head = &head[..end];
                let lines = head.strip_prefix(command.as_str().as_bytes()).unwrap_or_default();
                let specials = lines.iter().filter(|byte| b":\\\r\n".contains(byte)).count();
                prop_assert_eq!(search.is_plain(), specials == 2 * headers.len() + 2, "a colon and an LF each, two LFs");
                prop_assert_eq!(shown(head, Ok((command, headers.entries().into()))), shown(head, grammar::parse(head)));
            }
        }
    }
}
