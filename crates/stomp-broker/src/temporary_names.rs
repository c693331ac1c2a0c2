//! The public names of a session's temporary queues.
//!
//! A session chooses the local name of its queue, such as `replies` in `/temp-queue/replies`. It is the canonical text
//! after the prefix. Other sessions send to the queue by its public name. The public name is random, so only sessions
//! that have received it know it.

use bytestring::ByteString;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use stomp_session::{BoxError, ClientError, Session};

/// The number of hexadecimal digits in a public name.
const DIGITS: usize = 32;

/// The public names of a session's temporary queues, by local name. They are stored in the session's extensions.
#[derive(Clone, Default)]
struct PublicNames(Arc<Mutex<BTreeMap<Box<str>, ByteString>>>);

/// Returns the public name of a session's temporary queue. The first call with a local name creates the public name.
///
/// # Errors
///
/// Returns `too-many-destinations` if the session already has `max` names. Returns another error if the operating
/// system provides no random bytes.
pub(crate) fn public_name(
    local_name: &str,
    session: &Session,
    max: usize,
) -> Result<ByteString, BoxError> {
    // A session handles one request at a time, so no other request inserts names meanwhile.
    let names = session.get::<PublicNames>().unwrap_or_else(|| {
        let names = PublicNames::default();
        session.insert(names.clone());
        names
    });
    let mut names = names.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(local_name) {
        return Ok(name.clone());
    }
    if names.len() >= max {
        let text = format!(
            "The session already uses {max} temporary queues, its limit (max_temporary_queues)."
        );
        return Err(ClientError::new("too-many-destinations", text).into());
    }
    let name = ByteString::from(random_name()?);
    names.insert(local_name.into(), name.clone());
    Ok(name)
}

/// Returns true if `text` has the form of a public name.
pub(crate) fn is_public_name(text: &str) -> bool {
    text.len() == DIGITS
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

fn random_name() -> Result<String, getrandom::Error> {
    let mut bytes = [0; DIGITS / 2];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use stomp_frame::{Command, Frame};
    use stomp_session::Request;

    #[test]
    fn each_session_has_its_own_public_names_within_its_limit() {
        let requests = [(); 2].map(|()| Request::new(Frame::new(Command::Send)));
        let [ann, bob] = requests.each_ref().map(Request::session);
        let name = public_name("replies", ann, 2).unwrap();
        assert!(is_public_name(&name) && !is_public_name("replies"));
        assert_eq!(public_name("replies", ann, 2).unwrap(), name);
        assert_ne!(public_name("replies", bob, 2).unwrap(), name);
        assert_ne!(public_name("more", ann, 2).unwrap(), name);
        assert!(
            public_name("too many", ann, 2)
                .unwrap_err()
                .to_string()
                .starts_with("too-many-destinations")
        );
        assert_eq!(public_name("replies", ann, 2).unwrap(), name);
    }
}
