//! Replays the inputs that fuzzing found worth keeping, in every test run.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

// Included, not depended on: the fuzz package is outside the workspace. There, this is a library.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

/// What is in a directory of the corpus, in order.
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
fn what_fuzzing_found_holds() {
    for (target, check) in fuzz::TARGETS {
        for path in list(target).unwrap() {
            // Shown if the check fails: the last one is the culprit.
            println!("{}", path.display());
            check(&fs::read(path).unwrap());
        }
    }
}

#[test]
fn each_target_has_a_small_corpus() {
    const LARGEST: u64 = 1024;
    let name = |path: PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    let names: Vec<String> = list("").unwrap().into_iter().map(name).collect();
    assert_eq!(names, fuzz::TARGETS.map(|(target, _)| target));
    for name in names {
        let inputs = list(&name).unwrap();
        assert!(!inputs.is_empty(), "{name}");
        for path in inputs {
            assert!(
                path.metadata().unwrap().len() <= LARGEST,
                "{}",
                path.display()
            );
        }
    }
}
