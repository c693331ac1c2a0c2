//! Publish/subscribe within one process.

use crate::{
    delivery::Delivery,
    error::BoxError,
    guarded::{Guarded, Leftovers},
    id::SessionId,
    mailbox::{Mailbox, Messages, config::MailboxConfig},
    message::{IntoMessage, Message},
    session::Session,
};
use futures_core::Stream;
use slab::Slab;
use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::runtime::Handle;

/// Topic for publish/subscribe: each message goes to all current subscribers, in the same order for each.
///
/// Clones share the topic. Each subscriber has its own [`Mailbox`], so a slow subscriber never delays the others: the
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
    shared: Arc<Shared>,
    payload: PhantomData<fn(T)>,
}

/// The number of subscribers that a topic's task serves before it yields. Topics with more subscribers than this use a
/// task: to wake more at once would delay all other tasks, and takes longer per subscriber.
const CHUNK: usize = 64;

struct Shared {
    config: MailboxConfig,
    state: Guarded<State>,
}

#[derive(Default)]
struct State {
    members: Slab<Member>,
    /// Published messages that are delivered after the current batch.
    queued: VecDeque<Message>,
    queued_bytes: usize,
    /// The messages of `queued` that one session does not get: the place in the queue, and the session.
    queued_exceptions: Vec<(usize, SessionId)>,
    /// Batch of messages that the members below `next_member` have received.
    current: Vec<Message>,
    /// The messages of `current` that one session does not get.
    exceptions: Vec<(usize, SessionId)>,
    next_member: usize,
    /// True while a task delivers the messages.
    has_task: bool,
}

struct Member {
    mailbox: Mailbox,
    /// The session for which the subscription was made, if it is known.
    session: Option<SessionId>,
}

impl<T> Topic<T> {
    /// Creates a topic whose subscribers have mailboxes with the default bounds.
    #[must_use]
    pub fn new() -> Topic<T> {
        Topic::with_mailboxes(MailboxConfig::default())
    }

    /// Creates a topic whose subscribers have mailboxes with these bounds.
    #[must_use]
    pub fn with_mailboxes(config: MailboxConfig) -> Topic<T> {
        Topic {
            shared: Arc::new(Shared {
                config,
                state: Guarded::default(),
            }),
            payload: PhantomData,
        }
    }

