//! The grammar of a frame's head, one function per production of STOMP 1.2, "Augmented BNF".
//!
//! It reads only complete heads of bounded length, whose end the decoder has found. Values may hold colons: the
//! specification escapes them, many clients do not, and the first colon ends the name either way.

use crate::{
    Command, DecodeErrorKind,
    headers::{Entries, Entry, Span},
};
use memchr::{memchr2, memchr3};
use nom::{
    Err, IResult, Offset, Parser,
    character::char,
    combinator::{opt, value},
    error::{ErrorKind, ParseError},
    multi::fold_many0,
    sequence::{separated_pair, terminated},
};

/// The command and the places of the headers in `input`, escapes not yet undone.
///
/// # Errors
///
/// What is wrong, and at which octet of `input`.
pub(crate) fn parse(input: &[u8]) -> Result<(Command, Entries), (DecodeErrorKind, usize)> {
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
    let place = |part: &[u8]| {
        let start = input.offset(part);
        Span::new(start, start + part.len())
    };
    let (rest, command) = terminated(command, eol).parse(input)?;
    let (rest, entries) =
        fold_many0(terminated(header, eol), Entries::new, |mut entries, (name, value): (&[u8], &[u8])| {
            entries.extend(place(name).zip(place(value)).map(|(name, value)| Entry { name, value }));
            entries
        })
        .parse(rest)?;
    let (rest, ()) = eol(rest)?;
    Ok((rest, (command, entries)))
}

/// ```abnf
/// command = client-command | server-command
/// ```
fn command(input: &[u8]) -> IResult<&[u8], Command, Fault> {
    let (rest, word) = until(memchr2(b'\r', b'\n', input), input);
    let command = Command::from_bytes(word).ok_or_else(|| Fault::fatal(input, DecodeErrorKind::UnknownCommand))?;
    Ok((rest, command))
}

/// ```abnf
/// header = header-name ":" header-value
/// ```
fn header(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8]), Fault> {
    separated_pair(header_name, char(':'), header_value).parse(input)
}

/// ```abnf
/// header-name = 1*<any OCTET except CR or LF or ":">
/// ```
fn header_name(input: &[u8]) -> IResult<&[u8], &[u8], Fault> {
    let (rest, name) = until(memchr3(b'\r', b'\n', b':', input), input);
    match (name, rest.first()) {
        ([], Some(b':')) => Err(Fault::fatal(input, DecodeErrorKind::EmptyHeaderName)),
        // The empty line: there are no more headers.
        ([], _) => Err(Err::Error(Fault::from_error_kind(input, ErrorKind::Not))),
        (_, Some(b':')) => Ok((rest, name)),
        _ => Err(Fault::fatal(input, DecodeErrorKind::MissingColon)),
    }
}

/// ```abnf
/// header-value = *<any OCTET except CR or LF or ":">
/// ```
fn header_value(input: &[u8]) -> IResult<&[u8], &[u8], Fault> {
    Ok(until(memchr2(b'\r', b'\n', input), input))
}

/// ```abnf
/// EOL = [CR] LF
/// ```
fn eol(input: &[u8]) -> IResult<&[u8], (), Fault> {
    let eol: IResult<_, _, Fault> = value((), (opt(char('\r')), char('\n'))).parse(input);
    eol.map_err(|_| Fault::fatal(input, DecodeErrorKind::BareCarriageReturn))
}

/// Splits `input` at `end`, or takes it all: what follows, and what was taken.
fn until(end: Option<usize>, input: &[u8]) -> (&[u8], &[u8]) {
    let (taken, rest) = input.split_at(end.unwrap_or(input.len()));
    (rest, taken)
}

/// What is wrong, and how many octets were left where it was found.
#[derive(Debug, Clone, Copy)]
struct Fault {
    left: usize,
    kind: DecodeErrorKind,
}

impl Fault {
    fn fatal(at: &[u8], kind: DecodeErrorKind) -> Err<Fault> {
        Err::Failure(Fault { left: at.len(), kind })
    }
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        Fault { left: input.len(), kind: DecodeErrorKind::Incomplete }
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
            assert_eq!(parse(input.as_bytes()).map(|_| ()), Err((kind, offset)), "{input:?}");
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
        let found: Vec<_> = entries.iter().map(|entry| (entry.name.of(text), entry.value.of(text))).collect();
        assert_eq!(found, [("a", "b:c"), ("d", "")]);
    }
}
