//! The public names of a session's temporary queues.
//!
//! A session chooses the local name of its queue, such as `replies` in `/temp-queue/replies`. It is the canonical text
//! after the prefix. Other sessions send to the queue by its public name. The public name is random, so only sessions
//! that have received it know it. No public name is ever used again for another queue.
//!
//! A local name is in use while the session has a subscription to it. A `reply-to` without one adds an implicit
//! subscription. The number of names in use is bounded. The names that are no longer in use fill the remaining room: so
//! a session that subscribes again soon gets its old name. If there is no room for another name, the one that was given
//! up first is forgotten. If none was given up, the implicit subscription that was answered first ends: clients often
//! choose a new name for each request, and never give one up.

use bytestring::ByteString;
use futures_core::Stream;
use futures_util::task::AtomicWaker;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use stomp_session::{BoxError, ClientError, Delivery, MessageStream, Session};

/// The first character of a public name. Without it, a client whose local name is a random number would seem to name the
/// queue of another session.
const MARK: char = '~';
/// The number of hexadecimal digits in a public name.
const DIGITS: usize = 32;

/// The names of a session's temporary queues. They are stored in the session's extensions.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    /// The public names by local name.
    names: BTreeMap<Box<str>, Entry>,
    /// The number of times that a name was given up, or that an implicit subscription was answered.
    changes: u64,
}

struct Entry {
    public_name: ByteString,
    subscriptions: usize,
    /// The order in which names were given up. `None` if the name is in use.
    given_up_at: Option<u64>,
    /// The implicit subscription of the name, if it is the only one and has delivered an answer.
    answered: Option<Answered>,
}

struct Answered {
    /// The order in which implicit subscriptions were answered.
    at: u64,
    stream: Arc<AtomicWaker>,
}

/// A use of a name by a subscription, until this value is dropped.
pub(crate) struct NameInUse {
    names: Names,
    local_name: Box<str>,
    public_name: ByteString,
    /// The stream of an implicit subscription, which ends when the name is forgotten.
    implicit: Option<Arc<AtomicWaker>>,
}

/// Returns the name for a subscription to a session's temporary queue, and creates it if necessary.
///
/// # Errors
///
/// Returns `too-many-destinations` if the session uses `max` other names. Returns another error if the operating system
/// provides no random bytes.
pub(crate) fn subscribed(
    local_name: &str,
    session: &Session,
    max: usize,
) -> Result<NameInUse, BoxError> {
    let names = Names::of(session);
    names.with_entry(local_name, max, |entry| {
        // The subscription takes the place of an implicit one.
        entry.answered = None;
        names.use_for_subscription(local_name, entry, None)
    })
}

/// Returns the public name for a `reply-to`, and creates it if necessary. If the session has no subscription to the
/// queue, also returns the use of the name for an implicit subscription, which the caller must add before it hands out
/// the name.
///
/// # Errors
///
/// As [`subscribed`].
pub(crate) fn promised(
    local_name: &str,
    session: &Session,
    max: usize,
) -> Result<(ByteString, Option<NameInUse>), BoxError> {
    let names = Names::of(session);
    names.with_entry(local_name, max, |entry| {
        // Another answer is expected.
        entry.answered = None;
        let is_first = entry.subscriptions == 0;
        let for_first =
            is_first.then(|| names.use_for_subscription(local_name, entry, Some(Arc::default())));
        (entry.public_name.clone(), for_first)
    })
}

/// Returns the public name of a queue to which the session itself sends. If it does not exist, nobody is subscribed to
/// the queue. Then the name is a new one, which is not kept.
pub(crate) fn existing(local_name: &str, session: &Session) -> Result<ByteString, BoxError> {
    let known = session.get::<Names>().and_then(|names| {
        let entries = names.lock();
        entries
            .names
            .get(local_name)
            .map(|entry| entry.public_name.clone())
    });
    match known {
        Some(name) => Ok(name),
        None => Ok(random_name()?),
    }
}

/// Keeps a name in use as long as a stream exists.
pub(crate) fn hold(name: Option<NameInUse>, stream: MessageStream) -> MessageStream {
    match name {
        None => stream,
        Some(name) => MessageStream::new(Held { stream, name }),
    }
}

/// Returns true if `text` has the form of a public name.
pub(crate) fn is_public_name(text: &str) -> bool {
    text.strip_prefix(MARK).is_some_and(|digits| {
        digits.len() == DIGITS
            && digits
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    })
}

