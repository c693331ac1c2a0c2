//! `cargo xtask interop`: foreign clients judge servers of this workspace.

mod script;
mod server;
mod tools;

use crate::{Result, artifact};
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
}

const SUITES: &[Suite] = &[Suite { server: "chat", scripts: &["chat.mjs", "page.mjs"] }];

/// Runs every script against its server, and fails if one of them failed.
pub(crate) fn run(missing: Missing) -> Result {
    if missing == Missing::Installed {
        tools::install()?;
    }
    let tools = tools::find()?;
    let (mut passed, mut failed) = (0, 0);
    for suite in SUITES {
        for outcome in suite.run(&tools)? {
            match outcome {
                Ok(()) => passed += 1,
                Err(reason) => {
                    failed += 1;
                    println!("{reason}");
                }
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
    /// The outcome of each script.
    fn run(&self, tools: &tools::Tools) -> Result<Vec<Result>> {
        let program = artifact::build(self.server)?;
        let server = Server::start(&program)?;
        let environment = Environment {
            prefix: self.server.to_uppercase(),
            url: format!("http://{}", server.address),
            program,
            chromium: tools.chromium.clone(),
        };
        let scripts = self.scripts.iter();
        Ok(scripts.map(|name| script::run(name, &environment)).collect())
    }
}
