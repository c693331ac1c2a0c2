//! Tests the example `chat`: with stompjs, with the example's own page, and through proxies.

use super::{
    Outcome, Selection,
    process::{self, KillOnDrop, READY_TIMEOUT},
    proxy::{self, PROXIES},
    script,
    tools::Tools,
};
use crate::{Result, artifact, shell};
use std::{
    ffi::OsString,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    sync::mpsc::{self, Receiver, Sender},
    thread,
    time::Instant,
};

/// The scripts in `xtask/interop/` that test the chat.
const SCRIPTS: &[&str] = &["chat", "page"];

/// The script that also runs through proxies.
const PROXIED: &str = "chat";

/// The name of the suite that sends handshakes through a proxy.
const HANDSHAKES: &str = "handshakes";

/// A running chat.
#[derive(Debug)]
struct Chat {
    _process: KillOnDrop,
    address: SocketAddr,
}

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
    let chat = Chat::start(&program)?;
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
        run(format!("chat/{name}"), &|| script(name, chat.address));
    }
    for (proxy, program) in PROXIES.iter().zip(&tools.proxies) {
        let mut suites = proxied(proxy.name).into_iter();
        if !suites.any(|name| selection.includes(&name)) {
            continue;
        }
        let running = proxy.start(program, chat.address)?;
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

impl Chat {
    /// Starts `program` on a free port and waits until it accepts connections.
    fn start(program: &Path) -> Result<Chat> {
        let mut command = shell::command(program, &["--listen", "127.0.0.1:0"]);
        let line = shell::line(&command);
        println!("\n$ {line} &");
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("`{line}` did not start: {error}"))?;
        let stdout = child.stdout.take();
        let process = KillOnDrop::new(child);

        let deadline = Instant::now() + READY_TIMEOUT;
        let address = read_address(stdout, deadline)
            .ok_or_else(|| format!("`{line}` did not print http://ADDRESS/"))?;
        process::wait_until_accepting(address, deadline)
            .map_err(|error| format!("{address}: {error}"))?;
        Ok(Chat {
            _process: process,
            address,
        })
    }
}

/// Returns the first address that the server prints before the deadline.
fn read_address(
    stdout: Option<impl Read + Send + 'static>,
    deadline: Instant,
) -> Option<SocketAddr> {
    let (sender, addresses): (_, Receiver<SocketAddr>) = mpsc::channel();
    let stdout = stdout?;
    thread::spawn(move || forward(stdout, &sender));
    addresses.recv_timeout(deadline - Instant::now()).ok()
}

/// Prints the server's lines until the server ends, so that its pipe never fills. Sends each address in a line to
/// `addresses`.
fn forward(stdout: impl Read, addresses: &Sender<SocketAddr>) {
    for line in BufReader::new(stdout).lines().map_while(Result::ok) {
        println!("server: {line}");
        if let Some(address) = address(&line) {
            // Only the first address is received. Sending fails after that.
            let _ = addresses.send(address);
        }
    }
}

/// The address in the line's first `http://ADDRESS/`.
fn address(line: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once("http://")?;
    let (address, _) = rest.split_once('/')?;
    address.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_a_sentence() {
        let expected = "127.0.0.1:4711".parse().ok();
        assert_eq!(address("open http://127.0.0.1:4711/ in two tabs"), expected);
        assert_eq!(address("no address here"), None);
        assert_eq!(address("http://somewhere/"), None);
    }
}
