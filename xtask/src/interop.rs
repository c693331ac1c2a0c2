//! `cargo xtask interop`: third-party clients test the servers of this workspace, also through third-party proxies.

mod brokers;
mod chat;
mod process;
mod proxy;
mod rabbitmq;
mod script;
mod server;
mod tools;

use crate::{Missing, Result};
use std::time::{Duration, Instant};

/// The arguments of `cargo xtask interop`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    installs: bool,
    lists: bool,
    selection: Selection<'a>,
}

/// Selects the suites whose names contain a word, or all suites.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selection<'a>(Option<&'a str>);

/// The result of one suite.
struct Outcome {
    /// The name of the suite, such as `broker/stomp-py` or `nginx/handshakes`.
    name: String,
    time: Duration,
    result: Result,
}

impl<'a> Options<'a> {
    /// Parses the arguments. Returns `None` if they do not match the usage text.
    pub(crate) fn parse(mut arguments: &[&'a str]) -> Option<Options<'a>> {
        let mut options = Options {
            installs: false,
            lists: false,
            selection: Selection(None),
        };
        loop {
            arguments = match arguments {
                [] => return Some(options),
                ["--install", rest @ ..] => {
                    options.installs = true;
                    rest
                }
                ["--list", rest @ ..] => {
                    options.lists = true;
                    rest
                }
                ["--only", word, rest @ ..] => {
                    options.selection = Selection(Some(word));
                    rest
                }
                _ => return None,
            };
        }
    }
}

impl Selection<'_> {
    fn includes(self, name: &str) -> bool {
        self.0.is_none_or(|word| name.contains(word))
    }
}

impl Outcome {
    fn of(name: String, suite: impl FnOnce() -> Result) -> Outcome {
        let start = Instant::now();
        let result = suite();
        Outcome {
            name,
            time: start.elapsed(),
            result,
        }
    }
}

/// Runs the selected suites, and returns an error if one of them fails.
pub(crate) fn run(options: &Options<'_>) -> Result {
    let selection = options.selection;
    let names: Vec<String> = chat::names()
        .into_iter()
        .chain(brokers::names())
        .filter(|name| selection.includes(name))
        .collect();
    if options.lists {
        names.iter().for_each(|name| println!("{name}"));
        return Ok(());
    }
    if names.is_empty() {
        return Err("no suite has such a name; --list prints the names".to_owned());
    }
    let missing = if options.installs {
        Missing::Installed
    } else {
        Missing::Reported
    };
    let tools = tools::find(missing)?;
    let mut outcomes = chat::run(&tools, selection)?;
    outcomes.extend(brokers::run(&tools, selection));
    report(&outcomes)
}

fn report(outcomes: &[Outcome]) -> Result {
    println!();
    for Outcome { name, time, result } in outcomes {
        let (word, reason) = match result {
            Ok(()) => ("ok    ", ""),
            Err(reason) => ("FAILED", reason.as_str()),
        };
        println!("{word} {name:<24} {:>6.1} s  {reason}", time.as_secs_f64());
    }
    let failed = outcomes.iter().filter(|it| it.result.is_err()).count();
    println!("\n{} passed, {failed} failed", outcomes.len() - failed);
    match failed {
        0 => Ok(()),
        _ => Err(format!("{failed} suites failed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_be_in_any_order() {
        let expected = Options {
            installs: true,
            lists: false,
            selection: Selection(Some("broker")),
        };
        let parsed = Options::parse(&["--only", "broker", "--install"]);
        assert_eq!(parsed.as_ref(), Some(&expected));
        let parsed = Options::parse(&["--install", "--only", "broker"]);
        assert_eq!(parsed.as_ref(), Some(&expected));
        assert_eq!(Options::parse(&["--only"]), None);
        assert_eq!(Options::parse(&["--instal"]), None);
    }

    #[test]
    fn a_word_selects_the_suites_whose_names_contain_it() {
        assert!(Selection(None).includes("chat/page"));
        assert!(Selection(Some("stomp-py")).includes("broker/stomp-py"));
        assert!(!Selection(Some("rabbitmq")).includes("broker/stomp-py"));
    }
}
