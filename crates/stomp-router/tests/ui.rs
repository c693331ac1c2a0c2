//! Error messages of the compiler for common mistakes.
//!
//! The messages for each file in `tests/ui` must contain the sentences in the first lines of the file. Only the texts
//! of this project are compared, because the compiler's own texts change between versions.

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
fn the_compiler_explains_common_mistakes() {
    let cases = cases();
    let messages = check(&cases);
    for case in &cases {
        let name = case.file_stem().unwrap().to_str().unwrap();
        let messages = messages
            .get(name)
            .unwrap_or_else(|| panic!("{name} compiles, but must not"));
        let source = fs::read_to_string(case).unwrap();
        for sentence in source.lines().map_while(|line| line.strip_prefix("//! ")) {
            assert!(
                messages.contains(sentence),
                "{name}: {sentence:?} is missing in\n{messages}"
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

/// Compiles the files as programs of one package, and returns the compiler's messages by the name of the file.
fn check(cases: &[PathBuf]) -> HashMap<String, String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ui");
    fs::create_dir_all(&package).unwrap();
    fs::write(package.join("Cargo.toml"), manifest(crates, cases)).unwrap();
    // With the workspace's lock file, cargo downloads nothing.
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
    let mut messages: HashMap<String, String> = HashMap::new();
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let message: serde_json::Value = serde_json::from_str(line).unwrap();
        let text = |pointer| message.pointer(pointer).and_then(serde_json::Value::as_str);
        if let (Some(name), Some(text)) = (text("/target/name"), text("/message/rendered")) {
            messages.entry(name.to_owned()).or_default().push_str(text);
        }
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !messages.is_empty(),
        "cargo compiled none of the files: {errors}"
    );
    messages
}

fn manifest(crates: &Path, cases: &[PathBuf]) -> String {
    let programs = cases.iter().map(|case| {
        let name = case.file_stem().unwrap().to_str().unwrap();
        format!("[[bin]]\nname = {name:?}\npath = {case:?}\n")
    });
    format!(
        "[package]\nname = \"ui\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\nstomp-router.path = {:?}\nstomp-session.path = {:?}\n\
         futures-util.version = \"*\"\nfutures-util.default-features = false\ntower.version = \"*\"\ntower.features = [\"limit\"]\n\n{}",
        crates.join("stomp-router"),
        crates.join("stomp-session"),
        programs.collect::<String>()
    )
}
