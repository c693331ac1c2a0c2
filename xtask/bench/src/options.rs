//! The command line, and the duration of the measurements.

use crate::{
    load::Pace,
    server::Server,
    target::{Destinations, Protocol, Target},
    works::{Kind, WORKS, Work},
};
use std::{io, path::PathBuf, time::Duration};
use webstomp_bench::CURRENT_THREAD;

pub(crate) const USAGE: &str = "\
Options of `cargo xtask bench`:
  --quick            Fewer and shorter rounds, and fewer works.
  --rounds N         Number of rounds, in which the servers take turns.
  --only WORD        Only works whose names contain WORD. --list prints the names.
  --against PATH     Also measure another program of the example broker, such as an older build.
  --url URL          Measure a running STOMP server, at ws://HOST:PORT/PATH, instead of the broker.
  --login NAME --passcode SECRET
                     Log in at that server.
  --pid PID          Process of that server on this machine, for its CPU time and its memory.
  --noise            Measure the bare server a second time, in place of all others.
  --svg PATH         Also write a plot.
Options of `cargo xtask profile WORK`:
  --against PATH     Profile another program of the example broker.
  --handler          Profile the app of plain handlers.
  --layers           Profile the app of plain handlers with two tower layers.
";

#[derive(Default, Debug)]
pub(crate) struct Options {
    pub(crate) is_quick: bool,
    pub(crate) is_list: bool,
    /// True to compare the bare server with itself, which shows the noise of this machine.
    pub(crate) is_noise: bool,
    pub(crate) is_handler: bool,
    pub(crate) has_layers: bool,
    /// The work to profile instead of measuring works.
    pub(crate) profile: Option<String>,
    pub(crate) broker: Option<PathBuf>,
    pub(crate) against: Option<PathBuf>,
    pub(crate) svg: Option<PathBuf>,
    only: Option<String>,
    rounds: Option<usize>,
    url: Option<String>,
    login: Option<String>,
    passcode: Option<String>,
    pid: Option<u32>,
}

/// The number of rounds of a work, and their duration.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    pub(crate) warm_up: Duration,
    pub(crate) interval: Duration,
    /// Number of idle connections.
    pub(crate) idle: u64,
}

impl Options {
    pub(crate) fn parse(arguments: &[&str]) -> io::Result<Options> {
        let mut options = Options::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            let mut value = || {
                let value = words.next().map(ToString::to_string);
                value.ok_or_else(|| invalid(&format!("{word} needs a value")))
            };
            match *word {
                "--quick" => options.is_quick = true,
                "--list" => options.is_list = true,
                "--noise" => options.is_noise = true,
                "--handler" => options.is_handler = true,
                "--layers" => options.has_layers = true,
                "--profile" => options.profile = Some(value()?),
                "--broker" => options.broker = Some(value()?.into()),
                "--against" => options.against = Some(value()?.into()),
                "--svg" => options.svg = Some(value()?.into()),
                "--only" => options.only = Some(value()?),
                "--rounds" => options.rounds = Some(number(&value()?)?),
                "--url" => options.url = Some(value()?),
                "--login" => options.login = Some(value()?),
                "--passcode" => options.passcode = Some(value()?),
                "--pid" => options.pid = Some(number(&value()?)?),
                _ => return Err(invalid(&format!("{word:?} is unknown"))),
            }
        }
        match options.rounds {
            Some(0) => Err(invalid("--rounds must be at least 1")),
            _ => Ok(options),
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        let plan = if self.is_quick {
            Plan::QUICK
        } else {
            Plan::FULL
        };
        Plan {
            rounds: self.rounds.unwrap_or(plan.rounds),
            ..plan
        }
    }

