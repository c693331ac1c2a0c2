//! Typed header values: `heart-beat`, `ack`, `content-length`.

use crate::InvalidValue;
use std::{fmt, str::FromStr, time::Duration};

/// The value of a `heart-beat` header: the intervals at which its sender can send heart-beats and wants to receive
/// them.
///
/// If `send` is 0, the sender of the header cannot send heart-beats. If `receive` is 0, it does not want to receive any
/// (STOMP 1.2, "Heart-beating"). The header has these two numbers in each version that defines it, so this is a struct
/// with public fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HeartBeat {
    /// The shortest interval between heart-beats that the sender of this header can guarantee, in milliseconds.
    pub send: u32,
    /// The interval at which the sender of this header wants to receive heart-beats, in milliseconds.
    pub receive: u32,
}

impl HeartBeat {
    /// No heart-beats in either direction.
    ///
    /// A missing header has the same meaning: it "MUST be treated the same way as a `heart-beat:0,0` header" (STOMP
    /// 1.2, "Heart-beating").
    pub const NONE: HeartBeat = HeartBeat {
        send: 0,
        receive: 0,
    };

    /// The longest time that this side may let pass between two heart-beats to `peer`; `None` if it need not send any.
    ///
    /// ```
    /// use std::time::Duration;
    /// use stomp_frame::HeartBeat;
    ///
    /// let server = HeartBeat { send: 1_000, receive: 1_000 };
    /// let client = HeartBeat { send: 0, receive: 10_000 };
    /// assert_eq!(server.send_interval(client), Some(Duration::from_secs(10)));
    /// assert_eq!(client.send_interval(server), None);
    /// ```
    #[must_use]
    pub fn send_interval(self, peer: HeartBeat) -> Option<Duration> {
        let agreed = agree(self.send, peer.receive);
        (agreed != 0).then(|| Duration::from_millis(agreed.into()))
    }

    /// The header with which this side answers the header of `peer`: it names the intervals that both agree on, with 0
    /// for a direction without heart-beats.
    ///
    /// Each side computes the interval of a direction as the larger of both numbers, or none if one is 0. The answer
    /// does not change that: the larger of a number and the larger of both is the larger of both. A client that takes
    /// the answer for the result gets the same intervals.
    ///
    /// ```
    /// use stomp_frame::HeartBeat;
    ///
    /// let server = HeartBeat { send: 1_000, receive: 1_000 };
    /// let client = HeartBeat { send: 0, receive: 10_000 };
    /// assert_eq!(server.agreed_with(client), HeartBeat { send: 10_000, receive: 0 });
    /// ```
    #[must_use]
    pub fn agreed_with(self, peer: HeartBeat) -> HeartBeat {
        HeartBeat {
            send: agree(self.send, peer.receive),
            receive: agree(peer.send, self.receive),
        }
    }
}

/// The interval of one direction, from the number of its sender and that of its receiver. 0 means none.
fn agree(sender: u32, receiver: u32) -> u32 {
    if sender == 0 || receiver == 0 {
        0
    } else {
        sender.max(receiver)
    }
}

impl fmt::Display for HeartBeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{}", self.send, self.receive)
    }
}

impl FromStr for HeartBeat {
    type Err = InvalidValue;

    /// Parses two numbers of milliseconds, separated by a comma. Spaces around a number are allowed, as in
    /// [`Version::negotiate`](crate::Version::negotiate). Numbers beyond `u32::MAX` (49 days) become `u32::MAX`.
    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let parse = || {
            let (send, receive) = text.split_once(',')?;
            Some(HeartBeat {
                send: parse_millis(send)?,
                receive: parse_millis(receive)?,
            })
        };
        parse().ok_or_else(|| {
            InvalidValue::new(
                "heart-beat",
                text,
                "two numbers of milliseconds, separated by a comma",
            )
        })
    }
}

/// The value of the `ack` header of a `SUBSCRIBE` frame: the acknowledgment mode of the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AckMode {
    /// `auto`: the server treats a message as acknowledged as soon as it is sent.
    #[default]
    Auto,
    /// `client`: an `ACK` acknowledges its message and all earlier messages of the subscription.
    Client,
    /// `client-individual`: an `ACK` acknowledges only its message. Since 1.1.
    ClientIndividual,
}

impl AckMode {
    /// The mode as written in a header.
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
            _ => Err(InvalidValue::new(
                "ack",
                text,
                "auto, client or client-individual",
            )),
        }
    }
}

/// Parses a `content-length`: one to ten digits and nothing else.
///
/// Signs, spaces and overflows are rejected, because another program that forwards the frame could read a different
/// number.
pub(crate) fn parse_content_length(text: &[u8]) -> Option<usize> {
    if text.len() > 10 {
        return None;
    }
    parse_digits(text).and_then(|length| usize::try_from(length).ok())
}

fn parse_millis(text: &str) -> Option<u32> {
    parse_digits(text.trim_matches(' ').as_bytes())
        .map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}

/// Parses one or more digits. Numbers that are too large become `u64::MAX`.
fn parse_digits(text: &[u8]) -> Option<u64> {
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
    fn a_heart_beat_is_exactly_two_numbers() {
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
        for padded in ["30000, 0", " 30000,0", "30000 ,0 "] {
            assert_eq!(
                padded.parse(),
                Ok(HeartBeat {
                    send: 30_000,
                    receive: 0
                }),
                "{padded:?}"
            );
        }
        for invalid in [
            "", ",", "1", "1,", ",1", "1,2,3", "-1,0", "+1,0", "1 0,0", "1,\t0", " ,1", "a,b",
        ] {
            let error = invalid.parse::<HeartBeat>().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "heart-beat {invalid:?} is not two numbers of milliseconds, separated by a comma"
                )
            );
        }
    }

    #[test]
    fn both_sides_compute_the_same_intervals_from_the_agreed_header() {
        let values = [0, 500, 1_000, u32::MAX];
        let all = values.map(|send| values.map(|receive| HeartBeat { send, receive }));
        for server in all.into_iter().flatten() {
            for client in all.into_iter().flatten() {
                let answer = server.agreed_with(client);
                assert_eq!(client.send_interval(answer), client.send_interval(server));
                assert_eq!(answer.send_interval(client), server.send_interval(client));
                let millis = |interval: Option<Duration>| interval.map_or(0, |it| it.as_millis());
                assert_eq!(
                    (u128::from(answer.send), u128::from(answer.receive)),
                    (
                        millis(server.send_interval(client)),
                        millis(client.send_interval(server))
                    ),
                    "{server} and {client}"
                );
            }
        }
    }

    #[test]
    fn a_content_length_is_one_to_ten_digits() {
        assert_eq!(parse_content_length(b"0"), Some(0));
        assert_eq!(parse_content_length(b"0000000012"), Some(12));
        for invalid in ["", "-1", "+5", " 5", "5 ", "0x5", "5.0", "00000000012"] {
            assert_eq!(
                parse_content_length(invalid.as_bytes()),
                None,
                "{invalid:?}"
            );
        }
    }
}
