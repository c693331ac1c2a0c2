//! The commands of STOMP 1.0, 1.1 and 1.2.

use crate::InvalidValue;
use std::{fmt, str::FromStr};

/// The command of a frame.
///
/// Commands are case sensitive. The specifications define no other commands, so this enum is exhaustive, and decoding a
/// frame with an unknown command fails.
///
/// ```
/// use stomp_frame::Command;
///
/// assert_eq!("SEND".parse(), Ok(Command::Send));
/// assert_eq!(Command::Send.to_string(), "SEND");
/// assert!("send".parse::<Command>().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
// As wide as a pointer: a frame is moved word by word then, and not with single bytes between its words.
#[repr(usize)]
pub enum Command {
    /// `CONNECT`: a client opens a session.
    Connect,
    /// `STOMP`: the same as `CONNECT`, since 1.1.
    Stomp,
    /// `CONNECTED`: the server accepts the session.
    Connected,
    /// `SEND`: a client sends a message to a destination.
    Send,
    /// `SUBSCRIBE`: a client subscribes to a destination.
    Subscribe,
    /// `UNSUBSCRIBE`: a client ends a subscription.
    Unsubscribe,
    /// `BEGIN`: a client starts a transaction.
    Begin,
    /// `COMMIT`: a client commits a transaction.
    Commit,
    /// `ABORT`: a client rolls back a transaction.
    Abort,
    /// `ACK`: a client acknowledges a message.
    Ack,
    /// `NACK`: a client rejects a message, since 1.1. Many clients send it in 1.0 too.
    Nack,
    /// `DISCONNECT`: a client ends the session.
    Disconnect,
    /// `MESSAGE`: the server delivers a message to a subscription.
    Message,
    /// `RECEIPT`: the server confirms that it has processed a frame that requested a receipt.
    Receipt,
    /// `ERROR`: the server reports an error.
    Error,
}

impl Command {
    /// Every command, in the order of the specification's grammar.
    pub const ALL: [Command; 15] = [
        Command::Send,
        Command::Subscribe,
        Command::Unsubscribe,
        Command::Begin,
        Command::Commit,
        Command::Abort,
        Command::Ack,
        Command::Nack,
        Command::Disconnect,
        Command::Connect,
        Command::Stomp,
        Command::Connected,
        Command::Message,
        Command::Receipt,
        Command::Error,
    ];

    /// The length of the longest command, in bytes.
    pub(crate) const MAX_LEN: usize = "UNSUBSCRIBE".len();

    /// The command as written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Command::Connect => "CONNECT",
            Command::Stomp => "STOMP",
            Command::Connected => "CONNECTED",
            Command::Send => "SEND",
            Command::Subscribe => "SUBSCRIBE",
            Command::Unsubscribe => "UNSUBSCRIBE",
            Command::Begin => "BEGIN",
            Command::Commit => "COMMIT",
            Command::Abort => "ABORT",
            Command::Ack => "ACK",
            Command::Nack => "NACK",
            Command::Disconnect => "DISCONNECT",
            Command::Message => "MESSAGE",
            Command::Receipt => "RECEIPT",
            Command::Error => "ERROR",
        }
    }

    /// Returns true if a frame with this command may have a body.
    ///
    /// STOMP 1.2, "Body": "Only the `SEND`, `MESSAGE`, and `ERROR` frames MAY have a body."
    #[must_use]
    pub const fn allows_body(self) -> bool {
        matches!(self, Command::Send | Command::Message | Command::Error)
    }

    /// Returns true if the headers of frames with this command are not escaped, in any version.
    ///
    /// STOMP 1.2, "Value Encoding": "The `CONNECT` and `CONNECTED` frames do not escape the carriage return, line
    /// feed or colon octets in order to remain backward compatible with STOMP 1.0."
    #[must_use]
    pub const fn is_unescaped(self) -> bool {
        matches!(self, Command::Connect | Command::Stomp | Command::Connected)
    }

    /// Parses a command as written on the wire; `None` if it is unknown.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Command> {
        Some(match bytes {
            b"SEND" => Command::Send,
            b"SUBSCRIBE" => Command::Subscribe,
            b"UNSUBSCRIBE" => Command::Unsubscribe,
            b"BEGIN" => Command::Begin,
            b"COMMIT" => Command::Commit,
            b"ABORT" => Command::Abort,
            b"ACK" => Command::Ack,
            b"NACK" => Command::Nack,
            b"DISCONNECT" => Command::Disconnect,
            b"CONNECT" => Command::Connect,
            b"STOMP" => Command::Stomp,
            b"CONNECTED" => Command::Connected,
            b"MESSAGE" => Command::Message,
            b"RECEIPT" => Command::Receipt,
            b"ERROR" => Command::Error,
            _ => return None,
        })
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Command {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        Command::from_bytes(text.as_bytes())
            .ok_or_else(|| InvalidValue::new("command", text, "a STOMP command"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_parses_from_its_text() {
        for command in Command::ALL {
            assert_eq!(command.to_string().parse(), Ok(command));
            assert!(command.as_str().len() <= Command::MAX_LEN);
        }
    }

    #[test]
    fn the_error_of_an_unknown_command_quotes_it() {
        let error = "send ".parse::<Command>().unwrap_err();
        assert_eq!(
            error.to_string(),
            r#"command "send " is not a STOMP command"#
        );
    }
}
