//! Conversion of the application's destinations.

use crate::syntax;
use bytestring::ByteString;
use stomp_session::{ClientError, Destination};

/// A destination that the application gives to a broker: a text, or a parsed [`Destination`].
///
/// A text is parsed by the broker's [syntax](crate::destination_syntax). Both `/` and `.` separate segments, and `*`,
/// `>` and `#` can be wildcards. So do not insert text from a client into it. [`Destination::from_segments`] makes a
/// destination with such text as one segment, and refuses separators and wildcards in it:
///
/// ```
/// use stomp_broker::Broker;
/// use stomp_session::{BoxError, Destination};
///
/// async fn say(broker: &Broker, room: &str, text: String) -> Result<(), BoxError> {
///     let room = Destination::from_segments("/topic/rooms", [room])?;
///     broker.publish(room, text).await
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a destination of a broker",
    note = "a destination is a `&str`, a `String`, a `ByteString`, or a `Destination`"
)]
pub trait IntoDestination {
    /// Converts the value to a destination.
    ///
    /// # Errors
    ///
    /// Returns `bad-destination` if the syntax of the text is invalid.
    fn into_destination(self) -> Result<Destination, ClientError>;
}

impl IntoDestination for &str {
    fn into_destination(self) -> Result<Destination, ClientError> {
        self.to_owned().into_destination()
    }
}

impl IntoDestination for String {
    fn into_destination(self) -> Result<Destination, ClientError> {
        Ok(syntax::shared_syntax().parse(self)?)
    }
}

impl IntoDestination for &String {
    fn into_destination(self) -> Result<Destination, ClientError> {
        self.clone().into_destination()
    }
}

/// Copies the text. Its memory may have a destructor of the application, and an engine keeps destinations under locks.
impl IntoDestination for ByteString {
    fn into_destination(self) -> Result<Destination, ClientError> {
        self.to_string().into_destination()
    }
}

/// Copies the destination, as for a `ByteString`. Parses it again if another syntax has parsed it differently.
impl IntoDestination for Destination {
    fn into_destination(self) -> Result<Destination, ClientError> {
        (&self).into_destination()
    }
}

impl IntoDestination for &Destination {
    fn into_destination(self) -> Result<Destination, ClientError> {
        Ok(syntax::own(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_session::DestinationSyntax;

    #[test]
    fn text_and_parsed_destinations_are_the_same_destination() {
        let parsed = syntax::shared_syntax().parse("/topic/a.b").unwrap();
        let foreign = DestinationSyntax::default().parse("/topic/a.b").unwrap();
        let text = "/topic/a.b".to_owned();
        for destination in [
            "/topic/a.b".into_destination(),
            (&text).into_destination(),
            text.into_destination(),
            (&parsed).into_destination(),
            parsed.clone().into_destination(),
            (&foreign).into_destination(),
            foreign.into_destination(),
            Destination::from_segments("/topic", ["a", "b"])
                .unwrap()
                .into_destination(),
        ] {
            assert_eq!(destination.as_ref(), Ok(&parsed));
        }
        let error = "/topic/a..b".into_destination().unwrap_err();
        assert_eq!(error.code(), "bad-destination");
    }
}
