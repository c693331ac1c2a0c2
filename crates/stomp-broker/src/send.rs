//! `SEND` requests: their checks, and their conversion to publications.

use crate::{
    Address, Broker, EngineFuture, Publication, Retain,
    broker::Shared,
    publication::{self, EXPIRES, RETAIN},
    reply_queue::ReplyQueue,
    unsupported,
};
use bytes::Bytes;
use std::time::SystemTime;
use stomp_frame::{Headers, header};
use stomp_session::{BoxError, ClientError, Message, Principal, Request, Response};

/// The header with the destination for replies.
pub(crate) const REPLY_TO: &str = "reply-to";

/// The header with the name of the sender's principal: see [`Config::stamp_user_id`](crate::Config::stamp_user_id).
const USER_ID: &str = "user-id";

/// The start of the names of all headers about dead letters. They too are never a sender's.
const DEAD_LETTER_PREFIX: &str = "dead-letter-";

/// The size in bytes from which a body is not copied. Such a body usually shares its buffer only with its own frame, so
/// keeping the buffer alive wastes little.
const LARGE_BODY: usize = 4 << 10;

impl Broker {
    /// Handles a `SEND`. The future completes when its message is published, or held by its transaction.
    pub(crate) fn handle_send(&mut self, request: &Request) -> EngineFuture<Response> {
        let to = match &mut self.1 {
            Some(last) if last.holds_for(request) => last.to.clone(),
            last => match self.0.authorize_send(request) {
                Ok(permission) => last.insert(permission).to.clone(),
                Err(error) => return EngineFuture::ready(Err(error)),
            },
        };
        self.send_to(&to, request).map(|()| Response::Done)
    }

    /// Publishes the message of a `SEND` to the address to which its client may send.
    fn send_to(&self, to: &Address, request: &Request) -> EngineFuture<()> {
        let asked = match SendHeaders::read(request.headers()) {
            Ok(asked) => asked,
            Err(error) => return EngineFuture::ready(Err(error)),
        };
        if asked.concern_only_subscribers() && request.transaction().is_none() {
            if let Some(published) = self.0.engine.publish_unheard(to) {
                return published;
            }
        }
        let checked = || {
            if request.transaction().is_some() {
                self.0.capabilities.check_transaction()?;
            }
            let (mut publication, queue) = publication(&self.0, request, &asked)?;
            self.0.capabilities.check_publication(to, &publication)?;
            publication.message = to.stamp(publication.message);
            Ok((publication, queue))
        };
        match checked() {
            Ok((publication, None)) => self.publish_in(request.transaction(), to, publication),
            Ok((publication, Some(queue))) => {
                let (broker, staging) = (self.clone(), request.transaction().cloned());
                let (opened, to) = (self.open_reply_queue(queue, request), to.clone());
                opened.and_then(move |()| broker.publish_in(staging.as_ref(), &to, publication))
            }
            Err(error) => EngineFuture::ready(Err::<_, BoxError>(error)),
        }
    }
}

/// The meaning of a header of a `SEND`.
#[derive(Clone, Copy)]
enum HeaderKind {
    /// Never a sender's. Some of these headers concern only the `SEND` frame. The session or the broker sets the others
    /// in a `MESSAGE`, so that their receivers can rely on them.
    NotOfSenders,
    UserId,
    ReplyTo,
    Retain,
    Expires,
    Other,
}

impl HeaderKind {
    #[inline]
    fn of(name: &str) -> HeaderKind {
        match name {
            header::ACK
            | header::CONTENT_LENGTH
            | header::DESTINATION
            | header::MESSAGE_ID
            | header::RECEIPT
            | header::RECEIPT_ID
            | header::SUBSCRIPTION
            | header::TRANSACTION
            | "dropped-messages"
            | "gap"
            | "original-destination"
            | "redelivered" => HeaderKind::NotOfSenders,
            USER_ID => HeaderKind::UserId,
            REPLY_TO => HeaderKind::ReplyTo,
            RETAIN => HeaderKind::Retain,
            EXPIRES => HeaderKind::Expires,
            _ if name.starts_with(DEAD_LETTER_PREFIX) => HeaderKind::NotOfSenders,
            _ => HeaderKind::Other,
        }
    }
}

/// The wishes in the headers of a `SEND`.
pub(crate) struct SendHeaders<'a> {
    retain: Retain,
    expires: Option<SystemTime>,
    reply_to: Option<&'a str>,
}