    /// Number of subscribers.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared.state.with(|state, _| state.members.len())
    }

    /// Adds a subscriber. The returned stream yields all messages that are published from now on.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        self.add_member(None)
    }

    /// Adds a subscriber for a session: [`publish_except`](Topic::publish_except) can leave it out. Otherwise works like
    /// [`subscribe`](Topic::subscribe).
    #[must_use]
    pub fn subscribe_for(&self, session: &Session) -> Subscriber {
        self.add_member(Some(session.id()))
    }

    fn add_member(&self, session: Option<SessionId>) -> Subscriber {
        let (mailbox, messages) = Mailbox::new(self.shared.config);
        let key = self.shared.state.with(|state, leftovers| {
            // Queued messages were published before, so the new subscriber must not receive them.
            state.deliver_all(leftovers);
            state.members.insert(Member { mailbox, session })
        });
        Subscriber {
            messages,
            key,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: IntoMessage> Topic<T> {
    /// Sends a message to all subscribers. Never waits.
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
        let shared = &self.shared;
        let runtime = shared
            .state
            .with(|state, leftovers| state.publish(message, except, shared.config, leftovers));
        if let Some(runtime) = runtime {
            runtime.spawn(FanOut(Arc::clone(shared)).run());
        }
        Ok(())
    }
}

/// Task that delivers a topic's messages in chunks.
struct FanOut(Arc<Shared>);

impl FanOut {
    async fn run(self) {
        while self.0.state.with(State::deliver_chunk) {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for FanOut {
    /// Delivers the remaining messages, because the runtime may end before the topic and drop the task at any point.
    fn drop(&mut self) {
        self.0.state.with(|state, leftovers| {
            state.deliver_all(leftovers);
            state.has_task = false;
        });
    }
}

impl State {
    /// Queues a message, and delivers all messages unless a task does so. Returns the runtime on which the caller has to
    /// start the task, if it is needed.
    fn publish(
        &mut self,
        message: Message,
        except: Option<SessionId>,
        config: MailboxConfig,
        leftovers: &mut Leftovers,
    ) -> Option<Handle> {
        self.queued_bytes += message.weight();
        let place = self.queued.len();
        self.queued_exceptions
            .extend(except.map(|session| (place, session)));
        self.queued.push_back(message);
        // A mailbox may receive the current batch and the next one together, and both must fit into an empty mailbox.
        // Beyond that, the publisher delivers the messages itself.
        let may_wait =
            self.queued.len() < config.max_messages / 2 && self.queued_bytes < config.max_bytes / 2;
        if self.has_task && may_wait {
            return None;
        }
        let needs_task = !self.has_task && self.members.len() > CHUNK;
        let runtime = needs_task.then(Handle::try_current).and_then(Result::ok);
        if runtime.is_some() {
            self.has_task = true;
        } else {
            self.deliver_all(leftovers);
        }
        runtime
    }

    /// Delivers the current batch to one chunk of members. Returns true if anything is left.
    fn deliver_chunk(&mut self, leftovers: &mut Leftovers) -> bool {
        self.deliver_to(CHUNK, leftovers);
        !self.is_finished()
    }

    /// Delivers all messages to all members.
    fn deliver_all(&mut self, leftovers: &mut Leftovers) {
        while !self.is_finished() {
            self.deliver_to(usize::MAX, leftovers);
        }
    }

    fn is_finished(&self) -> bool {
        self.current.is_empty() && self.queued.is_empty()
    }

    /// Delivers the current batch, or the next one, to the next `max_members` members.
    fn deliver_to(&mut self, max_members: usize, leftovers: &mut Leftovers) {
        if self.current.is_empty() {
            self.current.extend(self.queued.drain(..));
            self.exceptions.clear();
            self.exceptions.append(&mut self.queued_exceptions);
            self.queued_bytes = 0;
            self.next_member = 0;
        }
        // Some keys have no member, because members were removed.
        let end = self
            .next_member
            .saturating_add(max_members)
            .min(self.members.capacity());
        while self.next_member < end {
            if let Some(member) = self.members.get(self.next_member) {
                member.push(&self.current, &self.exceptions, leftovers);
            }
            self.next_member += 1;
        }
        if self.next_member >= self.members.capacity() {
            leftovers.drop_messages(&mut self.current);
        }
    }
}

impl Member {
    /// Pushes a batch, without the messages that the member's session does not get.
    fn push(
        &self,
        batch: &[Message],
        exceptions: &[(usize, SessionId)],
        leftovers: &mut Leftovers,
    ) {
        let is_own = |(_, session): &&(usize, SessionId)| self.session == Some(*session);
        let mut start = 0;
        for (place, _) in exceptions.iter().filter(is_own) {
            self.push_part(batch.get(start..*place), leftovers);
            start = place + 1;
        }
        self.push_part(batch.get(start..), leftovers);
    }

    fn push_part(&self, part: Option<&[Message]>, leftovers: &mut Leftovers) {
        if let Some(part) = part.filter(|part| !part.is_empty()) {
            self.mailbox.push_under_lock(part, leftovers);
        }
    }
}

impl<T> Clone for Topic<T> {
    fn clone(&self) -> Self {
        Topic {
            shared: Arc::clone(&self.shared),
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

/// Stream of the messages for one subscriber. Dropping the stream ends the subscription.
pub struct Subscriber {
    messages: Messages,
    key: usize,
    shared: Arc<Shared>,
}

impl Stream for Subscriber {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.messages).poll_next(cx)
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let mailbox = self
            .shared
            .state
            .with(|state, _| state.members.try_remove(self.key));
        drop(mailbox);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}
