//! The grammar of a frame's head, one function per production of STOMP 1.2, "Augmented BNF".
//!
//! It reads only complete heads of bounded length, whose end the decoder has found. Values may hold colons: the
//! specification escapes them, many clients do not, and the first colon ends the name either way.

use crate::{
    Command, DecodeErrorKind,
    headers::{Entries, Entry},
};
use memchr::{memchr, memchr_iter};
use nom::{
    Err, IResult, Offset, Parser,
    error::{ErrorKind, ParseError},
    multi::fold_many0,
    sequence::separated_pair,
};

/// The command and the places of the headers in `input`, escapes not yet undone.
///
/// # Errors
///
/// What is wrong, and at which byte of `input`.
pub(crate) fn parse(input: &[u8]) -> Result<(Command, Entries), (DecodeErrorKind, usize)> {
    if let Some(at) = bare_carriage_return(input) {
        return Err((DecodeErrorKind::BareCarriageReturn, at));
    }
    match head(input) {
        Ok((_, parsed)) => Ok(parsed),
        Err(Err::Error(fault) | Err::Failure(fault)) => Err((fault.kind, input.len() - fault.left)),
        Err(Err::Incomplete(_)) => Err((DecodeErrorKind::Incomplete, input.len())),
    }
}

/// ```abnf
/// frame = command EOL *( header EOL ) EOL *OCTET NULL *( EOL )
/// ```
/// of which this is the part before the body.
fn head(input: &[u8]) -> IResult<&[u8], (Command, Entries), Fault> {
    let (rest, command) = command(input)?;
    let (rest, entries) = fold_many0(
        header,
        Entries::new,
        |mut entries, (name, value): (&[u8], &[u8])| {
            let start = input.offset(name);
            let colon = start + name.len();
            entries.push(Entry::new(start, colon, colon + 1 + value.len()));
            entries
        },
    )
    .parse(rest)?;
    let (rest, _) = line(rest)?;
    Ok((rest, (command, entries)))
}

/// ```abnf
/// command = client-command | server-command
/// ```
/// with its EOL.
fn command(input: &[u8]) -> IResult<&[u8], Command, Fault> {
    let (rest, word) = line(input)?;
    let command = Command::from_bytes(word)
        .ok_or_else(|| Fault::fatal(input, DecodeErrorKind::UnknownCommand))?;
    Ok((rest, command))
}

/// ```abnf
/// header = header-name ":" header-value
/// ```
/// with its EOL.
#[inline]
fn header(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8]), Fault> {
    separated_pair(header_name, colon, header_value).parse(input)
}

/// ```abnf
/// header-name = 1*<any OCTET except CR or LF or ":">
/// ```
#[inline]
fn header_name(input: &[u8]) -> IResult<&[u8], &[u8], Fault> {
    match (input, memchr(b':', input)) {
        // The empty line: there are no more headers.
        ([b'\n', ..] | [b'\r', b'\n', ..], _) => {
            Err(Err::Error(Fault::from_error_kind(input, ErrorKind::Not)))
        }
        (_, Some(0)) => Err(Fault::fatal(input, DecodeErrorKind::EmptyHeaderName)),
        (_, Some(end)) => {
            let (name, rest) = input.split_at(end);
            // Names are short.
            if name.contains(&b'\n') {
                return Err(Fault::fatal(input, DecodeErrorKind::MissingColon));
            }
            Ok((rest, name))
        }
        (_, None) => Err(Fault::fatal(input, DecodeErrorKind::MissingColon)),
    }
}

#[inline]
fn colon(input: &[u8]) -> IResult<&[u8], (), Fault> {
    match input {
        [b':', rest @ ..] => Ok((rest, ())),
        _ => Err(Fault::fatal(input, DecodeErrorKind::MissingColon)),
    }
}

/// ```abnf
/// header-value = *<any OCTET except CR or LF or ":">
/// ```
#[inline]
fn header_value(input: &[u8]) -> IResult<&[u8], &[u8], Fault> {
    line(input)
}

/// What stands before the next EOL.
///
/// ```abnf
/// EOL = [CR] LF
/// ```
#[inline]
fn line(input: &[u8]) -> IResult<&[u8], &[u8], Fault> {
    let Some(end) = memchr(b'\n', input) else {
        return Err(Fault::fatal(input, DecodeErrorKind::Incomplete));
    };
    let (line, rest) = input.split_at(end);
    Ok((
        rest.get(1..).unwrap_or_default(),
        line.strip_suffix(b"\r").unwrap_or(line),
    ))
}

/// Where a carriage return stands that is not part of an EOL. Most heads have none at all, so this is looked for once
/// and not in every line.
fn bare_carriage_return(input: &[u8]) -> Option<usize> {
    memchr_iter(b'\r', input).find(|at| input.get(at + 1) != Some(&b'\n'))
}

/// What is wrong, and how many bytes were left where it was found.
#[derive(Debug, Clone, Copy)]
struct Fault {
    left: usize,
    kind: DecodeErrorKind,
}

impl Fault {
    fn fatal(at: &[u8], kind: DecodeErrorKind) -> Err<Fault> {
        Err::Failure(Fault {
            left: at.len(),
            kind,
        })
    }
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Fault {
            left: input.len(),
            kind: DecodeErrorKind::Incomplete,
        }
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_named_and_placed() {
        let check = |input: &str, kind, offset| {
            assert_eq!(
                parse(input.as_bytes()).map(|_| ()),
                Err((kind, offset)),
                "{input:?}"
            );
        };
        check("SENT\n\n", DecodeErrorKind::UnknownCommand, 0);
        check("SEND\rx\n\n", DecodeErrorKind::BareCarriageReturn, 4);
        check("SEND\na:b\nc\n\n", DecodeErrorKind::MissingColon, 9);
        check("SEND\n:b\n\n", DecodeErrorKind::EmptyHeaderName, 5);
        check("SEND\na:b\rc\n\n", DecodeErrorKind::BareCarriageReturn, 8);
        check("SEND\na:b\n\rc\n\n", DecodeErrorKind::BareCarriageReturn, 9);
    }

    #[test]
    fn a_value_may_hold_colons_or_nothing() {
        let (command, entries) = parse(b"SEND\r\na:b:c\nd:\r\n\r\n").unwrap();
        let text = "SEND\r\na:b:c\nd:\r\n\r\n";
        assert_eq!(command, Command::Send);
        let found: Vec<_> = entries
            .iter()
            .map(|entry| (entry.name(text), entry.value(text)))
            .collect();
        assert_eq!(found, [("a", "b:c"), ("d", "")]);
    }
}
