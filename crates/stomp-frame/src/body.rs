//! The search for the end of a frame's body.

use crate::{
    Command, DecodeError, DecodeErrorKind as Kind, Limits, Version, header,
    headers::{Entry, raw_value},
    value,
};
use memchr::memchr;

/// A frame whose head is known, and the search for its closing NUL.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BodySearch {
    pub(crate) command: Command,
    /// Bytes in the head.
    pub(crate) head: usize,
    /// See [`HeadSearch::is_plain`](crate::head::HeadSearch::is_plain).
    pub(crate) is_plain: bool,
    /// Bytes in the body, where `content-length` says so.
    length: Option<usize>,
    /// There is no NUL in `head..scanned`.
    scanned: usize,
}

impl BodySearch {
    /// The beginning of a body. An error has no place in the frame but its head.
    pub(crate) fn after(
        head: &[u8],
        command: Command,
        is_plain: bool,
        entries: &[Entry],
    ) -> Result<BodySearch, DecodeError> {
        let stated = raw_value(head, entries, header::CONTENT_LENGTH);
        let length = match stated.map(value::content_length) {
            None => None,
            Some(Some(length)) => Some(length),
            Some(None) => return Err(Kind::InvalidContentLength.at(0)),
        };
        Ok(BodySearch {
            command,
            head: head.len(),
            is_plain,
            length,
            scanned: head.len(),
        })
    }

    /// How many bytes the frame will have, if it says so.
    pub(crate) fn expected(&self) -> Option<usize> {
        self.length.map(|_| self.scanned.saturating_add(1))
    }

    /// Whether these bytes, of which few are new, are plainly not all of the frame.
    #[inline]
    pub(crate) fn goes_on(&mut self, bytes: &[u8], limits: &Limits) -> bool {
        const FEW: usize = 16;
        if self.length.is_some() {
            return bytes.len() <= self.scanned;
        }
        let new = bytes.get(self.scanned..).unwrap_or_default();
        // A body's first byte shows whether there may be one.
        if self.scanned == self.head
            || new.len() > FEW
            || bytes.len() >= limits.max_frame_bytes
            || new.contains(&0)
        {
            return false;
        }
        self.scanned = bytes.len();
        true
    }

    /// Where the closing NUL stands; `None` if the body goes on.
    ///
    /// STOMP 1.2, "Header content-length": "this number of octets MUST be read, regardless of whether or not there are
    /// NULL octets in the body. The frame still needs to be terminated with a NULL octet."
    pub(crate) fn go_on(
        &mut self,
        bytes: &[u8],
        limits: &Limits,
        version: Version,
    ) -> Result<Option<usize>, DecodeError> {
        // STOMP 1.0, "SUBSCRIBE": "The body of the SUBSCRIBE command is ignored."
        let ignored = version == Version::V1_0 && self.command == Command::Subscribe;
        let has_body = match self.length {
            Some(length) => length > 0,
            None => bytes.get(self.head).is_some_and(|byte| *byte != 0),
        };
        if has_body && !ignored && !self.command.allows_body() {
            return Err(Kind::UnexpectedBody.at(self.head));
        }
        let nul = match self.length {
            Some(length) => self.head.saturating_add(length),
            None => match memchr(0, bytes.get(self.scanned..).unwrap_or_default()) {
                Some(found) => self.scanned + found,
                None => bytes.len(),
            },
        };
        self.scanned = nul;
        match bytes.get(nul) {
            // The NUL is the frame's last byte.
            _ if nul >= limits.max_frame_bytes => {
                Err(Kind::FrameTooLong(limits.max_frame_bytes).at(limits.max_frame_bytes))
            }
            None => Ok(None),
            Some(0) => Ok(Some(nul)),
            Some(_) => Err(Kind::MissingNul.at(nul)),
        }
    }
}
