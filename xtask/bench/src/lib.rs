//! Starts and ends the servers under test. They share this code, so that they differ only in the work that is measured.

use std::{future::Future, io, net::SocketAddr, process::ExitCode};
use tokio::net::TcpListener;

/// Runs a server as a program, on the address of `--listen ADDR` or on a free port of loopback.
///
/// The server runs on one thread and prints `listening on ADDR` when it accepts connections. It ends when its standard
/// input ends, so that it does not outlive a benchmark that was killed.
pub fn serve<F>(server: impl FnOnce(TcpListener) -> F) -> ExitCode
where
    F: Future<Output = io::Result<()>>,
{
    match listen_address().and_then(|address| run(address, server)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn listen_address() -> io::Result<SocketAddr> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => Ok(SocketAddr::from(([127, 0, 0, 1], 0))),
        ["--listen", address] => address.parse().map_err(io::Error::other),
        _ => Err(io::Error::other("usage: [--listen ADDR]")),
    }
}

fn run<F>(address: SocketAddr, server: impl FnOnce(TcpListener) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    end_with_standard_input();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on {}", listener.local_addr()?);
        server(listener).await
    })
}

/// Ends the process when its standard input ends. A separate thread waits for this, because tokio's standard input
/// would load the measured runtime.
fn end_with_standard_input() {
    std::thread::spawn(|| {
        // An error also means that the other end is closed.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}
