//! Errors that clients see.

use bytes::Bytes;
use std::{borrow::Cow, error::Error, fmt, iter};
use stomp_frame::{Headers, header};
use stomp_socket::CloseCode;

/// Error that is shown to the client: a code for programs, and a text for people.
///
/// It becomes an `ERROR` frame with the code as its `message` header and the text as its body. By default, an error of
/// another type becomes `internal-error` and is logged.
///
/// ```
/// use stomp_session::ClientError;
///
/// let error = ClientError::new("out-of-stock", "There is none left.");
/// assert_eq!(error.to_string(), "out-of-stock: There is none left.");
/// ```
///
/// An error may have headers and a body of its own, and may close the connection:
///
/// ```
/// use stomp_session::{ClientError, CloseCode};
///
/// let error = ClientError::new("banned", "You are banned for an hour.")
///     .with_header("retry-after", "3600")
///     .with_body("application/json", r#"{"hours":1}"#)
///     .with_close(CloseCode::Policy);
/// ```
///
/// # Errors of your own
///
/// A `ClientError` is also shown if it is wrapped in another error: in an `anyhow::Error`, in a variant of an enum, or
/// anywhere in a chain of [sources](Error::source). To make it visible to code that reads only the sources of an error,
/// it has a source itself, without information of its own.
///
/// It is not found as the *context* of an `anyhow::Error`, as in `.context(ClientError::new(…))`: anyhow shows a context to
/// others only as text. Replace the error instead, with `map_err`, or `ok_or_else` for an `Option`.
///
/// # Bounds
///
/// Texts often quote input of the client, so they have limits. A longer [code](ClientError::MAX_CODE_BYTES) or
/// [text](ClientError::MAX_TEXT_BYTES) is shortened. A header beyond [`MAX_HEADERS`](ClientError::MAX_HEADERS) or
/// [`MAX_HEADER_BYTES`](ClientError::MAX_HEADER_BYTES) is omitted, and so is a body beyond
/// [`MAX_BODY_BYTES`](ClientError::MAX_BODY_BYTES); both are logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientError(Shown);

/// Content of a [`ClientError`], and its source. A wrapper such as `#[error(transparent)]` or `anyhow::Error` hides the
/// type of the error in it, and shows only the source.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    code: Cow<'static, str>,
    text: Cow<'static, str>,
    /// Boxed, because most errors have none and a `Result` should stay small.
    extra: Option<Box<Extra>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Extra {
    headers: Headers,
    /// Content type and body, in place of the text.
    body: Option<(Box<str>, Bytes)>,
    close: Option<CloseCode>,
}

/// Headers that the session sets itself, and `content-type`, which belongs to the body.
const RESERVED: [&str; 7] = [
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::MESSAGE,
    header::RECEIPT,
    header::RECEIPT_ID,
    header::SUBSCRIPTION,
    header::VERSION,
];

/// Maximum errors of a chain of sources that are read. An error may name itself as its source.
const MAX_SOURCES: usize = 64;

impl ClientError {
    /// Maximum bytes of the code.
    pub const MAX_CODE_BYTES: usize = 128;
    /// Maximum bytes of the text.
    pub const MAX_TEXT_BYTES: usize = 4 << 10;
    /// Maximum number of headers.
    pub const MAX_HEADERS: usize = 16;
    /// Maximum bytes of all names and values of headers together.
    pub const MAX_HEADER_BYTES: usize = 4 << 10;
    /// Maximum bytes of the body and its content type together.
    pub const MAX_BODY_BYTES: usize = 64 << 10;

    /// Creates an error from a stable code, for programs, and a sentence, for people.
    pub fn new(
        code: impl Into<Cow<'static, str>>,
        text: impl Into<Cow<'static, str>>,
    ) -> ClientError {
        ClientError(Shown {
            code: shortened(code.into(), ClientError::MAX_CODE_BYTES),
            text: shortened(text.into(), ClientError::MAX_TEXT_BYTES),
            extra: None,
        })
    }

    /// Creates an error from constants.
    pub(crate) const fn constant(code: &'static str, text: &'static str) -> ClientError {
        ClientError(Shown {
            code: Cow::Borrowed(code),
            text: Cow::Borrowed(text),
            extra: None,
        })
    }

