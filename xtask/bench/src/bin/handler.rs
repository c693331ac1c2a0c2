//! An app of plain handlers, as a user of webstomp writes it: `handler [--layers | --mount http|axum|hyper|tcp | --current-thread]`.
//!
//! The handler of `/echo` does nothing, so that only the RECEIPT is measured. Messages to `/fan` go to a `Topic`, and so
//! to all subscribers of `/fan`.

use axum::extract::ConnectInfo;
use bytes::Bytes;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use std::{io, net::SocketAddr, process::ExitCode, time::Duration};
use tokio::net::TcpListener;
use tower::{limit::ConcurrencyLimitLayer, timeout::TimeoutLayer};
use webstomp::{App, BoxError, IntoSubscribeResponse, Observe, State, Topic, server::Listeners};

type Fan = Topic<Bytes>;

/// The server that accepts connections for the app.
#[derive(Clone, Copy)]
enum Mount {
    Port,
    /// The app's own port, which also serves HTTP.
    Http,
    Axum,
    Hyper,
    Tcp,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (has_layers, mount) = match arguments.as_slice() {
        [] | [webstomp_bench::CURRENT_THREAD] => (false, Mount::Port),
        ["--layers"] => (true, Mount::Port),
        ["--mount", "http"] => (false, Mount::Http),
        ["--mount", "axum"] => (false, Mount::Axum),
        ["--mount", "hyper"] => (false, Mount::Hyper),
        ["--mount", "tcp"] => (false, Mount::Tcp),
        _ => {
            eprintln!("usage: handler [--layers | --mount http|axum|hyper|tcp | --current-thread]");
            return ExitCode::from(2);
        }
    };
    let scheme = match mount {
        Mount::Tcp => "tcp",
        Mount::Port | Mount::Http | Mount::Axum | Mount::Hyper => "ws",
    };
    webstomp_bench::serve(scheme, |listener| serve(listener, app(has_layers), mount))
}

fn app(has_layers: bool) -> App {
    let app = App::new()
        .send("/echo", echo)
        .send("/fan", publish)
        .subscribe("/fan", subscribe)
        .with_state(Fan::new());
    if has_layers {
        app.layer(TimeoutLayer::new(Duration::from_secs(10)))
            .layer(ConcurrencyLimitLayer::new(1_024))
    } else {
        app
    }
}

async fn serve(listener: TcpListener, app: App, mount: Mount) -> io::Result<()> {
    match mount {
        Mount::Port => app.serve(listener).await.map_err(io::Error::other),
        Mount::Tcp => app
            .serve(Listeners::new().byte_stream(listener))
            .await
            .map_err(io::Error::other),
        Mount::Http => app
            .websocket_path("/stomp")
            .http(axum::Router::new())
            .serve(listener)
            .await
            .map_err(io::Error::other),
        Mount::Axum => serve_axum(listener, app).await,
        Mount::Hyper => serve_hyper(listener, app).await,
    }
}

async fn serve_axum(listener: TcpListener, app: App) -> io::Result<()> {
    let upgrade = app
        .into_service()
        .map_err(io::Error::other)?
        .peer_addr(|extensions| Some(extensions.get::<ConnectInfo<SocketAddr>>()?.0));
    let router = axum::Router::new().route_service("/stomp", upgrade);
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service).await
}

async fn serve_hyper(listener: TcpListener, app: App) -> io::Result<()> {
    let upgrade = app.into_service().map_err(io::Error::other)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(upgrade.clone());
        let connection = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        tokio::spawn(connection);
    }
}

async fn echo() {}

async fn subscribe(State(fan): State<Fan>) -> impl IntoSubscribeResponse {
    Observe(fan.subscribe())
}

async fn publish(State(fan): State<Fan>, body: Bytes) -> Result<(), BoxError> {
    fan.publish(body)
}
