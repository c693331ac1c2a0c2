//! Starts proxies in front of a server, and sends handshakes through them.

#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../../../crates/stomp-server/tests/handshakes/cases.rs"]
mod cases;

use super::process::{KillOnDrop, READY_TIMEOUT, TemporaryDirectory, free_addresses, with_retries};
use crate::{Result, shell};
use cases::Case;
use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

/// A proxy. Its configuration is in `xtask/interop/`.
pub(crate) struct Proxy {
    pub(crate) name: &'static str,
    configuration: &'static str,
    /// Arguments before the path of the configuration.
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
    Proxy {
        name: "caddy",
        configuration: "Caddyfile",
        arguments: &["run", "--adapter", "caddyfile", "--config"],
    },
];

/// A running proxy. Dropping this value ends the proxy.
pub(crate) struct Running {
    _process: KillOnDrop,
    _files: TemporaryDirectory,
    pub(crate) address: SocketAddr,
}

impl Proxy {
    /// Starts the proxy in front of `upstream`, on a free port.
    pub(crate) fn start(&self, program: &Path, upstream: SocketAddr) -> Result<Running> {
        with_retries(|| self.start_once(program, upstream))
    }

    fn start_once(&self, program: &Path, upstream: SocketAddr) -> Result<Running> {
        let [address] = free_addresses().map_err(|error| format!("no free port: {error}"))?;
        let files = TemporaryDirectory::new(self.name);
        let configuration = self.configure(address, upstream, &files.0)?;
        let mut command = shell::command(program, self.arguments);
        command.arg(configuration);
        // Caddy keeps its files in these directories.
        for variable in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(variable, &files.0);
        }
        println!("\n$ {} &", shell::line(&command));
        let child = command
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", self.name))?;
        let mut running = KillOnDrop::new(child);
        running
            .wait_until_accepting(address, Instant::now() + READY_TIMEOUT)
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
            .replace("LISTEN_IP", &address.ip().to_string())
            .replace("LISTEN_PORT", &address.port().to_string())
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

/// Sends all handshakes of stomp-server's tests through a proxy. The valid ones must be accepted with status 101; the
/// others must be rejected, by the proxy or by the server. A few are for the proxy to decide.
pub(crate) fn check_handshakes(address: SocketAddr) -> Result {
    let cases = cases::all();
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| check(address, case).err())
        .collect();
    wrong.iter().for_each(|wrong| println!("  FAILED  {wrong}"));
    if !wrong.is_empty() {
        return Err(format!(
            "{} of {} handshakes failed",
            wrong.len(),
            cases.len()
        ));
    }
    let count = |status| cases.iter().filter(|case| case.proxied == status).count();
    let (accepted, either) = (count(Some(101)), count(None));
    println!(
        "  ok      {accepted} handshakes accepted, {} rejected, {either} depend on the proxy",
        cases.len() - accepted - either
    );
    Ok(())
}

fn check(address: SocketAddr, case: &Case) -> Result {
    let head =
        exchange(address, &case.request).map_err(|error| format!("{}: {error}", case.name))?;
    let status = head.split(' ').nth(1).unwrap_or_default();
    let proof = head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let subprotocol = case.subprotocol.is_none_or(|name| head.contains(name));
    let accepted = status == "101" && proof && subprotocol;
    // nginx closes the connection without an answer if the body of the request does not arrive.
    let rejected = status.is_empty() || status >= "400";
    match case.proxied {
        Some(101) if accepted => Ok(()),
        Some(expected) if expected != 101 && rejected => Ok(()),
        None if accepted || status != "101" => Ok(()),
        expected => Err(format!(
            "{}: expected status {expected:?}, received {head:?}",
            case.name
        )),
    }
}

/// Sends a request and returns the head of the response, or the part of it that arrives before the end of the connection.
fn exchange(address: SocketAddr, request: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    // Characters are sent as Latin-1, so that each is one byte.
    let request = request.replace("HOST", &address.to_string());
    let request: Vec<u8> = request
        .chars()
        .filter_map(|c| u8::try_from(c).ok())
        .collect();
    stream.write_all(&request)?;
    let (mut response, mut byte) = (Vec::new(), [0]);
    while !response.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => response.extend(byte),
            // A proxy that closes before it has read the whole request resets the connection.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&response).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{net::TcpListener, thread};

    #[test]
    fn a_proxy_that_resets_the_connection_has_rejected_the_request() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let proxy = thread::spawn(move || {
            let (stream, _) = listener.accept().expect("a connection");
            // The end of a connection with unread bytes is a reset.
            stream.peek(&mut [0]).expect("the request");
        });
        let head = exchange(address, "GET / HTTP/1.1\r\n\r\n");
        assert_eq!(head.expect("no error"), "");
        proxy.join().expect("the proxy");
    }
}