    /// Adds a header to the `ERROR`, after the headers of the session.
    ///
    /// The session sets `message`, `receipt-id`, `subscription`, `version` and `content-length` itself, and
    /// [`with_body`](ClientError::with_body) sets `content-type`. These names and `receipt` are ignored here.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> ClientError {
        if RESERVED.contains(&name) {
            tracing::warn!(name, "a reserved header of an error is omitted");
            return self;
        }
        let code = self.0.code.clone();
        let headers = &mut self.extra_mut().headers;
        let bytes: usize = headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if headers.len() < ClientError::MAX_HEADERS
            && bytes + name.len() + value.len() <= ClientError::MAX_HEADER_BYTES
        {
            headers.append(name, value);
        } else {
            tracing::warn!(%code, "an error has too many headers; one is omitted");
        }
        self
    }

    /// Sets the body of the `ERROR`, in place of the text, and its `content-type`.
    ///
    /// ```
    /// use stomp_session::ClientError;
    ///
    /// let problem = serde_json::json!({ "article": 7, "left": 0 });
    /// let error = ClientError::new("out-of-stock", "There is none left.")
    ///     .with_body("application/json", problem.to_string());
    /// assert_eq!(error.text(), "There is none left.");
    /// ```
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> ClientError {
        let body = body.into();
        let bytes = content_type.len() + body.len();
        if bytes <= ClientError::MAX_BODY_BYTES {
            self.extra_mut().body = Some((content_type.into(), body));
        } else {
            tracing::warn!(code = %self.0.code, bytes, "the body of an error is too large, and is omitted");
        }
        self
    }

    /// Makes the error close the connection, with this code, after the `ERROR`. Without it,
    /// [`Config::app_errors`](crate::Config::app_errors) decides.
    #[must_use]
    pub fn with_close(mut self, code: CloseCode) -> ClientError {
        self.extra_mut().close = Some(code);
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// The sentence.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    /// Bytes of the code, the text, the headers and the body.
    pub(crate) fn bytes(&self) -> usize {
        let headers = self.headers().map(|(name, value)| name.len() + value.len());
        let extra = self.0.extra.as_ref();
        let body = extra.and_then(|extra| extra.body.as_ref());
        self.0.code.len()
            + self.0.text.len()
            + headers.sum::<usize>()
            + body.map_or(0, |(content_type, body)| content_type.len() + body.len())
    }

    /// The headers that [`with_header`](ClientError::with_header) has added.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.extra.iter().flat_map(|extra| extra.headers.iter())
    }

    /// The content type and the body of the `ERROR`: of [`with_body`](ClientError::with_body), or otherwise the text.
    #[must_use]
    pub fn body(&self) -> (&str, Bytes) {
        let extra = self.0.extra.as_ref();
        match extra.and_then(|extra| extra.body.as_ref()) {
            Some((content_type, body)) => (content_type, body.clone()),
            None => ("text/plain", Bytes::copy_from_slice(self.text().as_bytes())),
        }
    }

    /// The code with which the error closes the connection, if [`with_close`](ClientError::with_close) has set one.
    #[must_use]
    pub fn close_code(&self) -> Option<CloseCode> {
        self.0.extra.as_ref()?.close
    }

    /// The error that a client sees in place of an error that is not meant for it.
    #[must_use]
    pub fn internal() -> ClientError {
        ClientError::constant("internal-error", "The server failed to handle this frame.")
    }

    /// The error that a client sees if a transaction failed to commit for a reason that is not meant for it.
    pub(crate) fn engine_unavailable() -> ClientError {
        ClientError::constant(
            "engine-unavailable",
            "The server did not confirm the transaction. It may or may not have taken effect.",
        )
    }

    /// The error that a client sees if its mailbox overflows. It closes the connection.
    pub(crate) fn slow_consumer() -> ClientError {
        ClientError::constant(
            "slow-consumer",
            "The client is too slow: more messages are queued for it than its mailbox may hold.",
        )
        .with_close(CloseCode::Policy)
    }

    /// The error that a client sees if its principal has `max` sessions already. It closes the connection.
    pub(crate) fn too_many_sessions(max: usize) -> ClientError {
        let text = format!(
            "A user has at most {max} sessions at a time (max_sessions_per_principal). Close another one first."
        );
        ClientError::new("too-many-sessions", text).with_close(CloseCode::Policy)
    }

    /// The error that a client sees if its principal has `max` subscriptions already.
    pub(crate) fn too_many_subscriptions(max: usize) -> ClientError {
        let text = format!(
            "All sessions of a user together have at most {max} subscriptions (max_subscriptions_per_principal)."
        );
        ClientError::new("too-many-subscriptions", text)
    }

    /// Returns the first `ClientError` in an error and its chain of sources.
    ///
    /// [`InvalidDestination`](crate::InvalidDestination) and [`NotSubscribed`](crate::NotSubscribed) contain one. So
    /// does an error of your own, if its [`source`](Error::source) is a `ClientError`.
    #[must_use]
    pub fn find(error: &(dyn Error + 'static)) -> Option<ClientError> {
        // Every `ClientError` has a `Shown` as its source, so there is no need to look for both.
        sources(error)
            .find_map(|error| error.downcast_ref::<Shown>())
            .map(|shown| ClientError(shown.clone()))
    }

    /// Maps the error of a service: returns the `ClientError` that [`find`](ClientError::find) finds. If there is none,
    /// logs the error and returns [`ClientError::internal`].
    ///
    /// This function is the default of [`Config::error_mapper`](crate::Config::error_mapper).
    #[must_use]
    pub fn from_error(error: &(dyn Error + 'static)) -> ClientError {
        ClientError::find(error).unwrap_or_else(|| {
            tracing::error!(error = %Chain(error), "a handler failed");
            ClientError::internal()
        })
    }

    fn extra_mut(&mut self) -> &mut Extra {
        self.0.extra.get_or_insert_default()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code(), self.text())
    }
}

