//! Publish/subscribe within one process.

use crate::{
    error::BoxError,
    fan_out::{Hub, Published, Subscriber},
    id::SessionId,
    mailbox::config::BacklogConfig,
    memory_budget::MemoryBudget,
    message::IntoMessage,
    session::Session,
};
use std::{fmt, marker::PhantomData};

/// Topic for publish/subscribe: each message goes to all current subscribers, in the same order for each.
///
/// Clones share the topic. Each subscriber has a backlog of its own, so a slow subscriber does not delay the others: the
/// overflow policy applies to it alone. A message is encoded once for each STOMP version in use, not once per
/// subscriber.
///
/// ```
/// use futures_util::StreamExt;
/// use stomp_session::Topic;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stomp_session::BoxError> {
/// let topic = Topic::new();
/// let mut messages = topic.subscribe();
/// topic.publish("hello")?;
/// assert_eq!(messages.next().await.unwrap()?.body(), "hello");
/// # Ok(())
/// # }
/// ```
pub struct Topic<T> {
    hub: Hub,
    payload: PhantomData<fn(T)>,
}

impl<T> Topic<T> {
    /// Creates a topic whose subscribers have the default bounds. Its messages count in a [`MemoryBudget`] of its own.
    #[must_use]
    pub fn new() -> Topic<T> {
        Topic::with_backlogs(BacklogConfig::default())
    }

    /// Creates a topic whose subscribers have these bounds and this policy. Its messages count in a [`MemoryBudget`] of
    /// its own.
    #[must_use]
    pub fn with_backlogs(config: BacklogConfig) -> Topic<T> {
        Topic::with_budget(config, MemoryBudget::default())
    }

    /// Creates a topic whose subscribers have these bounds and this policy. Its messages count in `budget`: give the topics
    /// of a process clones of one budget, to bound their memory together.
    ///
    /// ```
    /// use stomp_session::{BacklogConfig, Config, MemoryBudget, Topic};
    ///
    /// let budget = MemoryBudget::from_machine();
    /// let topic = || Topic::<String>::with_budget(BacklogConfig::default(), budget.clone());
    /// let (news, prices) = (topic(), topic());
    /// let config = Config::default().memory_budget(budget.clone());
    /// # let _ = (news, prices, config);
    /// ```
    #[must_use]
    pub fn with_budget(config: BacklogConfig, budget: MemoryBudget) -> Topic<T> {
        Topic {
            hub: Hub::new(config, budget),
            payload: PhantomData,
        }
    }

    /// Number of subscribers.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.hub.members()
    }

    /// Adds a subscriber. The returned stream yields all messages that are published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        self.hub.subscribe(Vec::new())
    }

    /// Adds a subscriber for a session: [`publish_except`](Topic::publish_except) can leave it out. Otherwise works like
    /// [`subscribe`](Topic::subscribe).
    #[must_use]
    pub fn subscribe_for(&self, session: &Session) -> Subscriber {
        self.hub.add_member(Some(session.id()), Vec::new())
    }
}

impl<T: IntoMessage> Topic<T> {
    /// Sends a message to all subscribers. Never waits: if messages are published faster than a task can deliver them, more
    /// than 4,096 or 4 MiB, the publisher delivers them.
    ///
    /// # Errors
    ///
    /// Returns the error of [`IntoMessage::into_message`] if that fails.
    pub fn publish(&self, payload: T) -> Result<(), BoxError> {
        self.publish_to(payload, None)
    }

    /// Sends a message to all subscribers, except to those that [`subscribe_for`](Topic::subscribe_for) has added for
    /// this session: to the others in a room. Never waits.
    ///
    /// ```
    /// use futures_util::{FutureExt, StreamExt};
    /// # use stomp_frame::{Command, Frame};
    /// use stomp_session::{Request, Session, Topic};
    ///
    /// # let session = || Request::new(Frame::new(Command::Send)).session().clone();
    /// # let (ann, bob): (Session, Session) = (session(), session());
    /// let room = Topic::new();
    /// let mut seen_by_ann = room.subscribe_for(&ann);
    /// let mut seen_by_bob = room.subscribe_for(&bob);
    /// room.publish_except(&ann, "ann is typing")?;
    /// assert!(seen_by_ann.next().now_or_never().is_none());
    /// assert!(seen_by_bob.next().now_or_never().is_some());
    /// # Ok::<(), stomp_session::BoxError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the error of [`IntoMessage::into_message`] if that fails.
    pub fn publish_except(&self, session: &Session, payload: T) -> Result<(), BoxError> {
        self.publish_to(payload, Some(session.id()))
    }

    fn publish_to(&self, payload: T, except: Option<SessionId>) -> Result<(), BoxError> {
        let message = payload.into_message()?;
        let mut published = Published::new();
        self.hub.append_except(message, except, &mut published);
        // The caller cannot wait for room. If far too much waits, this makes room.
        drop(published);
        Ok(())
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Topic {
            hub: self.hub.clone(),
            payload: PhantomData,
        }
    }
}

impl<T> Default for Topic<T> {
    fn default() -> Self {
        Topic::new()
    }
}

impl<T> fmt::Debug for Topic<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Topic")
            .field("subscribers", &self.subscribers())
            .finish_non_exhaustive()
    }
}
