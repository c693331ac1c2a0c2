//! Conversion of a `SEND` request to a publication.

use crate::{
    Capabilities, Publication,
    syntax::{self, prefix},
    temporary_names,
};
use bytes::Bytes;
use stomp_frame::{Headers, header};
use stomp_session::{BoxError, InvalidDestination, Message, Request};

/// The header with the destination for replies.
const REPLY_TO: &str = "reply-to";

/// Headers that concern only the `SEND` frame. They do not become part of the message.
const FRAME_HEADERS: [&str; 4] = [
    header::CONTENT_LENGTH,
    header::DESTINATION,
    header::RECEIPT,
    header::TRANSACTION,
];

/// The size in bytes from which a body is not copied. Such a body usually shares its buffer only with its own frame, so
/// keeping the buffer alive wastes little.
const LARGE_BODY: usize = 4 << 10;

/// Creates the publication for a `SEND` request. In its header `reply-to`, replaces the local name of a temporary queue
/// by the public name.
///
/// The headers and a small body are copied. Otherwise a queued message could keep alive a read buffer with other
/// frames.
pub(crate) fn publication_from_request(
    request: &Request,
    capabilities: Capabilities,
    max_temporary_queues: usize,
) -> Result<Publication, BoxError> {
    let mut headers = Headers::new();
    for (name, value) in request.headers().iter() {
        // STOMP 1.2, "Repeated Header Entries": "only the first header entry SHOULD be used".
        if FRAME_HEADERS.contains(&name) || headers.contains(name) {
            continue;
        }
        match local_reply_queue(name, value)? {
            Some(local_name) => {
                capabilities.check_reply_to()?;
                let public_name = temporary_names::public_name(
                    &local_name,
                    request.session(),
                    max_temporary_queues,
                )?;
                headers.append(REPLY_TO, &format!("{}{public_name}", prefix::TEMPORARY));
            }
            None => headers.append(name, value),
        }
    }
    let body = request.body();
    let body = if body.len() < LARGE_BODY {
        Bytes::copy_from_slice(body)
    } else {
        body.clone()
    };
    let publication = Publication::from_message(Message::from_parts(headers, body))?;
    Ok(publication.confirm(request.headers().contains(header::RECEIPT)))
}

/// Returns the local name of the sender's temporary queue, if the header is a `reply-to` that names one. Returns `None`
/// for all other headers and values.
fn local_reply_queue(name: &str, value: &str) -> Result<Option<String>, InvalidDestination> {
    if name != REPLY_TO || !value.starts_with(prefix::TEMPORARY) {
        return Ok(None);
    }
    let queue = syntax::shared_syntax().parse(value.to_owned())?;
    let local_name = queue.canonical().strip_prefix(prefix::TEMPORARY);
    let local_name = local_name.filter(|_| !syntax::is_public_temporary(&queue));
    Ok(local_name.map(ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_frame::{Command, Frame};

    fn publication_of(frame: Frame) -> Publication {
        let request = Request::new(frame.with_header("destination", "/topic/a"));
        publication_from_request(&request, Capabilities::all(), 1).unwrap()
    }

    fn message_of(frame: Frame) -> Message {
        publication_of(frame).message
    }

    #[test]
    fn a_message_has_the_first_of_each_header_of_its_sender() {
        let frame = Frame::new(Command::Send)
            .with_header("a", "1")
            .with_header("receipt", "7")
            .with_header("a", "2");
        let message = message_of(
            frame
                .with_header("content-type", "text/plain")
                .with_body("hi"),
        );
        assert_eq!(
            *message.headers(),
            [("a", "1"), ("content-type", "text/plain")]
                .into_iter()
                .collect()
        );
        assert_eq!(message.body(), "hi");
    }

    #[test]
    fn a_message_is_confirmed_if_its_sender_wants_a_receipt() {
        let frame = Frame::new(Command::Send).with_header("retain", "set");
        let publication = publication_of(frame.clone());
        assert!(!publication.confirm && publication.retain == crate::Retain::Set);
        assert!(publication_of(frame.with_header("receipt", "1")).confirm);
    }

    #[test]
    fn a_temporary_queue_in_reply_to_gets_its_public_name() {
        let reply_to = |value: &str| {
            let message = message_of(Frame::new(Command::Send).with_header("reply-to", value));
            message.headers().get("reply-to").unwrap().to_owned()
        };
        let public = reply_to("/temp-queue/mine");
        assert!(
            temporary_names::is_public_name(public.strip_prefix("/temp-queue/").unwrap()),
            "{public}"
        );
        assert_eq!(reply_to(&public), public, "a public name stays the same");
        assert_eq!(reply_to("/queue/answers"), "/queue/answers");
        assert_eq!(reply_to("/queue/any..thing"), "/queue/any..thing");
    }

    #[test]
    fn all_spellings_of_a_temporary_queue_have_one_public_name() {
        let send = |value: &str| {
            Frame::new(Command::Send)
                .with_header("destination", "/topic/a")
                .with_header("reply-to", value)
        };
        let first = Request::new(send("/temp-queue/a.b"));
        let publication = publication_from_request(&first, Capabilities::all(), 1).unwrap();
        let public = publication.message.headers().get("reply-to").unwrap();
        let again = temporary_names::public_name("a/b", first.session(), 1).unwrap();
        assert_eq!(public, format!("/temp-queue/{again}"));
        let invalid = Request::new(send("/temp-queue/a..b"));
        assert!(publication_from_request(&invalid, Capabilities::all(), 1).is_err());
    }
}
