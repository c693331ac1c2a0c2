//! A table of names that some files may not contain, and rules for every file and crate.

use super::{Violation, source};

/// Names that some files may not contain.
struct Rule {
    /// The rule applies to files whose paths begin with this text.
    within: &'static str,
    /// The rule does not apply to files whose paths begin with one of these texts.
    except: &'static [&'static str],
    never: &'static [&'static str],
    reason: &'static str,
}

/// The forbidden names. Rules for dependencies between crates are in `edges.rs`, and rules for dependencies between
/// modules are in `modules.rs`.
const RULES: &[Rule] = &[
    Rule {
        within: "crates/",
        except: &[
            "crates/stomp-socket/src/websocket/",
            "crates/stomp-testing/src/websocket.rs",
        ],
        never: &["tungstenite", "tokio_tungstenite"],
        reason: "only the websocket modules of stomp-socket and stomp-testing name tungstenite",
    },
    Rule {
        within: "crates/",
        except: &["crates/stomp-router/src/path.rs"],
        never: &["matchit"],
        reason: "only stomp-router's path.rs names matchit",
    },
    Rule {
        within: "crates/",
        except: &["crates/stomp-frame/src/grammar.rs"],
        never: &["nom::"],
        reason: "only stomp-frame's grammar.rs names nom",
    },
    Rule {
        within: "crates/stomp-frame/",
        except: &[],
        never: &["async", "await", "Instant", "SystemTime", "std::net"],
        reason: "stomp-frame uses no clock, no async and no I/O",
    },
    Rule {
        within: "crates/stomp-session/",
        except: &["crates/stomp-session/src/fan_out/pump.rs"],
        never: &["tokio::spawn", "spawn(", "spawn_blocking", "spawn_local"],
        reason: "stomp-session spawns only in fan_out/pump.rs",
    },
    Rule {
        within: "crates/stomp-session/",
        except: &[],
        never: &["tokio::net"],
        reason: "stomp-session uses no listeners and no network",
    },
    Rule {
        within: "crates/stomp-session/src/protocol",
        except: &[],
        never: &[
            "tokio",
            "async",
            "await",
            "Instant::now",
            "elapsed",
            "SystemTime",
            "std::net",
            "std::fs",
            "Socket",
        ],
        reason: "the protocol does no I/O: time and input are arguments",
    },
    Rule {
        within: "crates/stomp-router/",
        except: &[],
        never: &["spawn(", "tokio::"],
        reason: "stomp-router does no I/O and spawns nothing",
    },
    Rule {
        within: "crates/stomp-broker/",
        except: &[],
        never: &[
            "tokio::net",
            "TcpStream",
            "TcpListener",
            "UnixStream",
            "UdpSocket",
        ],
        reason: "stomp-broker uses no sockets",
    },
];

/// Maximum lines of code in a file, without comments and tests.
const MAX_LINES: usize = 360;

const FORBID_UNSAFE: &str = "#![forbid(unsafe_code)]";

/// Checks one source file.
pub(crate) fn check_source(path: &str, text: &str) -> Vec<Violation> {
    let rules = RULES.iter().filter(|rule| rule.holds_for(path));
    let mut violations: Vec<Violation> = rules.flat_map(|rule| rule.check(path, text)).collect();
    let length = source::code(text).count();
    if length > MAX_LINES {
        let rule = format!("{length} lines of code are more than {MAX_LINES}");
        violations.push(violation(path, 1, &rule));
    }
    let is_root = path.starts_with("crates/") && path.ends_with("/src/lib.rs");
    if is_root && !source::code(text).any(|(_, line)| line == FORBID_UNSAFE) {
        violations.push(violation(path, 1, &format!("lacks `{FORBID_UNSAFE}`")));
    }
    violations
}

/// Checks one manifest.
pub(crate) fn check_manifest(path: &str, text: &str) -> Option<Violation> {
    let mut lines = text.lines().skip_while(|line| *line != "[lints]").skip(1);
    let inherits = lines.next() == Some("workspace = true");
    (!inherits).then(|| violation(path, 1, "lacks `[lints]` with `workspace = true`"))
}

impl Rule {
    fn holds_for(&self, path: &str) -> bool {
        path.starts_with(self.within) && !self.except.iter().any(|start| path.starts_with(start))
    }

    fn check(&self, path: &str, text: &str) -> Vec<Violation> {
        let is_broken = |line: &str| self.never.iter().any(|word| names(line, word));
        source::code(text)
            .filter(|(_, line)| is_broken(line))
            .map(|(number, _)| violation(path, number, self.reason))
            .collect()
    }
}

/// Returns true if `line` contains `word` as a whole, not as part of a longer name.
fn names(line: &str, word: &str) -> bool {
    let in_name = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let (before, rest) = line.split_at(at);
        let after = rest.strip_prefix(word).unwrap_or_default();
        let continues = word.ends_with(in_name) && after.starts_with(in_name);
        !before.ends_with(in_name) && !continues
    })
}

fn violation(path: &str, line: usize, rule: &str) -> Violation {
    Violation {
        path: path.to_owned(),
        line,
        rule: rule.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        let violations = check_source(path, text);
        violations.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_forbidden_name_is_reported_at_its_line() {
        assert_eq!(
            found(
                "crates/stomp-router/src/route.rs",
                "use std::fmt;\nuse matchit::Router;\n"
            ),
            ["crates/stomp-router/src/route.rs:2: only stomp-router's path.rs names matchit"]
        );
    }

    #[test]
    fn an_excepted_file_may_contain_the_name() {
        assert!(found("crates/stomp-router/src/path.rs", "use matchit::Router;\n").is_empty());
        let websocket = "crates/stomp-socket/src/websocket/wire.rs";
        assert!(found(websocket, "use tokio_tungstenite::tungstenite;\n").is_empty());
    }

    #[test]
    fn comments_and_tests_may_contain_the_name() {
        let text = "//! Unlike tokio.\n// async\nfn f() {}\n\n#[cfg(test)]\nmod tests {\n    use tokio::net;\n}\n";
        assert!(found("crates/stomp-session/src/protocol/ack.rs", text).is_empty());
    }

    #[test]
    fn a_forbidden_name_inside_a_longer_name_is_ignored() {
        assert!(names("use nom::bytes::tag;", "nom::"));
        assert!(!names("use phenom::bytes::tag;", "nom::"));
        assert!(names("pub async fn f() {}", "async"));
        assert!(!names("let asynchronous = is_async;", "async"));
        assert!(names("set.spawn(task)", "spawn("));
        assert!(!names("respawn(task)", "spawn("));
    }

    #[test]
    fn a_crate_that_does_not_forbid_unsafe_code_is_reported() {
        let path = "crates/webstomp/src/lib.rs";
        assert_eq!(found(path, "//! Docs.\n").len(), 1);
        assert!(found(path, "//! Docs.\n#![forbid(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn the_length_of_a_file_does_not_include_comments() {
        let long = "let x = 1;\n".repeat(MAX_LINES) + "// more\n";
        assert!(found("xtask/src/main.rs", &long).is_empty());
        assert_eq!(
            found("xtask/src/main.rs", &(long + "let y = 2;\n")).len(),
            1
        );
    }

    #[test]
    fn a_manifest_that_does_not_inherit_the_workspace_lints_is_reported() {
        let inherits = "[package]\n\n[lints]\nworkspace = true\n";
        assert_eq!(check_manifest("crates/webstomp/Cargo.toml", inherits), None);
        assert!(check_manifest("crates/webstomp/Cargo.toml", "[package]\n").is_some());
    }
}
