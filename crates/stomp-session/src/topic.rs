//! A small publish/subscribe, for one process.

use crate::{
    delivery::Delivery,
    error::BoxError,
    mailbox::{Mailbox, Messages, config::MailboxConfig},
    message::{IntoMessage, Message},
};
use futures_core::Stream;
use slab::Slab;
use std::{
    collections::VecDeque,
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

/// A topic: what is published goes to all who are subscribed at that time, in the same order to each.
///
/// Cloning gives another handle on the same topic. Each subscriber has a [`Mailbox`]; one that does not keep up meets
/// its policy and hinders nobody. A message is encoded once, not once for each subscriber.
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

/// So many subscribers are given a message without a pause; the rest in a task of the topic's own, which lets others
/// run in between. Larger bursts of wakes make everybody else wait, and are slower themselves.
const CHUNK: usize = 64;

struct Shared {
    config: MailboxConfig,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    members: Slab<Mailbox>,
    /// Published, and not yet on their way.
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    /// On their way: members below `reached` have them.
    current: Vec<Message>,
    reached: usize,
    /// A task is at it.
    is_driven: bool,
}

impl<T> Topic<T> {
    /// A topic whose subscribers have mailboxes of the default size.
    #[must_use]
    pub fn new() -> Topic<T> {
        Topic::with_mailboxes(MailboxConfig::default())
    }

    /// A topic whose subscribers have such mailboxes.
    #[must_use]
    pub fn with_mailboxes(config: MailboxConfig) -> Topic<T> {
        Topic {
            shared: Arc::new(Shared {
                config,
                state: Mutex::default(),
            }),
            payload: PhantomData,
        }
    }

    /// How many are subscribed.
    #[must_use]
    pub fn subscribers(&self) -> usize {
        self.shared.lock().members.len()
    }

    /// All that is published from now on, until the stream is dropped.
    #[must_use]
    pub fn subscribe(&self) -> Subscriber {
        let (mailbox, messages) = Mailbox::new(self.shared.config);
        let mut state = self.shared.lock();
        // What is on its way was published before.
        state.finish();
        let key = state.members.insert(mailbox);
        drop(state);
        Subscriber {
            messages,
            key,
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T: IntoMessage> Topic<T> {
    /// Sends a message to all subscribers. This never waits.
    ///
    /// # Errors
    ///
    /// The error of [`IntoMessage::into_message`].
    pub fn publish(&self, payload: T) -> Result<(), BoxError> {
        let message = payload.into_message()?;
        let mut state = self.shared.lock();
        state.waiting_bytes += message.weight();
        state.waiting.push_back(message);
        // What is on its way and what waits come to a mailbox at once, and must fit into an empty one. With more than
        // that, the publisher helps out.
        let MailboxConfig {
            max_messages,
            max_bytes,
            ..
        } = self.shared.config;
        if state.is_driven
            && state.waiting.len() < max_messages / 2
            && state.waiting_bytes < max_bytes / 2
        {
            return Ok(());
        }
        let runtime = tokio::runtime::Handle::try_current()
            .ok()
            .filter(|_| state.members.len() > CHUNK);
        match runtime {
            Some(runtime) if !state.is_driven => {
                state.is_driven = true;
                let driver = Driver(Arc::clone(&self.shared));
                runtime.spawn(driver.run());
            }
            _ => state.finish(),
        }
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What goes on with a topic's messages in a task.
struct Driver(Arc<Shared>);

impl Driver {
    async fn run(self) {
        while self.0.lock().go_on() {
            tokio::task::yield_now().await;
        }
    }
}

impl Drop for Driver {
    /// Wherever the task was stopped, nothing is left behind: its runtime may end before the topic does.
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.finish();
        state.is_driven = false;
    }
}

impl State {
    /// Gives what is on its way to one chunk of members, and says whether there is more to do.
    fn go_on(&mut self) -> bool {
        self.step(CHUNK);
        !self.current.is_empty() || !self.waiting.is_empty()
    }

    /// Gives everything to everybody.
    fn finish(&mut self) {
        while !self.current.is_empty() || !self.waiting.is_empty() {
            self.step(usize::MAX);
        }
    }

    fn step(&mut self, most: usize) {
        if self.current.is_empty() {
            self.current.extend(self.waiting.drain(..));
            self.waiting_bytes = 0;
            self.reached = 0;
        }
        // Keys have gaps where members have left.
        let end = self
            .reached
            .saturating_add(most)
            .min(self.members.capacity());
        while self.reached < end {
            if let Some(member) = self.members.get(self.reached) {
                member.push(&self.current);
            }
            self.reached += 1;
        }
        if self.reached >= self.members.capacity() {
            self.current.clear();
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

/// A subscriber's messages. Dropping it ends the subscription.
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
        self.shared.lock().members.try_remove(self.key);
    }
}

impl fmt::Debug for Subscriber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscriber").finish_non_exhaustive()
    }
}
