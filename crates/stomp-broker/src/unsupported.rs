//! Headers of other brokers that restrict or promise something. To ignore one would give the client more than it asked
//! for, or less than it relies on. So the broker refuses it.
//!
//! Other headers of other brokers are only hints, such as a priority, and are ignored. The guide of `webstomp` lists
//! both.

use crate::capabilities::not_supported;
use stomp_frame::Headers;
use stomp_session::ClientError;

/// Headers of `SUBSCRIBE` that select messages, or name a subscription or a queue of another kind.
const SUBSCRIBE: [&str; 15] = [
    "activemq.subcriptionName",
    "activemq.subscriptionName",
    "durable-subscriber-name",
    "durable-subscription-name",
    "selector",
    "x-dead-letter-exchange",
    "x-dead-letter-routing-key",
    "x-expires",
    "x-max-length",
    "x-max-length-bytes",
    "x-max-priority",
    "x-message-ttl",
    "x-overflow",
    "x-stream-filter",
    "x-stream-offset",
];

/// Headers of `SUBSCRIBE` that ask for something unless their value is `false`.
const SUBSCRIBE_FLAGS: [&str; 9] = [
    "activemq.exclusive",
    "activemq.noLocal",
    "activemq.retroactive",
    "browser",
    "no-local",
    "noLocal",
    "persistent",
    "x-single-active-consumer",
    "x-stream-match-unfiltered",
];

/// The start of the names of headers about the kind of a queue.
const QUEUE_PREFIX: &str = "x-queue-";

/// Headers of `SEND` that restrict to whom or when a message is delivered.
const SEND: [&str; 6] = [
    "JMSXGroupID",
    "_AMQ_DUPL_ID",
    "_AMQ_GROUP_ID",
    "_AMQ_SCHED_DELIVERY",
    "expiration",
    "x-delay",
];

/// The start of the names of headers about the time of a delivery.
const SCHEDULED_PREFIX: &str = "AMQ_SCHEDULED_";

/// Checks that a subscription asks for nothing that the broker lacks.
///
/// # Errors
///
/// Returns `not-supported`, with the name of the header.
pub(crate) fn check_subscribe(headers: &Headers) -> Result<(), ClientError> {
    let asks = |name: &str, value: &str| {
        SUBSCRIBE.contains(&name)
            || name.starts_with(QUEUE_PREFIX)
            || (value != "false" && SUBSCRIBE_FLAGS.contains(&name))
    };
    match headers.iter().find(|(name, value)| asks(name, value)) {
        Some((name, _)) => Err(not_supported(&format!("the header {name}"))),
        None => Ok(()),
    }
}

/// Checks that a header of a `SEND` asks for nothing that the broker lacks.
///
/// # Errors
///
/// Returns `not-supported`, with the name of the header.
#[inline]
pub(crate) fn check_send(name: &str) -> Result<(), ClientError> {
    if !SEND.contains(&name) && !name.starts_with(SCHEDULED_PREFIX) {
        return Ok(());
    }
    Err(refusal(name))
}

#[cold]
fn refusal(name: &str) -> ClientError {
    let hint = match name {
        "expiration" => " (the header expires is supported: milliseconds since 1970)",
        _ => "",
    };
    not_supported(&format!("the header {name}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restriction_of_a_subscription_is_refused_and_named() {
        for (name, value, is_ok) in [
            ("selector", "region = 'eu'", false),
            ("selector", "", false),
            ("no-local", "true", false),
            ("no-local", "false", true),
            ("browser", "true", false),
            ("auto-delete", "true", true),
            ("x-queue-name", "mine", false),
            ("durable-subscriber-name", "mine", false),
            ("x-message-ttl", "1000", false),
            ("activemq.prefetchSize", "1", true),
            ("activemq.dispatchAsync", "true", true),
            ("x-priority", "1", true),
            ("x-anything-else", "1", true),
        ] {
            let headers = [("id", "0"), (name, value)].into_iter().collect();
            let checked = check_subscribe(&headers).map_err(|error| error.to_string());
            let expected = if is_ok {
                Ok(())
            } else {
                Err(format!(
                    "not-supported: This broker does not support the header {name}."
                ))
            };
            assert_eq!(checked, expected, "{name}:{value}");
        }
    }

    #[test]
    fn a_restriction_of_a_message_is_refused_and_named() {
        for name in ["persistent", "priority", "timestamp", "expires", "type"] {
            assert_eq!(check_send(name), Ok(()), "{name}");
        }
        for name in SEND
            .into_iter()
            .chain(["AMQ_SCHEDULED_TIME", "AMQ_SCHEDULED_DELAY"])
        {
            let error = check_send(name).unwrap_err();
            assert_eq!(error.code(), "not-supported");
            assert!(
                error.text().contains(&format!("the header {name}")),
                "{name}"
            );
        }
    }
}
