//! What the servers under test share, so that they differ in nothing else: the command
//! line, the runtime, the line that tells the port, and when to end.

use std::{future::Future, io, net::SocketAddr, process::ExitCode};
use tokio::net::TcpListener;

/// Runs one server as a program: `[--listen ADDR]`, by default a free loopback port.
///
/// One thread drives it. It prints `listening on ADDR` once it accepts, and lives until its
/// standard input ends, so that no server outlives a bench that was killed.
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

/// A plain thread, since tokio's standard input would take part in the measured runtime.
fn end_with_standard_input() {
    std::thread::spawn(|| {
        // Whatever ends it, an error too, means that nobody holds the other end any more.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
}
