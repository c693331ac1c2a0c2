//! Runs the checks of the fuzz targets with the committed corpus.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

// The library of the fuzz package is included by path, because this package is not part of the workspace.
#[allow(unreachable_pub)]
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
        for path in list(target).unwrap() {
            // If the check panics, the last path in the output is the input that caused it.
            println!("{}", path.display());
            check(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn each_fuzz_target_has_a_corpus_of_small_inputs() {
    const MAX_BYTES: u64 = 1024;
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let names: Vec<String> = list("").unwrap().into_iter().map(name).collect();
    assert_eq!(names, fuzz::TARGETS.map(|(target, _)| target));
    for name in names {
        let inputs = list(&name).unwrap();
        assert!(!inputs.is_empty(), "{name}");
        for path in inputs {
            assert!(
                path.metadata().unwrap().len() <= MAX_BYTES,
                "{}",
                path.display()
            );
        }
    }
}
