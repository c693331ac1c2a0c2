//! Debian's RabbitMQ with its plugins STOMP and Web-STOMP, apart from any other on this machine: its node's name, ports,
//! cookie and data are its own, and it listens on loopback only.

use super::{
    proxy::Scratch,
    server::{Killed, accepts},
};
use crate::{Result, shell};
use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// How long it may take until it accepts connections: some seconds, or many on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often it is started: somebody else may have taken a port meanwhile.
const ATTEMPTS: u32 = 3;

const CONFIGURATION: &str = "xtask/interop/broker/rabbitmq.conf";

/// Where its programs are.
pub(crate) struct Programs {
    server: PathBuf,
    /// Where Erlang's nodes find each other. A node that finds none on its port starts one, which stays.
    epmd: PathBuf,
}

/// One that runs, and ends with this value.
pub(crate) struct RabbitMq {
    pub(crate) ws: SocketAddr,
    pub(crate) tcp: SocketAddr,
    // In the order in which they end.
    _server: Killed,
    _epmd: Killed,
    _files: Scratch,
}

impl Programs {
    pub(crate) fn find() -> Option<Self> {
        // The one on Debian's PATH goes for the system's data, whatever it is told.
        let plain = PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server");
        let server = if plain.is_file() {
            plain
        } else {
            shell::find_daemon("rabbitmq-server")?
        };
        Some(Self {
            server,
            epmd: shell::find(&["epmd"])?,
        })
    }
}

impl RabbitMq {
    pub(crate) fn start(programs: &Programs) -> Result<Self> {
        for _ in 1..ATTEMPTS {
            match Self::start_once(programs) {
                Ok(running) => return Ok(running),
                Err(reason) => println!("{reason}\nagain, with other ports"),
            }
        }
        Self::start_once(programs)
    }

    fn start_once(programs: &Programs) -> Result<Self> {
        let failed = |error: io::Error| format!("rabbitmq: {error}");
        let deadline = Instant::now() + READY_WITHIN;
        let [ws, tcp, names, node] = free_addresses().map_err(failed)?;
        let files = Scratch::new("rabbitmq");
        let directory = files.0.as_path();
        configure(directory, ws, tcp).map_err(failed)?;

        let mut epmd = shell::command(&programs.epmd, &[]);
        apart(&mut epmd, directory, names, node);
        let epmd = start(&mut epmd, directory).map_err(failed)?;
        accepts(names, deadline).map_err(failed)?;

        let mut server = shell::command(&programs.server, &[]);
        println!("\n$ {} &", shell::line(&server));
        apart(&mut server, directory, names, node);
        let mut server = start(&mut server, directory).map_err(failed)?;
        let ready = [tcp, ws]
            .into_iter()
            .try_for_each(|address| accepts_alive(&mut server, address, deadline));
        ready.map_err(|error| {
            format!("rabbitmq: {error}; it said last\n{}", last_words(directory))
        })?;
        Ok(Self {
            ws,
            tcp,
            _server: server,
            _epmd: epmd,
            _files: files,
        })
    }
}

/// Some that differ.
pub(super) fn free_addresses<const N: usize>() -> io::Result<[SocketAddr; N]> {
    let mut addresses = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    // All are held until each is known.
    let mut listeners = Vec::new();
    for address in &mut addresses {
        let listener = TcpListener::bind(*address)?;
        *address = listener.local_addr()?;
        listeners.push(listener);
    }
    Ok(addresses)
}

/// What it reads from its directory.
fn configure(directory: &Path, ws: SocketAddr, tcp: SocketAddr) -> io::Result<()> {
    let text = fs::read_to_string(shell::root().join(CONFIGURATION))?;
    let text = text
        .replace("WS_PORT", &ws.port().to_string())
        .replace("TCP_PORT", &tcp.port().to_string());
    fs::create_dir_all(directory)?;
    fs::write(directory.join("rabbitmq.conf"), text)?;
    fs::write(
        directory.join("enabled_plugins"),
        "[rabbitmq_stomp, rabbitmq_web_stomp].\n",
    )
}

/// Tells a program of Erlang's that there is nothing but what is in `directory`.
fn apart(program: &mut Command, directory: &Path, names: SocketAddr, node: SocketAddr) {
    // The cookie is made there.
    program.env("HOME", directory);
    program
        .env("ERL_EPMD_ADDRESS", names.ip().to_string())
        .env("ERL_EPMD_PORT", names.port().to_string());
    program.env(
        "RABBITMQ_NODENAME",
        format!("interop-{}@localhost", process::id()),
    );
    program.env("RABBITMQ_DIST_PORT", node.port().to_string());
    program.env(
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
        "-kernel inet_dist_use_interface {127,0,0,1}",
    );
    for (variable, name) in FILES {
        program.env(variable, directory.join(name));
    }
    program.env("RABBITMQ_LOGS", "-");
    // Where a crash would leave its dump.
    program.current_dir(directory);
    // It is the process that was started, not a child of a shell that waits for it.
    program.env("detached", "true");
}

const FILES: &[(&str, &str)] = &[
    ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
    ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
    ("RABBITMQ_MNESIA_BASE", "data"),
    ("RABBITMQ_LOG_BASE", "log"),
    ("RABBITMQ_PID_FILE", "pid"),
    // There are none, and the system's are not looked for.
    ("RABBITMQ_CONF_ENV_FILE", "none.conf"),
    ("RABBITMQ_ADVANCED_CONFIG_FILE", "none.config"),
];

/// Starts the program; what it says goes to a file.
fn start(program: &mut Command, directory: &Path) -> io::Result<Killed> {
    let said = fs::File::options()
        .create(true)
        .append(true)
        .open(directory.join("said"))?;
    let child = program
        .stdin(Stdio::null())
        .stderr(said.try_clone()?)
        .stdout(said)
        .spawn()?;
    Ok(Killed::new(child))
}

/// Waits until it accepts connections, unless it ends before.
fn accepts_alive(server: &mut Killed, address: SocketAddr, deadline: Instant) -> io::Result<()> {
    while let Err(error) = accepts(address, Instant::now()) {
        if server.has_ended() || Instant::now() > deadline {
            return Err(error);
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn last_words(directory: &Path) -> String {
    const LINES: usize = 20;
    let said = fs::read_to_string(directory.join("said")).unwrap_or_default();
    let unwanted = said.lines().count().saturating_sub(LINES);
    said.lines().skip(unwanted).collect::<Vec<_>>().join("\n")
}
