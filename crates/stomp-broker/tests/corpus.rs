//! Runs the checks of the fuzz targets with the committed corpus.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

// The library of the fuzz package is included by path, because this package is not part of the workspace.
#[allow(unreachable_pub, dead_code)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// Returns the paths in a directory of the corpus, sorted.
fn list(directory: &str) -> io::Result<Vec<PathBuf>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(directory);
    let mut paths = fs::read_dir(path)?
        .map(|entry| Ok(entry?.path()))
        .collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

#[test]
fn every_input_of_the_corpus_passes_the_check_of_its_fuzz_target() {
    for (target, check) in fuzz::TARGETS {
        let inputs = list(target).unwrap();
        assert!(!inputs.is_empty(), "{target}");
        for path in inputs {
            // If the check panics, the last path in the output is the input that caused it.
            println!("{}", path.display());
            check(&fs::read(path).unwrap());
        }
    }
}
