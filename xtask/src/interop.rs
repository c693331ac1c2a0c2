//! `cargo xtask interop`: foreign clients judge servers of this workspace, also through foreign proxies.

mod brokers;
mod proxy;
mod rabbitmq;
mod script;
mod server;
mod tools;

use crate::{Result, artifact};
use proxy::PROXIES;
use script::Environment;
use server::Server;

/// What happens to a tool that is not on this machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The run fails and says how to get it.
    Reported,
    /// It is fetched first.
    Installed,
}

/// One server and the scripts that judge it, each in `xtask/interop/`.
struct Suite {
    /// The package, whose program takes `--listen ADDRESS` and prints `http://ADDRESS/`.
    server: &'static str,
    scripts: &'static [&'static str],
    /// Those that also run through proxies. The server has WebSockets at `/stomp`.
    proxied: &'static [&'static str],
}

const SUITES: &[Suite] = &[Suite {
    server: "chat",
    scripts: &["chat.mjs", "page.mjs"],
    proxied: &["chat.mjs"],
}];

/// Runs every script against its server, and fails if one of them failed.
pub(crate) fn run(missing: Missing) -> Result {
    if missing == Missing::Installed {
        tools::install()?;
    }
    let tools = tools::find()?;
    let (mut passed, mut failed) = (0, 0);
    let mut outcomes = Vec::new();
    for suite in SUITES {
        outcomes.extend(suite.run(&tools)?);
    }
    outcomes.extend(brokers::judge(&tools));
    for outcome in outcomes {
        match outcome {
            Ok(()) => passed += 1,
            Err(reason) => {
                failed += 1;
                println!("{reason}");
            }
        }
    }
    println!("\n{passed} passed, {failed} failed");
    match failed {
        0 => Ok(()),
        _ => Err("foreign clients disagree".to_owned()),
    }
}

impl Suite {
    /// The outcome of each script, and of the handshakes through each proxy.
    fn run(&self, tools: &tools::Tools) -> Result<Vec<Result>> {
        let program = artifact::build(self.server)?;
        let server = Server::start(&program)?;
        let mut environment = Environment {
            prefix: self.server.to_uppercase(),
            url: format!("http://{}", server.address),
            program,
            chromium: tools.chromium.clone(),
        };
        let mut outcomes: Vec<Result> = self
            .scripts
            .iter()
            .map(|name| script::run(name, &environment.variables()))
            .collect();
        for (proxy, program) in PROXIES.iter().zip(&tools.proxies) {
            let running = proxy.start(program, server.address)?;
            outcomes.push(proxy::check_handshakes(running.address));
            environment.url = format!("http://{}", running.address);
            outcomes.extend(
                self.proxied
                    .iter()
                    .map(|name| script::run(name, &environment.variables())),
            );
        }
        Ok(outcomes)
    }
}