impl<'a> SendHeaders<'a> {
    /// Reads the headers.
    ///
    /// # Errors
    ///
    /// Returns `not-supported` for a header that the broker refuses, and the errors of [`Publication::from_message`].
    pub(crate) fn read(headers: &'a Headers) -> Result<SendHeaders<'a>, ClientError> {
        let (mut retain, mut expires, mut reply_to) = (None, None, None);
        for name in headers.names() {
            match HeaderKind::of(name) {
                HeaderKind::NotOfSenders | HeaderKind::UserId => {}
                // STOMP 1.2, "Repeated Header Entries": "only the first header entry SHOULD be used".
                HeaderKind::ReplyTo => reply_to = reply_to.or_else(|| headers.get(name)),
                HeaderKind::Retain => retain = retain.or_else(|| headers.get(name)),
                HeaderKind::Expires => expires = expires.or_else(|| headers.get(name)),
                HeaderKind::Other => unsupported::check_send(name)?,
            }
        }
        Ok(SendHeaders {
            retain: publication::read_retain(retain)?,
            expires: publication::read_expires(expires)?,
            reply_to,
        })
    }

    /// Returns true if the message has an effect only for those who are subscribed now.
    pub(crate) fn concern_only_subscribers(&self) -> bool {
        self.retain == Retain::Nothing && self.expires.is_none() && self.reply_to.is_none()
    }
}

/// Creates the publication for a `SEND` request, which has these headers. Checks the header `reply-to`, in which the
/// public name replaces the local name of a temporary queue. Also returns that queue, if the session has no subscription
/// to it.
///
/// The headers and a small body are copied. Otherwise a queued message could keep alive a read buffer with other
/// frames.
pub(crate) fn publication(
    broker: &Shared,
    request: &Request,
    asked: &SendHeaders<'_>,
) -> Result<(Publication, Option<ReplyQueue>), BoxError> {
    let (reply_to, reply_queue) = match asked.reply_to {
        Some(value) => {
            let (checked, queue) = broker.reply_to_for_receivers(value, request)?;
            (Some(checked), queue)
        }
        None => (None, None),
    };
    let body = request.body();
    let body = if body.len() < LARGE_BODY {
        Bytes::copy_from_slice(body)
    } else {
        body.clone()
    };
    let headers = headers_for_receivers(broker, request, reply_to.as_deref());
    let mut message = Message::from_parts(headers, body);
    if let Some(reply_to) = reply_to {
        message = message.with_reply_to(&reply_to);
    }
    let publication = Publication::new(message)
        .retain(asked.retain)
        .expires(asked.expires)
        .confirm(request.headers().contains(header::RECEIPT))
        .sent_by(request);
    Ok((publication, reply_queue))
}

/// Returns the headers of the message for a `SEND` request.
fn headers_for_receivers(broker: &Shared, request: &Request, reply_to: Option<&str>) -> Headers {
    let stamps_user_id = broker.config.stamp_user_id;
    let mut headers = Headers::new();
    for (name, value) in request.headers().iter() {
        let value = match HeaderKind::of(name) {
            HeaderKind::NotOfSenders => continue,
            HeaderKind::UserId if stamps_user_id => continue,
            HeaderKind::ReplyTo => reply_to.unwrap_or(value),
            _ => value,
        };
        if !headers.contains(name) {
            headers.append(name, value);
        }
    }
    if stamps_user_id {
        let name = request.principal().map(Principal::name);
        name.into_iter()
            .for_each(|name| headers.append(USER_ID, name));
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Rules, Who, temporary_names};
    use stomp_frame::{Command, Frame};

    fn broker() -> Broker {
        let config = Config::default().max_temporary_queues(1);
        Broker::new(config.rules(Rules::open())).unwrap()
    }

    fn publication_from_request(
        broker: &Shared,
        request: &Request,
    ) -> Result<(Publication, Option<ReplyQueue>), BoxError> {
        publication(broker, request, &SendHeaders::read(request.headers())?)
    }

    fn publication_of(frame: Frame) -> Publication {
        let request = Request::new(frame.with_header("destination", "/topic/a"));
        publication_from_request(&broker().0, &request).unwrap().0
    }

    fn message_of(frame: Frame) -> Message {
        publication_of(frame).message
    }

    fn with_headers(headers: &[(&str, &str)]) -> Frame {
        headers
            .iter()
            .fold(Frame::new(Command::Send), |frame, (name, value)| {
                frame.with_header(name, value)
            })
    }

    #[test]
    fn a_message_has_the_first_of_each_header_of_its_sender() {
        let frame = with_headers(&[
            ("a", "1"),
            ("receipt", "7"),
            ("a", "2"),
            ("content-type", "text/plain"),
        ]);
        let message = message_of(frame.with_body("hi"));
        assert_eq!(
            *message.headers(),
            [("a", "1"), ("content-type", "text/plain")]
                .into_iter()
                .collect()
        );
        assert_eq!(message.body(), "hi");
    }

    #[test]
    fn headers_of_the_server_are_never_those_of_a_sender() {
        let forged = [
            ("ack", "1"),
            ("dead-letter-anything", "x"),
            ("dead-letter-reason", "rejected"),
            ("dropped-messages", "3"),
            ("gap", "unknown"),
            ("message-id", "1"),
            ("original-destination", "/queue/secret"),
            ("receipt-id", "1"),
            ("redelivered", "true"),
            ("subscription", "0"),
            ("transaction", "t"),
        ];
        let message = message_of(with_headers(&forged).with_header("user-id", "ann"));
        let expected: Headers = [("user-id", "ann")].into_iter().collect();
        assert_eq!(*message.headers(), expected);
    }

    #[test]
    fn a_stamped_user_id_is_the_name_of_the_principal_and_nothing_else() {
        let broker = Broker::new(Config::default().stamp_user_id(true)).unwrap();
        let user_id = |principal: Option<&str>| {
            let frame = with_headers(&[("user-id", "root"), ("user-id", "admin")]);
            let mut request = Request::new(frame);
            if let Some(name) = principal {
                request = request.with_principal(Principal::new(name));
            }
            let message = publication_from_request(&broker.0, &request)
                .unwrap()
                .0
                .message;
            let values: Vec<_> = message.headers().iter().map(|it| it.1.to_owned()).collect();
            values
        };
        assert_eq!(user_id(Some("ann")), ["ann"]);
        assert!(user_id(None).is_empty());
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
            assert_eq!(message.reply_to(), message.headers().get("reply-to"));
            message.reply_to().unwrap().to_owned()
        };
        let public = reply_to("/temp-queue/mine");
        assert!(
            temporary_names::is_public_name(public.strip_prefix("/temp-queue/").unwrap()),
            "{public}"
        );
        assert_eq!(reply_to(&public), public, "a public name stays the same");
        assert_eq!(reply_to("/queue/an.swers"), "/queue/an.swers");
    }

