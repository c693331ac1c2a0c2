//! A pattern's parameters as typed values.

use super::FromRequest;
use crate::map_error::bad_request;
use serde::{
    de::{
        DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor,
        value::{Error, MapDeserializer, SeqDeserializer},
    },
    forward_to_deserialize_any,
};
use stomp_session::{ClientError, Request};

/// The parameters of a route's pattern.
///
/// `T` is one value, for a pattern with one parameter; a tuple, in the pattern's order; or a struct or map, by name.
/// Values are strings, numbers, booleans, chars, and enums without fields. They are as in the destination: nothing is
/// decoded.
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

impl<T: DeserializeOwned, S> FromRequest<S> for Path<T> {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        let parameters = Parameters { request };
        T::deserialize(parameters)
            .map(Path)
            .map_err(|error| bad_request(&format!("In the destination, {error}.")))
    }
}

/// All parameters.
#[derive(Clone, Copy)]
struct Parameters<'a> {
    request: &'a Request,
}

impl<'a> Parameters<'a> {
    fn values(self) -> impl Iterator<Item = Value<'a>> + Clone {
        let found = self.request.params().iter(self.request.destination());
        found.map(|(name, text)| Value { name, text })
    }

    fn one(self) -> Result<Value<'a>, Error> {
        let mut values = self.values();
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            _ => Err(Error::custom(format!(
                "{} values stand where one is expected",
                self.values().count()
            ))),
        }
    }
}

/// A value of its own is the only parameter's.
macro_rules! one {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.one()?.$method(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Parameters<'de> {
    type Error = Error;

    one! {
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
        let found = self.values().count();
        if found != length {
            return Err(Error::custom(format!(
                "{found} values stand where {length} are expected"
            )));
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
        self.one()?.deserialize_enum(name, variants, visitor)
    }
}

/// One parameter.
#[derive(Clone, Copy)]
struct Value<'a> {
    name: &'a str,
    text: &'a str,
}

/// Numbers and booleans are read as Rust writes them.
macro_rules! parsed {
    ($($method:ident $visit:ident $kind:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.text.parse() {
                Ok(value) => visitor.$visit(value),
                Err(_) => Err(Error::custom(format!("{:?} is no {} for {:?}", self.text, $kind, self.name))),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    parsed! {
        deserialize_bool visit_bool "boolean"
        deserialize_i8 visit_i8 "number"
        deserialize_i16 visit_i16 "number"
        deserialize_i32 visit_i32 "number"
        deserialize_i64 visit_i64 "number"
        deserialize_i128 visit_i128 "number"
        deserialize_u8 visit_u8 "number"
        deserialize_u16 visit_u16 "number"
        deserialize_u32 visit_u32 "number"
        deserialize_u64 visit_u64 "number"
        deserialize_u128 visit_u128 "number"
        deserialize_f32 visit_f32 "number"
        deserialize_f64 visit_f64 "number"
        deserialize_char visit_char "single character"
    }

    forward_to_deserialize_any! {
        str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor
            .visit_borrowed_str(self.text)
            .map_err(|error: Error| self.wrong(&error))
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
            .map_err(|error| self.wrong(&error))
    }
}

impl Value<'_> {
    /// Says of which parameter an error is.
    fn wrong(self, error: &Error) -> Error {
        Error::custom(format!(
            "{:?} is wrong for {:?}: {error}",
            self.text, self.name
        ))
    }
}

impl<'de> IntoDeserializer<'de> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}
