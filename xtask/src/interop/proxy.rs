//! Proxies in front of a server, and what becomes of handshakes on the way through them.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../../crates/stomp-server/tests/handshakes/cases.rs"]
mod cases;

use super::server::{Killed, READY_WITHIN, accepts};
use crate::{Result, shell};
use cases::Case;
use std::{
    env, fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{self, Stdio},
    time::{Duration, Instant},
};

/// A proxy, whose configuration is in `xtask/interop/`.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    configuration: &'static str,
    /// What stands before the path of the configuration.
    arguments: &'static [&'static str],
}

pub(crate) const PROXIES: &[Proxy] = &[
    Proxy {
        name: "nginx",
        configuration: "nginx.conf",
        arguments: &["-e", "stderr", "-c"],
    },
    Proxy {
        name: "haproxy",
        configuration: "haproxy.cfg",
        arguments: &["-db", "-q", "-f"],
    },
];

/// One that runs, and ends with this value.
pub(crate) struct Running {
    _process: Killed,
    _files: Scratch,
    pub(crate) address: SocketAddr,
}

/// A directory that does not outlive this value.
pub(super) struct Scratch(pub(super) PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Scratch {
        Scratch(env::temp_dir().join(format!("webstomp-interop-{name}-{}", process::id())))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays is in the system's directory for that.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Proxy {
    /// Starts it before `upstream`, on a free port.
    pub(crate) fn start(&self, program: &Path, upstream: SocketAddr) -> Result<Running> {
        let address = free_address().map_err(|error| format!("no free port: {error}"))?;
        let files = Scratch::new(self.name);
        let configuration = self.configure(address, upstream, &files.0)?;
        let mut command = shell::command(program, self.arguments);
        command.arg(configuration);
        println!("\n$ {} &", shell::line(&command));
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.name))?;
        let running = Killed::new(child);
        accepts(address, Instant::now() + READY_WITHIN)
            .map_err(|error| format!("{}: {error}", self.name))?;
        Ok(Running {
            _process: running,
            _files: files,
            address,
        })
    }

    fn configure(
        &self,
        address: SocketAddr,
        upstream: SocketAddr,
        directory: &Path,
    ) -> Result<PathBuf> {
        let failed = |error: std::io::Error| format!("{}: {error}", self.configuration);
        let template = shell::root().join("xtask/interop").join(self.configuration);
        let text = fs::read_to_string(template).map_err(failed)?;
        let text = text
            .replace("LISTEN", &address.to_string())
            .replace("UPSTREAM", &upstream.to_string())
            .replace("DIRECTORY", &directory.to_string_lossy());
        let path = directory.join(self.configuration);
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, text))
            .map_err(failed)?;
        Ok(path)
    }
}

/// Sends all handshakes of stomp-server's tests through a proxy: those that are welcome are answered with 101, and no
/// other is, whoever refuses it.
pub(crate) fn check_handshakes(address: SocketAddr) -> Result {
    let cases = cases::all();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| check(address, case).err())
        .collect();
    if let Some(first) = wrong.first() {
        return Err(format!(
            "{} of {} handshakes went wrong; the first: {first}",
            wrong.len(),
            cases.len()
        ));
    }
    let welcome = cases.iter().filter(|case| case.mounted == 101).count();
    println!(
        "  ok      {welcome} handshakes accepted, {} refused",
        cases.len() - welcome
    );
    Ok(())
}

fn check(address: SocketAddr, case: &Case) -> Result {
    let head = ask(address, &case.request).map_err(|error| format!("{}: {error}", case.name))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    let proof = head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let subprotocol = case.subprotocol.is_none_or(|name| head.contains(name));
    match (case.mounted, status) {
        (101, "101") if proof && subprotocol => Ok(()),
        // nginx closes without a word when the body does not come.
        (expected, refused) if expected != 101 && (refused.is_empty() || refused >= "400") => {
            Ok(())
        }
        (expected, _) => Err(format!(
            "{}: {expected} expected, and {head:?} came",
            case.name
        )),
    }
}

/// The head of the answer.
fn ask(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // As Latin-1.
    let request = request.replace("HOST", &address.to_string());
    let request: Vec<u8> = request
        .chars()
        .filter_map(|c| u8::try_from(c).ok())
        .collect();
    stream.write_all(&request)?;
    let (mut answer, mut byte) = (Vec::new(), [0]);
    while !answer.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        answer.extend(byte);
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind("127.0.0.1:0")?.local_addr()
}
