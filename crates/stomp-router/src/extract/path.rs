//! The parameters of a pattern as a typed handler argument.

use super::FromRequestParts;
use crate::client_errors::{UnavailableArgument, bad_request};
use serde::{
    de::{
        self, DeserializeOwned, Deserializer, Error as _, Expected, IntoDeserializer, Unexpected,
        Visitor,
        value::{MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use std::{fmt, str::FromStr};
use stomp_session::{BoxError, Request};

/// The parameters of a route's pattern.
///
/// `T` is one of these:
///
/// - a single value, for a pattern with one parameter;
/// - a tuple with one value for each parameter, in the order of the pattern;
/// - a struct or map, by the names of the parameters.
///
/// A value is a string, number, boolean, `char`, or an enum without fields. It is read from the
/// [canonical](stomp_session::Destination::canonical) text of the destination, without any decoding. If a value cannot
/// be read, the client gets the error `bad-request`, which names the parameter. If `T` does not fit the pattern, for
/// example because it has another number of parameters, the client gets `internal-error` and the log has the reason.
///
/// ```
/// use stomp_router::{Path, Router};
///
/// async fn one(Path(id): Path<u64>) {}
/// async fn two(Path((room, id)): Path<(String, u64)>) {}
///
/// let router: Router = Router::new().send("/users/{id}", one).send("/rooms/{room}/messages/{id}", two);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Path<T> {
    const IS_IMMEDIATE: bool = true;

    async fn from_request_parts(request: &Request, _: &S) -> Result<Self, BoxError> {
        match T::deserialize(Parameters { request }) {
            Ok(value) => Ok(Path(value)),
            Err(Error::Invalid(reason)) => {
                let text = format!("The parameters in the destination are invalid: {reason}.");
                Err(bad_request(&text).into())
            }
            Err(Error::Mismatch(reason)) => Err(UnavailableArgument::new::<Self>(reason).into()),
        }
    }
}

/// Error: parameters cannot be deserialized.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// The client has sent a value that the type does not have.
    #[error("{0}")]
    Invalid(String),
    /// The type does not fit the pattern of the route, so that no value would be valid.
    #[error("{0}")]
    Mismatch(String),
}

impl Error {
    fn mismatch(reason: impl Into<String>) -> Error {
        Error::Mismatch(reason.into())
    }
}

impl de::Error for Error {
    fn custom<T: fmt::Display>(reason: T) -> Error {
        Error::Invalid(reason.to_string())
    }

    fn invalid_type(unexpected: Unexpected<'_>, expected: &dyn Expected) -> Error {
        match unexpected {
            // The name of a variant with fields. Other variants may be valid.
            Unexpected::UnitVariant => Error::custom("it needs more values"),
            // All values are texts. A type that does not take a text takes no value.
            _ => Error::mismatch(format!("a parameter is text, and cannot be {expected}")),
        }
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Error {
        Error::mismatch(format!(
            "the number of parameters is {length}, and not {expected}"
        ))
    }

    fn missing_field(field: &'static str) -> Error {
        Error::mismatch(format!("the pattern has no parameter {field:?}"))
    }

    fn unknown_field(field: &str, _: &'static [&'static str]) -> Error {
        Error::mismatch(format!("there is no field for the parameter {field:?}"))
    }
}

/// A deserializer for all parameters together.
#[derive(Clone, Copy)]
struct Parameters<'a> {
    request: &'a Request,
}

impl<'a> Parameters<'a> {
    fn values(self) -> impl Iterator<Item = Value<'a>> + Clone {
        let params = self.request.params().iter(self.request.destination());
        params.map(|(name, text)| Value { name, text })
    }

    fn single(self) -> Result<Value<'a>, Error> {
        let mut values = self.values();
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(self.wrong_count(1)),
        }
    }

    /// Returns the error for a type with `expected` values, if the pattern has more or fewer parameters.
    fn wrong_count(self, expected: usize) -> Error {
        let count = self.values().count();
        Error::mismatch(format!(
            "the number of parameters in the pattern is {count}, and not {expected}"
        ))
    }
}

