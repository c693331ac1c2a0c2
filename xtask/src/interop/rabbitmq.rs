//! Runs Debian's RabbitMQ with the plugins STOMP and Web-STOMP.
//!
//! This RabbitMQ is separate from any other on this machine: it has its own node name, ports, cookie and data, and
//! listens only on loopback.

use super::process::{KillOnDrop, READY_TIMEOUT, TemporaryDirectory, free_addresses, with_retries};
use crate::{Result, shell};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{self, Command, Stdio},
    time::Instant,
};

/// The name of the file, in RabbitMQ's temporary directory, for the output of its programs.
const OUTPUT: &str = "output";

const CONFIGURATION: &str = "xtask/interop/broker/rabbitmq.conf";

/// The paths of the programs that RabbitMQ consists of.
pub(crate) struct Programs {
    server: PathBuf,
    /// Erlang's port mapper. A node that finds no mapper on its port starts one, which would outlive the node.
    epmd: PathBuf,
}

/// A running RabbitMQ. Dropping this value ends its processes and deletes its files.
pub(crate) struct RabbitMq {
    pub(crate) ws: SocketAddr,
    pub(crate) tcp: SocketAddr,
    // Fields are dropped in this order: the port mapper and the files must outlive the server.
    _server: KillOnDrop,
    _epmd: KillOnDrop,
    _files: TemporaryDirectory,
}

impl Programs {
    pub(crate) fn find() -> Option<Programs> {
        // The script on Debian's PATH always uses the system's data directory.
        let plain = PathBuf::from("/usr/lib/rabbitmq/bin/rabbitmq-server");
        let server = if plain.is_file() {
            plain
        } else {
            shell::find_daemon("rabbitmq-server")?
        };
        Some(Programs {
            server,
            epmd: shell::find(&["epmd"])?,
        })
    }
}

impl RabbitMq {
    pub(crate) fn start(programs: &Programs) -> Result<RabbitMq> {
        with_retries(|| RabbitMq::start_once(programs))
    }

    fn start_once(programs: &Programs) -> Result<RabbitMq> {
        let failed = |error: io::Error| format!("rabbitmq: {error}");
        let deadline = Instant::now() + READY_TIMEOUT;
        let [ws, tcp, names, node] = free_addresses().map_err(failed)?;
        let files = TemporaryDirectory::new("rabbitmq");
        let directory = files.0.as_path();
        configure(directory, ws, tcp).map_err(failed)?;

        let mut epmd = shell::command(&programs.epmd, &[]);
        isolate(&mut epmd, directory, names, node);
        let mut epmd = start(&mut epmd, directory).map_err(failed)?;
        epmd.wait_until_accepting(names, deadline).map_err(failed)?;

        let mut server = shell::command(&programs.server, &[]);
        println!("\n$ {} &", shell::line(&server));
        isolate(&mut server, directory, names, node);
        let mut server = start(&mut server, directory).map_err(failed)?;
        let ready = [tcp, ws]
            .into_iter()
            .try_for_each(|address| server.wait_until_accepting(address, deadline));
        ready.map_err(|error| {
            format!(
                "rabbitmq: {error}; its last output:\n{}",
                last_output(directory)
            )
        })?;
        Ok(RabbitMq {
            ws,
            tcp,
            _server: server,
            _epmd: epmd,
            _files: files,
        })
    }
}

/// Writes the configuration files that RabbitMQ reads from its directory.
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

/// Sets the environment so that an Erlang program uses only files in `directory` and the given ports.
fn isolate(program: &mut Command, directory: &Path, names: SocketAddr, node: SocketAddr) {
    // Erlang keeps the cookie in the home directory.
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
    // A crash dump is written to the current directory.
    program.current_dir(directory);
    // With this variable, the script turns into the server. Otherwise it would remain a shell that waits for the
    // server.
    program.env("detached", "true");
}

const FILES: &[(&str, &str)] = &[
    ("RABBITMQ_CONFIG_FILE", "rabbitmq.conf"),
    ("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
    ("RABBITMQ_MNESIA_BASE", "data"),
    ("RABBITMQ_LOG_BASE", "log"),
    ("RABBITMQ_PID_FILE", "pid"),
    // These files do not exist. Without these variables, RabbitMQ would read the system's files.
    ("RABBITMQ_CONF_ENV_FILE", "none.conf"),
    ("RABBITMQ_ADVANCED_CONFIG_FILE", "none.config"),
];

/// Starts the program, and appends its output to the file [`OUTPUT`] in `directory`.
fn start(program: &mut Command, directory: &Path) -> io::Result<KillOnDrop> {
    let output = fs::File::options()
        .create(true)
        .append(true)
        .open(directory.join(OUTPUT))?;
    let child = program
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        .spawn()?;
    Ok(KillOnDrop::new(child))
}

fn last_output(directory: &Path) -> String {
    const LINES: usize = 20;
    let output = fs::read_to_string(directory.join(OUTPUT)).unwrap_or_default();
    let skipped = output.lines().count().saturating_sub(LINES);
    output.lines().skip(skipped).collect::<Vec<_>>().join("\n")
}
