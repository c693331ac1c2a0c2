//! Tests the example `chat`: with stompjs, with the example's own page, and through proxies.

use super::{
    Outcome, Selection,
    proxy::{self, PROXIES},
    script,
    server::Server,
    tools::Tools,
};
use crate::{Result, artifact};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The scripts in `xtask/interop/` that test the chat.
const SCRIPTS: &[&str] = &["chat", "page"];

/// The script that also runs through proxies.
const PROXIED: &str = "chat";

/// The name of the suite that sends handshakes through a proxy.
const HANDSHAKES: &str = "handshakes";

/// The names of all suites.
pub(super) fn names() -> Vec<String> {
    let direct = SCRIPTS.iter().map(|script| format!("chat/{script}"));
    direct
        .chain(PROXIES.iter().flat_map(|it| proxied(it.name)))
        .collect()
}

fn proxied(proxy: &str) -> [String; 2] {
    [HANDSHAKES, PROXIED].map(|suite| format!("{proxy}/{suite}"))
}

/// Runs the selected suites.
pub(super) fn run(tools: &Tools, selection: Selection<'_>) -> Result<Vec<Outcome>> {
    if !names().iter().any(|name| selection.includes(name)) {
        return Ok(Vec::new());
    }
    let program = artifact::build("chat")?;
    let chat = Server::start(&program, &["--listen", "127.0.0.1:0"], ["http://"])?;
    let [address] = chat.addresses;
    let mut outcomes = Vec::new();
    let mut run = |name: String, suite: &dyn Fn() -> Result| {
        if selection.includes(&name) {
            outcomes.push(Outcome::of(name, suite));
        }
    };
    let script = |name: &str, address: SocketAddr| {
        script::run(
            &format!("{name}.mjs"),
            &variables(address, &program, &tools.chromium),
        )
    };
    for name in SCRIPTS {
        run(format!("chat/{name}"), &|| script(name, address));
    }
    for (proxy, program) in PROXIES.iter().zip(&tools.proxies) {
        let mut suites = proxied(proxy.name).into_iter();
        if !suites.any(|name| selection.includes(&name)) {
            continue;
        }
        let running = proxy.start(program, address)?;
        run(format!("{}/{HANDSHAKES}", proxy.name), &|| {
            proxy::check_handshakes(running.address)
        });
        run(format!("{}/{PROXIED}", proxy.name), &|| {
            script(PROXIED, running.address)
        });
    }
    Ok(outcomes)
}

/// The environment variables for the scripts.
fn variables(address: SocketAddr, program: &Path, chromium: &Path) -> Vec<(String, OsString)> {
    vec![
        ("CHAT_URL".to_owned(), format!("http://{address}").into()),
        // This is for scripts that start a second chat.
        ("CHAT_BIN".to_owned(), program.into()),
        ("CHROMIUM".to_owned(), PathBuf::from(chromium).into()),
    ]
}
