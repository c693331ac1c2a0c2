//! Replays the corpus of the fuzz targets in each test run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

// Included by path, because the fuzz package, whose library this is, is not part of the workspace.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// The entries of a directory of the corpus, sorted.
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
fn the_checks_pass_for_the_whole_corpus() {
    for (target, check) in fuzz::TARGETS {
        for path in list(target).unwrap() {
            // If the check panics, the last path in the output is the input at fault.
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
