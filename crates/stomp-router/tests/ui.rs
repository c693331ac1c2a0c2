//! What the compiler says of mistakes: of each file in `tests/ui`, it must say what the file's first lines say. Its own
//! words, which change from version to version, are not looked at.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn mistakes_are_explained() {
    let cases = cases();
    let said = check(&cases);
    for case in &cases {
        let name = case.file_stem().unwrap().to_str().unwrap();
        let said = said.get(name).unwrap_or_else(|| panic!("{name} compiles"));
        let source = fs::read_to_string(case).unwrap();
        for sentence in source.lines().map_while(|line| line.strip_prefix("//! ")) {
            assert!(
                said.contains(sentence),
                "{name}: not a word of {sentence:?} in\n{said}"
            );
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let mut cases: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

/// Checks the files as programs of one package, and gives what is said of each.
fn check(cases: &[PathBuf]) -> HashMap<String, String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("Cargo.toml"), manifest(crates, cases)).unwrap();
    // The same versions as here, so that nothing is fetched.
    fs::copy(
        crates.with_file_name("Cargo.lock"),
        package.join("Cargo.lock"),
    )
    .unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "check",
            "--offline",
            "--keep-going",
            "--message-format=json",
            "--target-dir",
            "target",
        ])
        .current_dir(&package)
        .output()
        .unwrap();
    let mut said: HashMap<String, String> = HashMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |pointer| message.pointer(pointer).and_then(serde_json::Value::as_str);
        if let (Some(name), Some(text)) = (text("/target/name"), text("/message/rendered")) {
            said.entry(name.to_owned()).or_default().push_str(text);
        }
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!said.is_empty(), "the files were not looked at: {errors}");
    said
}

fn manifest(crates: &Path, cases: &[PathBuf]) -> String {
    let programs = cases.iter().map(|case| {
        let name = case.file_stem().unwrap().to_str().unwrap();
        format!("[[bin]]\nname = {name:?}\npath = {case:?}\n")
    });
    format!(
        "[package]\nname = \"ui\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\nstomp-router.path = {:?}\n\
         futures-util.version = \"*\"\nfutures-util.default-features = false\ntower.version = \"*\"\ntower.features = [\"limit\"]\n\n{}",
        crates.join("stomp-router"),
        programs.collect::<String>()
    )
}
