//! The commands of STOMP 1.0, 1.1 and 1.2.

use std::fmt;

/// A frame's command.
///
/// Commands are case sensitive, and there are no others: a frame with an unknown command is refused when it is
/// decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// `CONNECT`: a client opens the session.
    Connect,
    /// `STOMP`: the same as `CONNECT`, since 1.1.
    Stomp,
    /// `CONNECTED`: the server accepts the session.
    Connected,
    /// `SEND`: a client sends a message to a destination.
    Send,
    /// `SUBSCRIBE`: a client asks for the messages of a destination.
    Subscribe,
    /// `UNSUBSCRIBE`: a client ends a subscription.
    Unsubscribe,
    /// `BEGIN`: a client starts a transaction.
    Begin,
    /// `COMMIT`: a client carries out a transaction.
    Commit,
    /// `ABORT`: a client drops a transaction.
    Abort,
    /// `ACK`: a client has consumed a message.
    Ack,
    /// `NACK`: a client has not consumed a message, since 1.1.
    Nack,
    /// `DISCONNECT`: a client ends the session.
    Disconnect,
    /// `MESSAGE`: the server delivers a message to a subscription.
    Message,
    /// `RECEIPT`: the server has processed a frame that asked for a receipt.
    Receipt,
    /// `ERROR`: something went wrong.
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

    /// The length of the longest command.
    pub(crate) const LONGEST: usize = "UNSUBSCRIBE".len();

    /// The command as it stands on the wire.
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

    /// Whether a frame of this command may have a body.
    ///
    /// STOMP 1.2, "Body": "Only the `SEND`, `MESSAGE`, and `ERROR` frames MAY have a body."
    #[must_use]
    pub const fn allows_body(self) -> bool {
        matches!(self, Command::Send | Command::Message | Command::Error)
    }

    /// Whether header values of this command's frames are never escaped, in any version.
    ///
    /// STOMP 1.2, "Value Encoding": "The `CONNECT` and `CONNECTED` frames do not escape the carriage return, line
    /// feed or colon octets in order to remain backward compatible with STOMP 1.0."
    #[must_use]
    pub const fn is_unescaped(self) -> bool {
        matches!(self, Command::Connect | Command::Stomp | Command::Connected)
    }

    /// Reads a command as it stands on the wire.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_reads_back() {
        for command in Command::ALL {
            assert_eq!(
                Command::from_bytes(command.as_str().as_bytes()),
                Some(command)
            );
        }
        assert_eq!(Command::from_bytes(b"send"), None);
        assert_eq!(Command::from_bytes(b"SEND "), None);
    }
}
