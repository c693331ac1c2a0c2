//! Tests the log of the broker.

#![cfg(target_os = "linux")]

use std::{
    error::Error,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// A running broker, which is killed when this value is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Both calls fail only if the broker has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_broker_serves_clients_while_its_log_cannot_be_written() -> Result<(), Box<dyn Error>> {
    // Each write fails as on a full disk.
    let full = File::options().write(true).open("/dev/full")?;
    serve_clients(full.into(), 2)
}

#[test]
fn the_broker_serves_clients_while_nobody_reads_its_log() -> Result<(), Box<dyn Error>> {
    // Some lines for each client, and room for 64 KiB in the pipe.
    serve_clients(Stdio::piped(), 500)
}

/// Connects so many clients one after the other to a broker with this log.
fn serve_clients(log: Stdio, clients: usize) -> Result<(), Box<dyn Error>> {
    let mut broker = Running(
        Command::new(env!("CARGO_BIN_EXE_broker"))
            .args(["--ws", "127.0.0.1:0", "--tcp", "127.0.0.1:0"])
            .env("RUST_LOG", "debug")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?,
    );
    let stdout = broker.0.stdout.take().ok_or("no stdout")?;
    // The pipe stays open: the broker prints more lines.
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let address = lines
        .find_map(|line| Some(line.strip_prefix("STOMP over TCP: ")?.to_owned()))
        .ok_or("no address of the broker")?;

    for _ in 0..clients {
        let mut client = TcpStream::connect(&address)?;
        client.set_read_timeout(Some(Duration::from_secs(30)))?;
        client
            .write_all(b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0")?;
        let mut command = [0; 9];
        client.read_exact(&mut command)?;
        assert_eq!(command.as_slice(), b"CONNECTED");
    }
    Ok(())
}
