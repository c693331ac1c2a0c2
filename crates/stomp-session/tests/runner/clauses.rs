//! The check of `clauses.txt`: each clause names proofs, and the proofs exist.

use crate::file::{self, ConversationFile};
use libtest_mimic::Trial;
use std::{collections::HashSet, fs};

/// A row of `clauses.txt`: `id | version | section | words | proofs`.
struct Clause {
    id: String,
    proofs: Vec<String>,
}

/// Returns the tests of `clauses.txt`.
pub(crate) fn trials(files: &[ConversationFile]) -> Vec<Trial> {
    let stems: Vec<_> = files.iter().map(|file| file.stem().to_owned()).collect();
    let for_proofs: HashSet<_> = stems.iter().cloned().collect();
    vec![
        Trial::test("clauses/each_clause_has_a_proof", move || {
            Ok(each_clause_has_a_proof(&for_proofs)?)
        }),
        Trial::test("clauses/each_conversation_has_a_unique_name", move || {
            Ok(each_conversation_has_a_unique_name(&stems)?)
        }),
    ]
}

fn each_clause_has_a_proof(conversations: &HashSet<String>) -> Result<(), String> {
    let clauses = Clause::all();
    let mut ids = HashSet::new();
    for Clause { id, proofs } in &clauses {
        if !ids.insert(id) {
            return Err(format!("clauses.txt has two rows with the id {id}"));
        }
        if proofs.is_empty() {
            return Err(format!("clause {id} has no proof"));
        }
        for proof in proofs {
            if !exists(proof, conversations) {
                return Err(format!("the proof {proof:?} of clause {id} does not exist"));
            }
        }
    }
    if clauses.len() > 100 {
        Ok(())
    } else {
        Err(format!("clauses.txt has only {} rows", clauses.len()))
    }
}

/// Returns true if `proof` names a conversation, or a function as `CRATE/tests/FILE.rs::FUNCTION`.
fn exists(proof: &str, conversations: &HashSet<String>) -> bool {
    let Some((path, function)) = proof.split_once("::") else {
        return conversations.contains(proof);
    };
    let path = file::tests().join("../..").join(path);
    fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("fn {function}(")))
}

/// Checks that all file names differ, because the rows name conversations without their folders.
fn each_conversation_has_a_unique_name(stems: &[String]) -> Result<(), String> {
    let mut known = HashSet::new();
    match stems.iter().find(|stem| !known.insert(*stem)) {
        Some(stem) => Err(format!("two folders have a conversation {stem:?}")),
        None => Ok(()),
    }
}

impl Clause {
    fn all() -> Vec<Clause> {
        let text = fs::read_to_string(file::tests().join("clauses.txt")).unwrap();
        text.lines()
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(Clause::parse)
            .collect()
    }

    fn parse(line: &str) -> Clause {
        let fields: Vec<_> = line.split(" | ").map(str::trim).collect();
        let [id, _version, _section, _words, proofs] = fields[..] else {
            panic!("not five fields in {line:?}")
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
