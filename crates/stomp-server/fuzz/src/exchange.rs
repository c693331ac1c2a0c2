//! Sends a head to an `Upgrade` on hyper, over a connection in memory.

use http::Request;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use std::{cell::RefCell, net::SocketAddr};
use stomp_server::{Config, Origins, Upgrade};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    runtime::{Builder, Runtime},
    task::yield_now,
};
use tower_service::Service;

/// The name in `Config::hosts`, if there is one.
pub(crate) const NAME: &str = "stomp.example.com";

/// The origin in `Origins::List`, if there is one.
pub(crate) const LISTED: &str = "https://app.example.com";

/// Room for the bytes of one direction. Sufficient for the longest input and the longest response.
pub(crate) const MAX_BYTES: usize = 64 << 10;

/// The settings of a server, and where its peer is. The first byte of an input chooses them: `0` to `7`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// The peer has a loopback address.
    pub(crate) is_local: bool,
    /// `Config::hosts` contains [`NAME`].
    pub(crate) has_name: bool,
    /// `Config::origins` lists [`LISTED`].
    pub(crate) has_list: bool,
}

impl Settings {
    pub(crate) fn from_byte(byte: u8) -> Settings {
        let bit = |bit: u8| byte >> bit & 1 == 1;
        Settings {
            is_local: bit(0),
            has_name: bit(1),
            has_list: bit(2),
        }
    }

    pub(crate) fn config(self) -> Config {
        let mut config = Config::default();
        if self.has_name {
            config.hosts = vec![NAME.to_owned()];
        }
        if self.has_list {
            config.origins = Origins::List(vec![LISTED.to_owned()]);
        }
        config
    }

    pub(crate) fn peer(self) -> SocketAddr {
        let ip = if self.is_local {
            [127, 0, 0, 1]
        } else {
            [192, 0, 2, 1]
        };
        SocketAddr::from((ip, 4711))
    }
}

/// The first response to a head. Empty if the connection was closed without one.
#[derive(Debug)]
pub(crate) struct Answer(pub(crate) Vec<u8>);

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Sends `head`, and returns the server's answer.
pub(crate) fn exchange(settings: Settings, head: &[u8]) -> Answer {
    Answer(run(answer(settings, head)))
}

/// Runs a future on a paused clock.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime")
        });
        runtime.block_on(future)
    })
}

async fn answer(settings: Settings, head: &[u8]) -> Vec<u8> {
    let upgrade = Upgrade::new(settings.config(), |socket| async { drop(socket) })
        .expect("the settings are valid");
    let service = service_fn(|mut request: Request<Incoming>| {
        request.extensions_mut().insert(settings.peer());
        upgrade.clone().call(request)
    });
    let (mut client, server) = duplex(MAX_BYTES.max(head.len()));
    client.write_all(head).await.expect("the pipe has room");
    client.shutdown().await.expect("a pipe can be shut down");
    // Fails if the head is not HTTP.
    let _ = http1::Builder::new()
        .auto_date_header(false)
        .half_close(true)
        .keep_alive(false)
        .serve_connection(TokioIo::new(server), service)
        .await;
    // Lets the task that waits for the upgrade end.
    yield_now().await;
    let mut response = Vec::new();
    client
        .read_to_end(&mut response)
        .await
        .expect("a pipe can be read");
    response
}

impl Answer {
    /// The status; 0 if there is none.
    pub(crate) fn status(&self) -> u16 {
        let line = self.0.split(|byte| *byte == b'\r').next();
        let status = line.and_then(|line| line.split(|byte| *byte == b' ').nth(1));
        status
            .and_then(|status| std::str::from_utf8(status).ok()?.parse().ok())
            .unwrap_or(0)
    }

    pub(crate) fn body(&self) -> &[u8] {
        let end = self.0.windows(4).position(|four| four == b"\r\n\r\n");
        end.and_then(|end| self.0.get(end + 4..))
            .unwrap_or_default()
    }
}