impl Error for ClientError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

impl fmt::Display for Shown {
    /// Describes the error for chains that print all sources. The `ClientError` before it has the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the client sees {:?}", self.code)
    }
}

impl Error for Shown {}

/// Iterates over an error and its sources.
fn sources<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    iter::successors(Some(error), |&error| error.source()).take(MAX_SOURCES)
}

/// Shortens a text to a number of bytes. A text that is too long ends with `…`.
fn shortened(text: Cow<'static, str>, max_bytes: usize) -> Cow<'static, str> {
    const ELLIPSIS: &str = "…";
    if text.len() <= max_bytes {
        return text;
    }
    let mut end = max_bytes.saturating_sub(ELLIPSIS.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    Cow::Owned([text.get(..end).unwrap_or_default(), ELLIPSIS].concat())
}

/// Displays an error and its sources in one line.
pub(crate) struct Chain<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        sources(self.0).enumerate().try_for_each(|(index, error)| {
            let separator = if index == 0 { "" } else { ": " };
            write!(f, "{separator}{error}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_code_or_text_is_shortened_between_two_characters() {
        let error = ClientError::new("c".repeat(200), "\u{e9}".repeat(5_000));
        assert_eq!(error.code().len(), ClientError::MAX_CODE_BYTES);
        assert!(error.text().len() <= ClientError::MAX_TEXT_BYTES);
        assert!(error.text().ends_with("\u{e9}…"));
        let longest = "x".repeat(ClientError::MAX_TEXT_BYTES);
        assert_eq!(ClientError::new("c", longest.clone()).text(), longest);
    }

    #[test]
    fn headers_of_an_error_are_bounded_and_cannot_replace_those_of_the_session() {
        let error = RESERVED
            .iter()
            .fold(ClientError::new("c", "t"), |error, name| {
                error.with_header(name, "x")
            });
        assert_eq!(error.headers().count(), 0);
        let many = (0..100).fold(error.clone(), |error, _| error.with_header("a", "b"));
        assert_eq!(many.headers().count(), ClientError::MAX_HEADERS);
        let long = error.with_header("a", &"b".repeat(ClientError::MAX_HEADER_BYTES));
        assert_eq!(long.headers().count(), 0);
    }

    #[test]
    fn a_body_that_is_too_large_is_omitted() {
        let error = ClientError::new("c", "t");
        let large = vec![0; ClientError::MAX_BODY_BYTES];
        assert_eq!(
            error.clone().with_body("a/b", large).body(),
            ("text/plain", "t".into())
        );
        assert_eq!(error.with_body("a/b", "x").body(), ("a/b", "x".into()));
    }

    #[test]
    fn a_chain_of_sources_that_never_ends_is_read_in_part() {
        #[derive(Debug, thiserror::Error)]
        #[error("again")]
        struct Endless;
        #[derive(Debug)]
        struct Loop(Endless);
        impl fmt::Display for Loop {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
        impl Error for Loop {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                Some(self)
            }
        }
        assert_eq!(
            ClientError::from_error(&Loop(Endless)),
            ClientError::internal()
        );
    }
}