impl Names {
    fn of(session: &Session) -> Names {
        // A session handles one request at a time, so no other request inserts names meanwhile.
        session.get::<Names>().unwrap_or_else(|| {
            let names = Names::default();
            session.insert(names.clone());
            names
        })
    }

    /// Calls `change` with the entry of a name that is in use from now on.
    fn with_entry<T>(
        &self,
        local_name: &str,
        max: usize,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Result<T, BoxError> {
        let mut ended = None;
        let changed = self.lock().in_use(local_name, max, &mut ended).map(change);
        // A task is woken without the lock.
        if let Some(stream) = ended {
            stream.wake();
        }
        changed
    }

    fn use_for_subscription(
        &self,
        local_name: &str,
        entry: &mut Entry,
        implicit: Option<Arc<AtomicWaker>>,
    ) -> NameInUse {
        entry.subscriptions += 1;
        NameInUse {
            names: self.clone(),
            local_name: local_name.into(),
            public_name: entry.public_name.clone(),
            implicit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// Returns the entry of a name that is in use from now on, and the implicit subscription that ended for it, if any.
    fn in_use(
        &mut self,
        local_name: &str,
        max: usize,
        ended: &mut Option<Arc<AtomicWaker>>,
    ) -> Result<&mut Entry, BoxError> {
        if !self.names.contains_key(local_name) {
            if self.names.len() >= max && !self.forget_one(ended) {
                let text = format!(
                    "The session already uses {max} temporary queues, its limit (max_temporary_queues)."
                );
                return Err(ClientError::new("too-many-destinations", text).into());
            }
            let entry = Entry {
                public_name: random_name()?,
                subscriptions: 0,
                given_up_at: None,
                answered: None,
            };
            self.names.insert(local_name.into(), entry);
        }
        let entry = self.names.get_mut(local_name);
        let entry = entry.ok_or("a name that was just inserted is missing")?;
        entry.given_up_at = None;
        Ok(entry)
    }

    /// Forgets the name that was given up first, or else the one whose implicit subscription was answered first. Returns
    /// false if there is none.
    fn forget_one(&mut self, ended: &mut Option<Arc<AtomicWaker>>) -> bool {
        let age = |entry: &Entry| {
            let answered_at = entry.answered.as_ref().map(|answered| answered.at);
            let given_up = entry.given_up_at.map(|at| (0, at));
            given_up.or(answered_at.map(|at| (1, at)))
        };
        let forgettable = self.names.iter();
        let oldest = forgettable
            .filter_map(|(name, entry)| Some((age(entry)?, name)))
            .min()
            .map(|(_, name)| name.clone());
        let Some(entry) = oldest.and_then(|name| self.names.remove(&name)) else {
            return false;
        };
        *ended = entry.answered.map(|answered| answered.stream);
        true
    }

    /// The entry that a use belongs to, unless it was forgotten.
    fn entry_of(&mut self, name: &NameInUse) -> Option<&mut Entry> {
        let entry = self.names.get_mut(&name.local_name);
        entry.filter(|entry| entry.public_name == name.public_name)
    }
}

impl NameInUse {
    pub(crate) fn public_name(&self) -> &str {
        &self.public_name
    }

    /// Returns true if the implicit subscription has ended, because the room was needed for another name.
    fn is_forgotten(&self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &self.implicit else {
            return false;
        };
        stream.register(cx.waker());
        self.names.lock().entry_of(self).is_none()
    }

    /// Records that the implicit subscription has delivered an answer.
    fn note_answer(&self) {
        let Some(stream) = &self.implicit else {
            return;
        };
        let mut entries = self.names.lock();
        entries.changes += 1;
        let at = entries.changes;
        if let Some(entry) = entries.entry_of(self)
            && entry.subscriptions == 1
        {
            let stream = Arc::clone(stream);
            entry.answered = Some(Answered { at, stream });
        }
    }
}

impl Drop for NameInUse {
    fn drop(&mut self) {
        let mut entries = self.names.lock();
        entries.changes += 1;
        let given_up_at = entries.changes;
        if let Some(entry) = entries.entry_of(self) {
            entry.subscriptions -= 1;
            if entry.subscriptions == 0 {
                entry.given_up_at = Some(given_up_at);
            }
        }
    }
}

/// The stream of a subscription to a temporary queue. The stream is dropped before the name is given up.
struct Held {
    stream: MessageStream,
    name: NameInUse,
}

impl Stream for Held {
    type Item = Result<Delivery, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.name.is_forgotten(cx) {
            return Poll::Ready(None);
        }
        let next = Pin::new(&mut self.stream).poll_next(cx);
        if let Poll::Ready(Some(Ok(_))) = next {
            self.name.note_answer();
        }
        next
    }
}

fn random_name() -> Result<ByteString, getrandom::Error> {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes)?;
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{MARK}{digits}").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::task::Waker;
    use stomp_frame::{Command, Frame};
    use stomp_session::Request;

    fn request() -> Request {
        Request::new(Frame::new(Command::Send))
    }

    fn is_refused<T>(result: Result<T, BoxError>) -> bool {
        result.is_err_and(|error| error.to_string().starts_with("too-many-destinations"))
    }

    #[test]
    fn each_session_has_its_own_public_names_within_its_limit() {
        let requests = [request(), request()];
        let [ann, bob] = requests.each_ref().map(Request::session);
        let (name, in_use) = promised("replies", ann, 2).unwrap();
        assert!(is_public_name(&name) && !is_public_name("replies"));
        assert_eq!(in_use.as_ref().unwrap().public_name(), &*name);
        let (again, not_first) = promised("replies", ann, 2).unwrap();
        assert!(again == name && not_first.is_none());
        assert_eq!(existing("replies", ann).unwrap(), name);
        assert_ne!(promised("replies", bob, 2).unwrap().0, name);
        let more = promised("more", ann, 2).unwrap();
        assert_ne!(more.0, name);
        assert!(is_refused(promised("too many", ann, 2)));
        assert!(is_refused(subscribed("too many", ann, 2)));
        drop(more);
        assert!(promised("room again", ann, 2).is_ok());
        assert_eq!(promised("replies", ann, 2).unwrap().0, name);
    }

    #[test]
    fn a_name_is_in_use_until_its_last_subscription_ends() {
        let request = request();
        let ann = request.session();
        let first = subscribed("a", ann, 1).unwrap();
        let second = subscribed("a", ann, 1).unwrap();
        assert_eq!(first.public_name(), second.public_name());
        drop(first);
        assert!(is_refused(subscribed("b", ann, 1)));
        drop(second);
        assert!(subscribed("b", ann, 1).is_ok());
        let (_, implicit) = promised("c", ann, 1).unwrap();
        assert!(is_refused(subscribed("d", ann, 1)), "c is promised");
        let own = subscribed("c", ann, 1).unwrap();
        drop(implicit);
        assert!(is_refused(subscribed("d", ann, 1)), "c is subscribed to");
        drop(own);
        assert!(subscribed("d", ann, 1).is_ok());
    }

    #[test]
    fn a_name_that_was_given_up_is_kept_while_there_is_room() {
        let request = request();
        let ann = request.session();
        let names = ["a", "b"].map(|name| subscribed(name, ann, 2).unwrap());
        let public = names.each_ref().map(|it| it.public_name().to_owned());
        drop(names);
        let again = subscribed("a", ann, 2).unwrap();
        assert_eq!(again.public_name(), public[0]);
        let _third = subscribed("c", ann, 2).unwrap();
        drop(again);
        let b = subscribed("b", ann, 2).unwrap();
        assert_ne!(b.public_name(), public[1], "forgotten for c");
    }

    #[test]
    fn the_implicit_subscription_that_was_answered_first_makes_room() {
        let request = request();
        let ann = request.session();
        let ask = |name| promised(name, ann, 2).unwrap().1.unwrap();
        let is_forgotten =
            |name: &NameInUse| name.is_forgotten(&mut Context::from_waker(Waker::noop()));
        let (a, b) = (ask("a"), ask("b"));
        assert!(is_refused(promised("c", ann, 2)), "no answer has come");
        b.note_answer();
        a.note_answer();
        let c = ask("c");
        assert_eq!([&a, &b, &c].map(is_forgotten), [false, true, false]);
        drop(b);
        let (_, first) = promised("a", ann, 2).unwrap();
        assert!(first.is_none());
        assert!(is_refused(promised("d", ann, 2)), "a expects an answer");
        a.note_answer();
        let own = subscribed("a", ann, 2).unwrap();
        assert!(is_refused(promised("d", ann, 2)), "a has a subscription");
        a.note_answer();
        assert!(is_refused(promised("d", ann, 2)), "a has two subscriptions");
        drop((a, own));
        assert!(promised("d", ann, 2).is_ok(), "a is given up");
    }

    #[test]
    fn sending_to_a_queue_creates_no_name() {
        let request = request();
        let ann = request.session();
        assert_ne!(existing("a", ann).unwrap(), existing("a", ann).unwrap());
        assert!(subscribed("b", ann, 1).is_ok());
    }
}