/// Implements methods that deserialize a single value. They fail unless the pattern has exactly one parameter.
macro_rules! single {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.single()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Parameters<'de> {
    type Error = Error;

    single! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_i128 deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string deserialize_option
        deserialize_identifier
    }

    forward_to_deserialize_any! { bytes byte_buf unit unit_struct ignored_any }

    fn deserialize_newtype_struct<V>(self, _: &'static str, visitor: V) -> Result<V::Value, Error>
    where
        V: Visitor<'de>,
    {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(self.values()))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if self.values().count() != length {
            return Err(self.wrong_count(length));
        }
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V>(
        self,
        _: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Error>
    where
        V: Visitor<'de>,
    {
        self.deserialize_tuple(length, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(MapDeserializer::new(
            self.values().map(|value| (value.name, value)),
        ))
    }

    fn deserialize_struct<V>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error>
    where
        V: Visitor<'de>,
    {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error>
    where
        V: Visitor<'de>,
    {
        self.single()?.deserialize_enum(name, variants, visitor)
    }
}

/// A deserializer for one parameter.
#[derive(Clone, Copy)]
struct Value<'a> {
    name: &'a str,
    text: &'a str,
}

/// Implements methods that parse the parameter's text with `FromStr`.
macro_rules! parse {
    ($($method:ident $visit:ident $expected:expr;)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            let value = self.parse($expected)?;
            visitor.$visit(value).map_err(|error| self.invalid(error))
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    parse! {
        deserialize_bool visit_bool "true or false";
        deserialize_i8 visit_i8 Integer(i8::MIN, i8::MAX);
        deserialize_i16 visit_i16 Integer(i16::MIN, i16::MAX);
        deserialize_i32 visit_i32 Integer(i32::MIN, i32::MAX);
        deserialize_i64 visit_i64 Integer(i64::MIN, i64::MAX);
        deserialize_i128 visit_i128 Integer(i128::MIN, i128::MAX);
        deserialize_u8 visit_u8 Integer(u8::MIN, u8::MAX);
        deserialize_u16 visit_u16 Integer(u16::MIN, u16::MAX);
        deserialize_u32 visit_u32 Integer(u32::MIN, u32::MAX);
        deserialize_u64 visit_u64 Integer(u64::MIN, u64::MAX);
        deserialize_u128 visit_u128 Integer(u128::MIN, u128::MAX);
        deserialize_f32 visit_f32 "a number";
        deserialize_f64 visit_f64 "a number";
        deserialize_char visit_char "a single character";
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor
            .visit_borrowed_str(self.text)
            .map_err(|error| self.invalid(error))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V>(self, _: &'static str, visitor: V) -> Result<V::Value, Error>
    where
        V: Visitor<'de>,
    {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error>
    where
        V: Visitor<'de>,
    {
        visitor
            .visit_enum(self.text.into_deserializer())
            .map_err(|error| self.invalid(error))
    }
}

/// Describes the expected integers in error texts, by the smallest and the largest. Clients see these texts, so they
/// name no Rust type.
struct Integer<T>(T, T);

impl<T: fmt::Display> fmt::Display for Integer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an integer from {} to {}", self.0, self.1)
    }
}

impl Value<'_> {
    fn parse<T: FromStr>(self, expected: impl fmt::Display) -> Result<T, Error> {
        let Value { name, text } = self;
        text.parse()
            .map_err(|_| Error::custom(format!("{name:?} must be {expected}, but is {text:?}")))
    }

    /// Adds the parameter's name and value to an error.
    fn invalid(self, error: Error) -> Error {
        let Value { name, text } = self;
        match error {
            Error::Invalid(reason) => {
                Error::custom(format!("{name:?} cannot be {text:?}: {reason}"))
            }
            mismatch @ Error::Mismatch(_) => mismatch,
        }
    }
}

impl<'de> IntoDeserializer<'de, Error> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
