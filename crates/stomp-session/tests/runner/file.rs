//! The files of conversations.

use crate::conversation::{Conversation, Settings};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tokio::runtime;

/// A file below `tests/conversations`.
pub(crate) struct ConversationFile {
    /// The name of the test: `FOLDER/STEM`.
    pub(crate) name: String,
    path: PathBuf,
}

/// A line with a step: its number and the step without its comment.
type Line<'a> = (usize, &'a str);

/// The folder `tests` of this crate.
pub(crate) fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// All files, sorted by name.
pub(crate) fn all() -> Vec<ConversationFile> {
    let mut files = Vec::new();
    for folder in entries(&tests().join("conversations")) {
        if folder.is_dir() {
            files.extend(entries(&folder).into_iter().map(ConversationFile::new));
        }
    }
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

impl ConversationFile {
    fn new(path: PathBuf) -> ConversationFile {
        let folder = path.parent().and_then(Path::file_name).unwrap();
        let name = Path::new(folder).join(path.file_stem().unwrap());
        ConversationFile {
            name: name.to_str().unwrap().replace('\\', "/"),
            path,
        }
    }

    /// The file's name without its folder and extension.
    pub(crate) fn stem(&self) -> &str {
        self.name.split_once('/').unwrap().1
    }

    /// Performs the steps of the file.
    ///
    /// # Errors
    ///
    /// Returns the first step that fails, as `tests/conversations/FILE:LINE: STEP: REASON`.
    pub(crate) fn run(&self) -> Result<(), String> {
        let shown = format!("tests/conversations/{}.txt", self.name);
        let text = fs::read_to_string(&self.path).unwrap();
        if !text.starts_with("# ") {
            return Err(format!(
                "{shown}:1: the file does not begin with a comment that says what it proves"
            ));
        }
        let runtime = runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime
            .block_on(play(&lines(&text)))
            .map_err(|(number, step, reason)| match number {
                0 => format!("{shown}: {step}: {reason}"),
                _ => format!("{shown}:{number}: {step}: {reason}"),
            })
    }
}

fn lines(text: &str) -> Vec<Line<'_>> {
    let lines = text
        .lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line.split(" #").next().unwrap_or(line).trim()));
    lines
        .filter(|(_, step)| !step.is_empty() && !step.starts_with('#'))
        .collect()
}

async fn play<'a>(lines: &[Line<'a>]) -> Result<(), (usize, &'a str, String)> {
    let mut settings = Settings::default();
    let is_setting = |(_, line): &&Line<'_>| line.starts_with("config: ");
    let count = lines.iter().take_while(is_setting).count();
    let (config, steps) = lines.split_at(count);
    for &(number, line) in config {
        settings
            .set(&line["config: ".len()..])
            .map_err(|reason| (number, line, reason))?;
    }
    let mut conversation = Conversation::start(&settings);
    for &(number, step) in steps {
        let outcome = match step {
            "---" => conversation.end().await,
            _ => conversation.step(step).await,
        };
        outcome.map_err(|reason| (number, step, reason))?;
        if step == "---" {
            conversation = Conversation::start(&settings);
        }
    }
    conversation
        .end()
        .await
        .map_err(|reason| (0, "at the end", reason))
}