    /// The works to measure. Those of the socket alone must be named.
    pub(crate) fn works(&self) -> impl Iterator<Item = &'static Work> {
        // A server that runs already has its runtime.
        let is_possible = |work: &&Work| self.url.is_none() || !work.kind.is_one_thread();
        WORKS
            .iter()
            .filter(is_possible)
            .filter(|work| match &self.only {
                Some(word) => work.name.contains(word.as_str()),
                None => !work.kind.is_socket() && (work.is_quick || !self.is_quick),
            })
    }

    /// The servers that do a work. The first one is the bare server, except where it has no counterpart.
    pub(crate) fn servers(&self, kind: Kind) -> io::Result<Vec<Server>> {
        let mut servers = Vec::new();
        let is_one_thread = kind.is_one_thread();
        let arguments: &[_] = if is_one_thread {
            &[CURRENT_THREAD]
        } else {
            &[]
        };
        if !matches!(kind, Kind::Queue) {
            servers.push(Server::bare(arguments)?);
        }
        if self.is_noise {
            servers.push(Server::bare(arguments)?.named("bare again"));
            return Ok(servers);
        }
        if kind.is_socket() {
            servers.push(Server::socket()?);
            return Ok(servers);
        }
        if is_one_thread {
            // The broker cannot run on one.
            servers.push(Server::handler("handler with a Topic", arguments)?);
            return Ok(servers);
        }
        if let Some(url) = &self.url {
            servers.push(self.running(url)?);
        } else {
            let program = self.broker.as_ref();
            let program = program.ok_or_else(|| invalid("--broker or --url is missing"))?;
            servers.push(Server::broker("broker", program));
        }
        if let Some(program) = &self.against {
            servers.push(Server::broker("broker (against)", program));
        }
        if self.url.is_none() {
            servers.extend(handlers(kind)?);
        }
        Ok(servers)
    }

    fn running(&self, url: &str) -> io::Result<Server> {
        let mut target = Target::parse(url, Protocol::Stomp, Destinations::BROKER)?;
        target.login = self.login.clone().zip(self.passcode.clone());
        Ok(Server::running(target, self.pid))
    }
}

/// The apps of plain handlers that do a work.
fn handlers(kind: Kind) -> io::Result<Vec<Server>> {
    Ok(match kind {
        Kind::Requests { .. } => vec![
            Server::handler("handler", &[])?,
            Server::handler("handler with layers", &["--layers"])?,
        ],
        Kind::FanOut { .. } | Kind::Beside { .. } => {
            vec![Server::handler("handler with a Topic", &[])?]
        }
        Kind::Connects => vec![Server::handler("handler", &[])?],
        Kind::Idle | Kind::AfterLarge => vec![
            Server::handler("handler", &[])?,
            Server::handler("handler with HTTP", &["--mount", "http"])?,
            Server::handler("handler on axum", &["--mount", "axum"])?,
            Server::handler("handler on hyper", &["--mount", "hyper"])?,
            Server::handler("handler over TCP", &["--mount", "tcp"])?,
        ],
        _ => Vec::new(),
    })
}

impl Plan {
    const QUICK: Plan = Plan {
        rounds: 3,
        warm_up: Duration::from_millis(150),
        interval: Duration::from_millis(500),
        idle: 1_000,
    };
    const FULL: Plan = Plan {
        rounds: 5,
        warm_up: Duration::from_millis(500),
        interval: Duration::from_secs(2),
        idle: 5_000,
    };

    /// The same plan with longer intervals if there are few messages in a second.
    pub(crate) fn for_pace(&self, pace: Pace) -> Plan {
        let factor = if matches!(pace, Pace::PerSecond(_)) {
            2
        } else {
            1
        };
        Plan {
            interval: self.interval * factor,
            ..self.clone()
        }
    }
}

fn number<T: std::str::FromStr>(text: &str) -> io::Result<T> {
    text.parse()
        .map_err(|_| invalid(&format!("{text:?} is not a number")))
}

fn invalid(reason: &str) -> io::Error {
    io::Error::other(format!("{reason}\n{USAGE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(options: &Options) -> Vec<&'static str> {
        options.works().map(|work| work.name).collect()
    }

    #[test]
    fn works_are_selected_by_a_word_of_their_names() {
        let only = |word| names(&Options::parse(&["--only", word]).unwrap());
        assert_eq!(only("queue"), ["queue 4→8"]);
        assert_eq!(only("socket").len(), 3);
        assert!(only("nothing").is_empty());
    }

    #[test]
    fn works_of_the_socket_are_left_out_unless_they_are_named() {
        let all = names(&Options::parse(&[]).unwrap());
        let quick = names(&Options::parse(&["--quick"]).unwrap());
        assert!(all.len() > quick.len());
        assert!(!all.iter().any(|name| name.contains("socket")));
    }

    #[test]
    fn unknown_options_and_missing_values_are_refused() {
        for arguments in [&["--fast"][..], &["--only"], &["--rounds", "0"]] {
            assert!(Options::parse(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn the_broker_under_test_is_always_the_program_that_was_given() {
        let kind = Kind::Queue;
        assert!(Options::parse(&[]).unwrap().servers(kind).is_err());
        let options = Options::parse(&["--broker", "target/broker"]).unwrap();
        let servers = options.servers(kind).unwrap();
        let names: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
        assert_eq!(names, ["broker"]);
    }
}
