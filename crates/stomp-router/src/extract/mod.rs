//! Handler arguments, taken from a request.

mod body;
mod extension;
mod from_request;
mod optional;
mod path;
mod state;

pub use extension::Extension;
pub use from_request::{FromRequest, FromRequestParts, ViaParts, ViaRequest};
pub use optional::OptionalFromRequestParts;
pub use path::Path;
pub use state::{FromRef, State};
