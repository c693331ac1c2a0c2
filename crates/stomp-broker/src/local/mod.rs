//! Delivery within one process, for engines: groups of subscribers, and retained messages.
//!
//! The in-memory engine uses [`Groups`] for its topics. An engine over an external system can use [`Groups`] for its
//! local subscribers. It subscribes in that system once for each pattern, and [pushes](Groups::push) each message that
//! arrives to the pattern's group. This module does not depend on queues or engines.
//!
//! ```
//! use futures_util::StreamExt;
//! use stomp_broker::{Address, local::{GroupLimits, Groups}};
//! use stomp_session::Message;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), stomp_session::BoxError> {
//! let groups = Groups::new(GroupLimits::default());
//! let stocks = Address::topic("stocks.*");
//! let (mut one, is_first) = groups.join(&stocks)?;
//! assert!(is_first, "the engine subscribes to the pattern in its system");
//! let (two, is_first) = groups.join(&stocks)?;
//! assert!(!is_first);
//!
//! // A message arrives for the engine's subscription to the pattern.
//! let message = Message::new("42").with_destination("/topic/stocks.abc");
//! groups.push(&stocks, message).await?;
//! assert_eq!(one.next().await.unwrap()?.body(), "42");
//!
//! assert!(!two.leave());
//! assert!(one.leave(), "the engine ends its subscription to the pattern");
//! # Ok(())
//! # }
//! ```

mod children;
mod group;
mod groups;
mod limits;
mod retained;
mod stream;
mod trie;

pub use groups::Groups;
pub use limits::GroupLimits;
pub use stream::GroupStream;
