//! Runs the check of the fuzz target with the committed corpus.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failing check fails the test"
)]

use std::{fs, path::Path};

// The library of the fuzz package is included by path, because this package is not part of the workspace.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

#[test]
fn every_input_of_the_corpus_passes_the_check_of_its_fuzz_target() {
    const MAX_BYTES: usize = 1024;
    for (target, check) in fuzz::TARGETS {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fuzz/corpus")
            .join(target);
        let mut paths: Vec<_> = fs::read_dir(corpus)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        assert!(!paths.is_empty(), "{target}");
        for path in paths {
            // If the check panics, the last path in the output is the input that caused it.
            println!("{}", path.display());
            let input = fs::read(&path).unwrap();
            assert!(input.len() <= MAX_BYTES);
            check(&input);
        }
    }
}
