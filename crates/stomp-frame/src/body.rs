//! The search for the end of a frame's body.

use crate::{
    Command, DecodeError, DecodeErrorKind as Kind, Limits, Version,
    excerpt::MAX_EXCERPT,
    header,
    header_value::parse_content_length,
    headers::{Entry, find_entry},
    padding,
};
use memchr::memchr;

/// The search for the closing NUL of a frame whose head is complete.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodyScanner {
    pub(crate) command: Command,
    /// The length of the head, in bytes.
    pub(crate) head_len: usize,
    /// See [`HeadScanner::is_plain`](crate::head::HeadScanner::is_plain).
    pub(crate) is_plain: bool,
    /// True if spaces around a value are no part of it. See [`padding::is_ignored`](crate::padding::is_ignored).
    pub(crate) is_padding_ignored: bool,
    /// The length of the body, if the frame has a `content-length`.
    body_len: Option<usize>,
    /// Without a `content-length`: the bytes in `head_len..scanned` contain no NUL. With a `content-length`: the
    /// position where the closing NUL must be, set by the first scan.
    scanned: usize,
}

impl BodyScanner {
    /// Creates a scanner that starts at the end of `head`. The headers of `head` are `entries`.
    #[inline]
    pub(crate) fn new(
        head: &[u8],
        command: Command,
        is_plain: bool,
        entries: &[Entry],
        version: Version,
    ) -> Result<BodyScanner, DecodeError> {
        let is_padding_ignored = padding::is_ignored(version, command, head, entries);
        let body_len = match find_entry(head, entries, header::CONTENT_LENGTH) {
            None => None,
            Some(entry) => {
                let value = entry.value_bytes(head);
                let digits = if is_padding_ignored {
                    padding::trim(value)
                } else {
                    value
                };
                let Some(body_len) = parse_content_length(digits) else {
                    let error = DecodeError::new(Kind::InvalidContentLength, entry.value_start());
                    return Err(error.with_found(value, MAX_EXCERPT));
                };
                Some(body_len)
            }
        };
        Ok(BodyScanner {
            command,
            head_len: head.len(),
            is_plain,
            is_padding_ignored,
            body_len,
            scanned: head.len(),
        })
    }

    /// The length of the whole frame in bytes, if the frame has a `content-length`. Known after the first scan.
    pub(crate) fn frame_len(&self) -> Option<usize> {
        // With a `content-length`, the first scan sets `scanned` to the position of the NUL.
        self.body_len.map(|_| self.scanned.saturating_add(1))
    }

    /// Returns true if the frame is certainly incomplete. If false, call [`scan`](BodyScanner::scan) to find out.
    ///
    /// A fast path for the usual case: only a few bytes are new.
    #[inline]
    pub(crate) fn is_incomplete(&mut self, bytes: &[u8], limits: &Limits) -> bool {
        const FEW: usize = 16;
        if self.body_len.is_some() {
            return bytes.len() <= self.scanned;
        }
        let new = bytes.get(self.scanned..).unwrap_or_default();
        // The first byte of a body needs the full check: it shows whether the frame has a body that it must not have.
        if self.scanned == self.head_len
            || new.len() > FEW
            || bytes.len() >= limits.max_frame_bytes
            || new.contains(&0)
        {
            return false;
        }
        self.scanned = bytes.len();
        true
    }

    /// Returns true if the frame has no body, although it has a `content-length` above 0.
    pub(crate) fn has_false_length(&self, body: &[u8]) -> bool {
        body.is_empty() && self.body_len.is_some_and(|body_len| body_len > 0)
    }

    /// Continues the search for the closing NUL. Returns its position; `None` if `bytes` end before it.
    ///
    /// STOMP 1.2, "Header content-length": "this number of octets MUST be read, regardless of whether or not there are
    /// NULL octets in the body. The frame still needs to be terminated with a NULL octet."
    ///
    /// A command that cannot have a body is different: clients that acknowledge a `MESSAGE` with all of its headers send
    /// its `content-length` too, and no body. So the byte after such a head decides alone, in each version. If it is
    /// NUL, the frame ends there, whatever the `content-length` says. If it is not, the frame has a body, and is an
    /// error. The end of a frame without a body never depends on bytes that follow it.
    #[inline]
    pub(crate) fn scan(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        version: Version,
    ) -> Result<Option<usize>, DecodeError> {
        if !self.command.allows_body() {
            match bytes.get(self.head_len) {
                // The scanner of the head has left room for the NUL.
                None => return Ok(None),
                Some(0) => return Ok(Some(self.head_len)),
                // STOMP 1.0, "SUBSCRIBE": "The body of the SUBSCRIBE command is ignored."
                Some(_) if version == Version::V1_0 && self.command == Command::Subscribe => {}
                Some(_) => {
                    let error = DecodeError::new(Kind::UnexpectedBody, self.head_len);
                    return Err(error.with_found(self.command.as_str().as_bytes(), MAX_EXCERPT));
                }
            }
        }
        let nul = match self.body_len {
            Some(body_len) => self.head_len.saturating_add(body_len),
            None => match memchr(0, bytes.get(self.scanned..).unwrap_or_default()) {
                Some(found) => self.scanned + found,
                None => bytes.len(),
            },
        };
        self.scanned = nul;
        match bytes.get(nul) {
            // The NUL counts as a byte of the frame.
            _ if nul >= limits.max_frame_bytes => Err(DecodeError::new(
                Kind::FrameTooLong(limits.max_frame_bytes),
                limits.max_frame_bytes,
            )),
            None => Ok(None),
            Some(0) => Ok(Some(nul)),
            Some(_) => {
                let length = self.body_len.unwrap_or_default().to_string();
                let error = DecodeError::new(Kind::MissingNul, nul);
                Err(error.with_found(length.as_bytes(), MAX_EXCERPT))
            }
        }
    }
}
