//! The names of a session's temporary queues.

use bytestring::ByteString;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use stomp_session::{BoxError, ClientError, Session};

/// The names by which others know a session's temporary queues, kept with the session.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeMap<Box<str>, ByteString>>>);

/// The name by which others know what a session calls `own`; it is the same each time, and nobody can guess it.
///
/// # Errors
///
/// If the session has so many names already, or there is no randomness to be had.
pub(crate) fn name_of(own: &str, session: &Session, most: usize) -> Result<ByteString, BoxError> {
    // A session has one request at a time, so that nobody else inserts meanwhile.
    let names = session.get::<Names>().unwrap_or_else(|| {
        let names = Names::default();
        session.insert(names.clone());
        names
    });
    let mut names = names.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(own) {
        return Ok(name.clone());
    }
    if names.len() >= most {
        let text = format!("A session has at most {most} temporary queues.");
        return Err(ClientError::new("too-many-destinations", text).into());
    }
    let name = ByteString::from(random()?);
    names.insert(own.into(), name.clone());
    Ok(name)
}

/// Whether this has the form of a name that [`name_of`] gives.
pub(crate) fn is_name(text: &str) -> bool {
    text.len() == DIGITS
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

const DIGITS: usize = 32;

fn random() -> Result<String, getrandom::Error> {
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
    fn each_session_has_its_own_names_within_bounds() {
        let requests = [(); 2].map(|()| Request::new(Frame::new(Command::Send)));
        let [ann, bob] = requests.each_ref().map(Request::session);
        let name = name_of("replies", ann, 2).unwrap();
        assert!(is_name(&name) && !is_name("replies"));
        assert_eq!(name_of("replies", ann, 2).unwrap(), name);
        assert_ne!(name_of("replies", bob, 2).unwrap(), name);
        assert_ne!(name_of("more", ann, 2).unwrap(), name);
        assert!(
            name_of("too many", ann, 2)
                .unwrap_err()
                .to_string()
                .starts_with("too-many-destinations")
        );
        assert_eq!(name_of("replies", ann, 2).unwrap(), name);
    }
}
