//! Checks that a version of the protocol allows a frame.

use crate::{Command, Frame, InvalidFrame, Version, header};

impl Frame {
    /// Checks that `version` defines the command, and that each header that the version requires is present and not
    /// empty.
    ///
    /// Does not require `host` and `accept-version`, because widely used clients omit them. Without `accept-version`,
    /// the version is 1.0. Allows `NACK` in 1.0, which does not define it, because clients of 1.0 send it.
    ///
    /// ```
    /// use stomp_frame::{Command, Frame, Version};
    ///
    /// let subscribe = Frame::new(Command::Subscribe).with_header("destination", "/topic/a");
    /// assert!(subscribe.validate(Version::V1_0).is_ok());
    /// assert!(subscribe.validate(Version::V1_2).is_err()); // no id
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the first problem that was found.
    pub fn validate(&self, version: Version) -> Result<(), InvalidFrame> {
        let command = self.command;
        if command == Command::Stomp && version == Version::V1_0 {
            return Err(InvalidFrame::NotInVersion { command, version });
        }
        let has = |name| {
            self.headers
                .get(name)
                .is_some_and(|value| !value.is_empty())
        };
        // STOMP 1.0, "UNSUBSCRIBE": "It requires either a destination header or an id header".
        if command == Command::Unsubscribe && version == Version::V1_0 && has(header::DESTINATION) {
            return Ok(());
        }
        match required(command, version).iter().find(|name| !has(name)) {
            Some(name) => Err(InvalidFrame::MissingHeader { command, name }),
            None => Ok(()),
        }
    }
}

/// The headers that the specification of `version` requires for `command`, in the section "Frames and Headers".
fn required(command: Command, version: Version) -> &'static [&'static str] {
    use Version::{V1_0, V1_1, V1_2};
    match (command, version) {
        (Command::Send, _) | (Command::Subscribe, V1_0) => &[header::DESTINATION],
        (Command::Subscribe, _) => &[header::DESTINATION, header::ID],
        (Command::Unsubscribe, _) | (Command::Ack | Command::Nack, V1_2) => &[header::ID],
        (Command::Ack | Command::Nack, V1_1) => &[header::SUBSCRIPTION, header::MESSAGE_ID],
        (Command::Ack | Command::Nack, V1_0) => &[header::MESSAGE_ID],
        (Command::Begin | Command::Commit | Command::Abort, _) => &[header::TRANSACTION],
        (Command::Message, V1_0) => &[header::DESTINATION, header::MESSAGE_ID],
        (Command::Message, _) => &[
            header::DESTINATION,
            header::MESSAGE_ID,
            header::SUBSCRIPTION,
        ],
        (Command::Receipt, _) => &[header::RECEIPT_ID],
        (Command::Connected, V1_1 | V1_2) => &[header::VERSION],
        (Command::Connected, V1_0) => &[],
        (Command::Connect | Command::Stomp | Command::Disconnect | Command::Error, _) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_header_counts_as_missing() {
        let send = Frame::new(Command::Send).with_header("destination", "");
        let missing = InvalidFrame::MissingHeader {
            command: Command::Send,
            name: "destination",
        };
        assert_eq!(send.validate(Version::V1_2), Err(missing));
    }

    #[test]
    fn an_ack_requires_different_headers_in_each_version() {
        let by_id = Frame::new(Command::Ack).with_header("id", "1");
        let by_message = Frame::new(Command::Ack).with_header("message-id", "1");
        let by_both = by_message.clone().with_header("subscription", "0");
        let allowed = |frame: &Frame| Version::ALL.map(|version| frame.validate(version).is_ok());
        assert_eq!(allowed(&by_id), [false, false, true]);
        assert_eq!(allowed(&by_message), [true, false, false]);
        assert_eq!(allowed(&by_both), [true, true, false]);
    }
}
