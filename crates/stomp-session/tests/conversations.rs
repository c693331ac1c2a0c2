//! Conversations as data: `tests/conversations/*.txt`, each against a real connection on a paused clock.
//!
//! A file begins with what it proves, in the specification's words where there are some. Then each line is one step:
//!
//! ```text
//! C: FRAME                    the client sends a frame
//! C: raw TEXT                 or these bytes             C: beat    or an end of line
//! C: end                      or ends its side            C: cut     or is gone
//! S: FRAME                    the server sends this next
//! S: beat                     or a heart-beat             S: ping    or a WebSocket ping
//! S: end CODE                 or it closes                S: nothing or nothing is waiting
//! connect 1.2                 the client asks to be connected in this version, and is
//! app: FRAME ANSWER           the application is asked this, and answers
//! app: idle                   it is asked nothing         app: busy | ready    its service is not ready, or is again
//! app: given-up               nobody waits for its answer any more
//! app: settled TEXT acked     this became of a delivery (or nacked, abandoned, unsent)
//! app: ran | dropped NAME     this became of a staged effect
//! app: deliver TEXT           a queue delivers: to ID, redelivered, and headers may follow
//! app: end | fail CODE        a queue ends, or fails      app: publish TEXT    the topic has a message
//! app: message PLACE TEXT     the session's handle sends a message to its subscriptions of a destination
//! app: unheard PLACE          it has none
//! app: error CODE | close | connected | expires +10s      or does this
//! task: running | ended       the connection's task
//! +10s                        time passes                 stall 30s  and nothing runs meanwhile
//! 3 times STEP                the step, so often          ---        another client, from the beginning
//! ```
//!
//! A FRAME is `COMMAND name:value … | body`. Of one that is expected, the headers that are named are there once (`*`
//! is any value, and `-name` is not there at all), and the body is as it is written, if it is. Escapes: see `unescape`.
//!
//! An ANSWER is `ok`, `err CODE`, `fail`, `wait` (until `app: answer ANSWER`), `observe` (the messages of the topic),
//! `queue` (what is delivered from now on), `forward` (what was sent, to the queue), `stage NAME ANSWER`, for CONNECT
//! `ok name:value …`, or for DISCONNECT its reason.
//!
//! `config: NAME VALUE` stands before the first step: see `Settings`. At the end, nothing may be left that was not
//! spoken of.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

#[path = "conversations/application.rs"]
mod application;
#[path = "conversations/client.rs"]
mod client;
#[path = "conversations/conversation.rs"]
mod conversation;
#[path = "conversations/text.rs"]
mod text;

use conversation::{Conversation, Settings};
use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
};
use tokio::runtime;

#[test]
fn every_conversation_goes_as_written() {
    let failures: Vec<_> = conversations()
        .iter()
        .filter_map(|file| hold(file).err())
        .collect();
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn conversations() -> Vec<PathBuf> {
    let entries = fs::read_dir(tests().join("conversations")).unwrap();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "txt"));
    files.sort();
    files
}

/// Goes through a file's steps, to the first that goes wrong.
fn hold(file: &Path) -> Result<(), String> {
    let name = file.file_name().unwrap().to_string_lossy().into_owned();
    let text = fs::read_to_string(file).unwrap();
    if !text.starts_with("# ") {
        return Err(format!("{name}: it does not say what it proves"));
    }
    let steps = text
        .lines()
        .enumerate()
        .map(|(number, line)| (number + 1, line.split(" #").next().unwrap_or(line).trim()));
    let mut steps = steps
        .filter(|(_, step)| !step.is_empty() && !step.starts_with('#'))
        .peekable();
    let wrong = |number, step: &str, error: String| format!("{name}:{number}: {step}: {error}");
    let mut settings = Settings::default();
    while let Some((number, line)) = steps.next_if(|(_, step)| step.starts_with("config: ")) {
        settings
            .set(&line["config: ".len()..])
            .map_err(|error| wrong(number, line, error))?;
    }
    let runtime = runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut conversation = Conversation::start(&settings).await;
        for (number, step) in steps {
            let outcome = match step {
                "---" => conversation.end().await,
                _ => conversation.step(step).await,
            };
            outcome.map_err(|error| wrong(number, step, error))?;
            if step == "---" {
                conversation = Conversation::start(&settings).await;
            }
        }
        conversation
            .end()
            .await
            .map_err(|error| wrong(0, "the end", error))
    })
}

/// A row of `clauses.txt`: `id | version | section | words | proofs`.
struct Clause {
    id: String,
    proofs: Vec<String>,
}

impl Clause {
    fn all() -> Vec<Clause> {
        let text = fs::read_to_string(tests().join("clauses.txt")).unwrap();
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Clause::parse)
            .collect()
    }

    fn parse(line: &str) -> Clause {
        let fields: Vec<_> = line.split(" | ").map(str::trim).collect();
        let [id, _version, _section, _words, proofs] = fields[..] else {
            panic!("{line}: not five fields")
        };
        let proofs = proofs
            .split(' ')
            .filter(|proof| !proof.is_empty())
            .map(str::to_owned)
            .collect();
        Clause {
            id: id.to_owned(),
            proofs,
        }
    }
}

/// A proof is the name of a conversation, or `CRATE/tests/FILE.rs::FUNCTION`.
fn is_there(proof: &str) -> bool {
    let Some((file, function)) = proof.split_once("::") else {
        return tests()
            .join("conversations")
            .join(proof)
            .with_extension("txt")
            .is_file();
    };
    let file = tests().join("../..").join(file);
    fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("fn {function}(")))
}

#[test]
fn every_clause_is_proved() {
    let clauses = Clause::all();
    let mut ids = HashSet::new();
    for Clause { id, proofs } in &clauses {
        assert!(ids.insert(id), "{id} stands there twice");
        assert!(!proofs.is_empty(), "{id} has no proof");
        let missing: Vec<_> = proofs.iter().filter(|proof| !is_there(proof)).collect();
        assert!(
            missing.is_empty(),
            "{id} is said to be proved by {missing:?}"
        );
    }
    assert!(clauses.len() > 100);
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}
