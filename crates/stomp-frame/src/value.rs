//! Header values with a form of their own: `heart-beat`, `ack`, `content-length`.

use crate::InvalidValue;
use std::{fmt, str::FromStr, time::Duration};

/// The value of a `heart-beat` header: what its sender can do, and what it would like to get.
///
/// Zero means "cannot" or "does not want" (STOMP 1.2, "Heart-beating").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeartBeat {
    /// The smallest time between heart-beats that the sender of this header can guarantee, in milliseconds.
    pub send: u32,
    /// The time between heart-beats that it would like to get, in milliseconds.
    pub receive: u32,
}

impl HeartBeat {
    /// A missing header: "MUST be treated the same way as a `heart-beat:0,0` header".
    pub const NONE: HeartBeat = HeartBeat {
        send: 0,
        receive: 0,
    };

    /// How often this side has to send, given what the `peer` declared; `None` if it need not.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stomp_frame::HeartBeat;
    ///
    /// let server = HeartBeat { send: 1_000, receive: 1_000 };
    /// let client = HeartBeat { send: 0, receive: 10_000 };
    /// assert_eq!(server.sends_to(client), Some(Duration::from_secs(10)));
    /// assert_eq!(client.sends_to(server), None);
    /// ```
    #[must_use]
    pub fn sends_to(self, peer: HeartBeat) -> Option<Duration> {
        let agreed = self.send.max(peer.receive);
        (self.send != 0 && peer.receive != 0).then(|| Duration::from_millis(agreed.into()))
    }
}

impl fmt::Display for HeartBeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.send, self.receive)
    }
}

impl FromStr for HeartBeat {
    type Err = InvalidValue;

    /// Reads two numbers separated by a comma. Numbers beyond `u32::MAX` (49 days) are taken as `u32::MAX`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        const FORM: InvalidValue =
            InvalidValue("heart-beat is two numbers of milliseconds, separated by a comma");
        let (send, receive) = text.split_once(',').ok_or(FORM)?;
        Ok(HeartBeat {
            send: millis(send).ok_or(FORM)?,
            receive: millis(receive).ok_or(FORM)?,
        })
    }
}

/// The value of a `SUBSCRIBE` frame's `ack` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AckMode {
    /// `auto`: a message counts as consumed as soon as it is sent.
    #[default]
    Auto,
    /// `client`: an `ACK` is cumulative, for its message and all before it.
    Client,
    /// `client-individual`: an `ACK` is for its message only.
    ClientIndividual,
}

impl AckMode {
    /// The mode as it stands in a header.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            AckMode::Auto => "auto",
            AckMode::Client => "client",
            AckMode::ClientIndividual => "client-individual",
        }
    }
}

impl fmt::Display for AckMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AckMode {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        match text {
            "auto" => Ok(AckMode::Auto),
            "client" => Ok(AckMode::Client),
            "client-individual" => Ok(AckMode::ClientIndividual),
            _ => Err(InvalidValue(
                "ack is one of auto, client and client-individual",
            )),
        }
    }
}

/// Reads a `content-length`: at most ten digits and nothing else, so that it neither overflows nor surprises.
pub(crate) fn content_length(text: &[u8]) -> Option<usize> {
    if text.len() > 10 {
        return None;
    }
    digits(text).and_then(|length| usize::try_from(length).ok())
}

fn millis(text: &str) -> Option<u32> {
    digits(text.as_bytes()).map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}

/// One or more digits as a number; numbers too large are `u64::MAX`.
fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |sum, byte| {
        byte.is_ascii_digit().then(|| {
            sum.saturating_mul(10)
                .saturating_add(u64::from(byte - b'0'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heart_beats_are_two_numbers() {
        assert_eq!(
            "0,10000".parse(),
            Ok(HeartBeat {
                send: 0,
                receive: 10_000
            })
        );
        assert_eq!(
            "99999999999999999999999,1".parse(),
            Ok(HeartBeat {
                send: u32::MAX,
                receive: 1
            })
        );
        for wrong in [
            "", ",", "1", "1,", ",1", "1,2,3", "-1,0", "+1,0", " 1,0", "1, 0", "a,b",
        ] {
            assert!(wrong.parse::<HeartBeat>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn content_length_is_digits_only() {
        assert_eq!(content_length(b"0"), Some(0));
        assert_eq!(content_length(b"0000000012"), Some(12));
        for wrong in ["", "-1", "+5", " 5", "5 ", "0x5", "5.0", "00000000012"] {
            assert_eq!(content_length(wrong.as_bytes()), None, "{wrong:?}");
        }
    }
}
