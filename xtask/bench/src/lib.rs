//! Starts and ends the servers of the benchmark. They share this code, so that they differ only in the work that is
//! measured.

use std::{future::Future, io, process::ExitCode};
use tokio::net::TcpListener;

/// Argument with which a server runs on a runtime of the current thread.
pub const CURRENT_THREAD: &str = "--current-thread";

/// Runs a server as a program, on a free port of loopback, with the runtime of `#[tokio::main]`, or with one of the current
/// thread if the arguments contain [`CURRENT_THREAD`].
///
/// Prints `listening on SCHEME://ADDR/stomp` when the server accepts connections. The server ends when its standard
/// input ends, so that it does not outlive a benchmark that was killed.
pub fn serve<F>(scheme: &str, server: impl FnOnce(TcpListener) -> F) -> ExitCode
where
    F: Future<Output = io::Result<()>>,
{
    match run(scheme, server) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run<F>(scheme: &str, server: impl FnOnce(TcpListener) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>>,
{
    end_with_standard_input();
    let mut runtime = match std::env::args().any(|it| it == CURRENT_THREAD) {
        true => tokio::runtime::Builder::new_current_thread(),
        false => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = runtime.enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on {scheme}://{}/stomp", listener.local_addr()?);
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
