//! What becomes of a `SEND`.

use crate::{destination::prefix, temporary};
use bytes::Bytes;
use stomp_frame::{Headers, header};
use stomp_session::{BoxError, Message, Request};

/// Where a message's answers go.
const REPLY_TO: &str = "reply-to";

/// Headers that are about the `SEND`, not about the message.
const OF_THE_FRAME: [&str; 4] = [
    header::CONTENT_LENGTH,
    header::DESTINATION,
    header::RECEIPT,
    header::TRANSACTION,
];

/// Bodies from this length on have buffers of their own.
const LARGE: usize = 4 << 10;

/// The message that a `SEND` asks to have published. `temporaries` is [`Config::max_temporary_queues`](crate::Config::max_temporary_queues).
///
/// It is a copy: what is kept must not keep the buffer alive that its frame was read into.
pub(crate) fn message(request: &Request, temporaries: usize) -> Result<Message, BoxError> {
    let mut headers = Headers::new();
    for (name, value) in request.headers().iter() {
        // STOMP 1.2, "Repeated Header Entries": "only the first header entry SHOULD be used".
        if OF_THE_FRAME.contains(&name) || headers.contains(name) {
            continue;
        }
        match own_reply(name, value) {
            Some(own) => {
                let known = temporary::name_of(own, request.session(), temporaries)?;
                headers.append(REPLY_TO, &format!("{}{known}", prefix::TEMPORARY));
            }
            None => headers.append(name, value),
        }
    }
    let body = request.body();
    let body = if body.len() < LARGE {
        Bytes::copy_from_slice(body)
    } else {
        body.clone()
    };
    Ok(Message::from_parts(headers, body))
}

/// The sender's own name of the temporary queue that a header asks answers to be sent to.
fn own_reply<'a>(name: &str, value: &'a str) -> Option<&'a str> {
    let own = value
        .strip_prefix(prefix::TEMPORARY)
        .filter(|_| name == REPLY_TO)?;
    (!temporary::is_name(own)).then_some(own)
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_frame::{Command, Frame};

    fn message_of(frame: Frame) -> Message {
        message(
            &Request::new(frame.with_header("destination", "/topic/a")),
            1,
        )
        .unwrap()
    }

    #[test]
    fn the_senders_headers_pass_once() {
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
    fn answers_are_asked_for_under_a_name_that_nobody_can_guess() {
        let replies = |to: &str| {
            let message = message_of(Frame::new(Command::Send).with_header("reply-to", to));
            message.headers().get("reply-to").unwrap().to_owned()
        };
        let known = replies("/temp-queue/mine");
        assert!(
            temporary::is_name(known.strip_prefix("/temp-queue/").unwrap()),
            "{known}"
        );
        assert_eq!(replies(&known), known, "what is handed on stays as it is");
        assert_eq!(replies("/queue/answers"), "/queue/answers");
    }
}