    #[test]
    fn all_spellings_of_a_temporary_queue_have_one_public_name() {
        let broker = broker();
        let send = |value: &str| with_headers(&[("destination", "/topic/a"), ("reply-to", value)]);
        let first = Request::new(send("/temp-queue/a.b"));
        let (publication, queue) = publication_from_request(&broker.0, &first).unwrap();
        assert_eq!(queue.unwrap().destination.as_str(), "/temp-queue/a.b");
        let public = publication.message.headers().get("reply-to").unwrap();
        let (again, _) = temporary_names::promised("a/b", first.session(), 1).unwrap();
        assert_eq!(public, format!("/temp-queue/{again}"));
    }

    #[test]
    fn a_reply_to_that_the_sender_could_not_use_itself_is_refused() {
        let rules = Rules::new()
            .send("/topic/own", Who::Anybody)
            .send("/user/>", Who::Authenticated)
            .subscribe("/temp-queue/mine", Who::Anybody);
        let broker = Broker::new(Config::default().rules(rules)).unwrap();
        let public = "/temp-queue/~0123456789abcdef0123456789abcdef";
        for (value, expected) in [
            ("/topic/own", "ok"),
            ("/temp-queue/mine", "ok"),
            (public, "ok"),
            ("/topic/prices", "forbidden"),
            ("/topic/>", "forbidden"),
            ("/topic/own/", "bad-destination"),
            ("/queue/own", "forbidden"),
            ("/temp-queue/other", "forbidden"),
            ("/temp-queue/a..b", "bad-destination"),
            ("/user/news", "login-required"),
            ("/replies", "forbidden"),
            ("", "forbidden"),
        ] {
            let request = Request::new(with_headers(&[("reply-to", value)]));
            let answer = publication_from_request(&broker.0, &request);
            let code = answer.map_or_else(
                |error| {
                    let error = ClientError::from_error(&*error);
                    assert!(error.text().contains("reply-to"), "{error}");
                    error.code().to_owned()
                },
                |_| "ok".to_owned(),
            );
            assert_eq!(code, expected, "{value:?}");
        }
        let request = Request::new(with_headers(&[("reply-to", "/user/news")]))
            .with_principal(Principal::new("ann"));
        let error = publication_from_request(&broker.0, &request).unwrap_err();
        assert!(error.to_string().starts_with("not-supported"), "{error}");
    }
}
