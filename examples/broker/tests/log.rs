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
    let mut broker = Running(
        Command::new(env!("CARGO_BIN_EXE_broker"))
            .args(["--ws", "127.0.0.1:0", "--tcp", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Each write fails as on a full disk.
            .stderr(File::options().write(true).open("/dev/full")?)
            .spawn()?,
    );
    let stdout = broker.0.stdout.take().ok_or("no stdout")?;
    // The pipe stays open: the broker prints more lines.
    let mut lines = BufReader::new(stdout).lines().map_while(Result::ok);
    let address = lines
        .find_map(|line| Some(line.strip_prefix("STOMP over TCP: ")?.to_owned()))
        .ok_or("no address of the broker")?;

    for _ in 0..2 {
        let mut client = TcpStream::connect(&address)?;
        client.set_read_timeout(Some(Duration::from_secs(60)))?;
        client
            .write_all(b"CONNECT\naccept-version:1.2\nhost:/\nlogin:guest\npasscode:guest\n\n\0")?;
        let mut command = [0; 9];
        client.read_exact(&mut command)?;
        assert_eq!(command.as_slice(), b"CONNECTED");
    }
    Ok(())
}
