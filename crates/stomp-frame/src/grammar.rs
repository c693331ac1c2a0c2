//! The grammar of a frame's head. The functions follow the productions of STOMP 1.2, "Augmented BNF".
//!
//! Its input is a complete head: the scanner has found the end of the head and checked the limits. Values may contain
//! unescaped colons. The specification requires an escape, but many clients do not escape them, and the first colon
//! ends the name anyway.

use crate::{
    Command, DecodeErrorKind,
    headers::{Entries, Entry},
};
use memchr::{memchr, memchr_iter};
use nom::{
    Err, IResult, Offset, Parser, error::ErrorKind, multi::fold_many0, sequence::separated_pair,
};

/// Parses a head. Returns its command, and the positions of its headers, which remain escaped.
///
/// # Errors
///
/// Returns the kind of the error, and its position in `input`.
pub(crate) fn parse(input: &[u8]) -> Result<(Command, Entries), (DecodeErrorKind, usize)> {
    if let Some(position) = find_bare_carriage_return(input) {
        return Err((DecodeErrorKind::BareCarriageReturn, position));
    }
    match head(input) {
        Ok((_, parsed)) => Ok(parsed),
        Err(Err::Error(error) | Err::Failure(error)) => {
            Err((error.kind, input.len() - error.rest_len))
        }
        Err(Err::Incomplete(_)) => Err((DecodeErrorKind::Incomplete, input.len())),
    }
}

/// Parses the part of a frame before its body.
///
/// ```abnf
/// frame = command EOL *( header EOL ) EOL *OCTET NULL *( EOL )
/// ```
fn head(input: &[u8]) -> IResult<&[u8], (Command, Entries), ParseError> {
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

/// Parses a command and its EOL.
///
/// ```abnf
/// command = client-command | server-command
/// ```
fn command(input: &[u8]) -> IResult<&[u8], Command, ParseError> {
    let (rest, word) = line(input)?;
    let command = Command::from_bytes(word)
        .ok_or_else(|| ParseError::fatal(input, DecodeErrorKind::UnknownCommand))?;
    Ok((rest, command))
}

/// Parses a header and its EOL.
///
/// ```abnf
/// header = header-name ":" header-value
/// ```
#[inline]
fn header(input: &[u8]) -> IResult<&[u8], (&[u8], &[u8]), ParseError> {
    separated_pair(header_name, colon, header_value).parse(input)
}

/// Parses the name of a header, without its colon.
///
/// ```abnf
/// header-name = 1*<any OCTET except CR or LF or ":">
/// ```
#[inline]
fn header_name(input: &[u8]) -> IResult<&[u8], &[u8], ParseError> {
    match (input, memchr(b':', input)) {
        // The empty line ends the headers. This error is recoverable, and ends `fold_many0`.
        ([b'\n', ..] | [b'\r', b'\n', ..], _) => Err(Err::Error(ParseError::at(
            input,
            DecodeErrorKind::Incomplete,
        ))),
        (_, Some(0)) => Err(ParseError::fatal(input, DecodeErrorKind::EmptyHeaderName)),
        (_, Some(end)) => {
            let (name, rest) = input.split_at(end);
            // Names are short, so this is faster than memchr.
            if name.contains(&b'\n') {
                return Err(ParseError::fatal(input, DecodeErrorKind::MissingColon));
            }
            Ok((rest, name))
        }
        (_, None) => Err(ParseError::fatal(input, DecodeErrorKind::MissingColon)),
    }
}

#[inline]
fn colon(input: &[u8]) -> IResult<&[u8], (), ParseError> {
    match input {
        [b':', rest @ ..] => Ok((rest, ())),
        _ => Err(ParseError::fatal(input, DecodeErrorKind::MissingColon)),
    }
}

/// Parses the value of a header and its EOL.
///
/// ```abnf
/// header-value = *<any OCTET except CR or LF or ":">
/// ```
#[inline]
fn header_value(input: &[u8]) -> IResult<&[u8], &[u8], ParseError> {
    line(input)
}

/// Parses a line and its EOL, and returns the line without the EOL.
///
/// ```abnf
/// EOL = [CR] LF
/// ```
#[inline]
fn line(input: &[u8]) -> IResult<&[u8], &[u8], ParseError> {
    let Some(end) = memchr(b'\n', input) else {
        return Err(ParseError::fatal(input, DecodeErrorKind::Incomplete));
    };
    let (line, rest) = input.split_at(end);
    Ok((
        rest.get(1..).unwrap_or_default(),
        line.strip_suffix(b"\r").unwrap_or(line),
    ))
}

/// Finds a carriage return that is not part of an EOL. Most heads contain none, so one search of the whole head is
/// cheaper than one per line.
fn find_bare_carriage_return(input: &[u8]) -> Option<usize> {
    memchr_iter(b'\r', input).find(|position| input.get(position + 1) != Some(&b'\n'))
}

/// A parse error: its kind, and the number of bytes from its position to the end of the input.
#[derive(Debug, Clone, Copy)]
struct ParseError {
    rest_len: usize,
    kind: DecodeErrorKind,
}

impl ParseError {
    fn at(rest: &[u8], kind: DecodeErrorKind) -> ParseError {
        ParseError {
            rest_len: rest.len(),
            kind,
        }
    }

    /// Creates an error after which nom tries no alternative.
    fn fatal(rest: &[u8], kind: DecodeErrorKind) -> Err<ParseError> {
        Err::Failure(ParseError::at(rest, kind))
    }
}

impl nom::error::ParseError<&[u8]> for ParseError {
    fn from_error_kind(input: &[u8], _: ErrorKind) -> Self {
        ParseError::at(input, DecodeErrorKind::Incomplete)
    }

    fn append(_: &[u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_error_has_a_kind_and_a_position() {
        let check = |input: &str, kind, position| {
            assert_eq!(
                parse(input.as_bytes()).map(|_| ()),
                Err((kind, position)),
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
    fn a_value_may_contain_colons_or_be_empty() {
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
