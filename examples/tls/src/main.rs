//! STOMP over TLS on two ports: `wss://` for pages, and TLS without HTTP for services. Both serve the same app.
//!
//! The example has [`Tls`] listeners, client certificates, a shutdown on SIGINT and SIGTERM, and on Unix new certificates
//! on SIGHUP, without a restart: sessions go on, and new connections get the new certificate.
//!
//! Run `cargo run -p tls`: it makes a certificate for `localhost`. With `--cert FILE --key FILE` it reads the server's
//! certificates and key from PEM files. With `--client-ca FILE` each client must show a certificate signed by that CA.
//! A subscription to `/me` returns the name of the client.

use clap::Parser;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use webstomp::{
    App, BoxError, ClientError, Principal, Session,
    server::{
        Listeners, Shutdown, bind,
        tls::{Tls, TlsConfig},
    },
};

/// A STOMP server over TLS.
#[derive(Parser)]
struct Options {
    /// PEM file with the server's certificates; by default, a certificate for localhost is made.
    #[arg(long, value_name = "FILE", requires = "key")]
    cert: Option<PathBuf>,
    /// PEM file with the key of the server's certificate.
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// PEM file with the CA that must have signed the clients' certificates.
    #[arg(long, value_name = "FILE", requires = "cert")]
    client_ca: Option<PathBuf>,
}

impl Options {
    /// Creates the TLS configuration from the files, or a new certificate if there are none.
    fn load(&self) -> Result<ServerConfig, BoxError> {
        match (&self.cert, &self.key) {
            (Some(cert), Some(key)) => from_files(cert, key, self.client_ca.as_deref()),
            _ => for_localhost(),
        }
    }
}

/// CONNECT: names a client after its certificate. Here, the name shows only the size of the certificate.
async fn connect(session: Session) -> Result<Principal, ClientError> {
    let tls = session
        .peer()
        .tls
        .as_ref()
        .ok_or_else(ClientError::internal)?;
    Ok(match tls.certificates.first() {
        // The verifier has accepted the certificate. A real application would look up the client that owns it.
        Some(certificate) => {
            Principal::new(format!("a certificate of {} bytes", certificate.len()))
        }
        None => Principal::new("a client without a certificate"),
    })
}

/// SUBSCRIBE /me: returns the name of the client.
async fn me(principal: Principal) -> String {
    format!("You are {principal}.")
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let options = Options::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        // Otherwise a log that cannot be written, as on a full disk, would cause a panic.
        .log_internal_errors(false)
        .init();
    let tls = TlsConfig::new(options.load()?);
    let (pages, services) = (
        bind("127.0.0.1:8443").await?,
        bind("127.0.0.1:61614").await?,
    );
    println!(
        "STOMP over secure WebSocket: wss://{}/\nSTOMP over TLS: {}",
        pages.local_addr()?,
        services.local_addr()?
    );
    let listeners = Listeners::new()
        .websocket(Tls::new(pages, tls.clone()))
        .byte_stream(Tls::new(services, tls.clone()));
    #[cfg(unix)]
    tokio::spawn(reload_on_hangup(options, tls)?);
    let app = App::new()
        .connect(connect)
        .subscribe("/me", me)
        .shutdown(Shutdown::on_signals()?);
    Ok(app.serve(listeners).await?)
}

/// Reads the files again on each SIGHUP. If they are wrong, the log says so, and the server keeps its certificate.
#[cfg(unix)]
fn reload_on_hangup(
    options: Options,
    tls: TlsConfig,
) -> std::io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangups.recv().await.is_some() {
            let _ = tls.reload(|| options.load());
        }
    })
}

/// Creates a TLS configuration with a new self-signed certificate, which clients must be configured to trust.
fn for_localhost() -> Result<ServerConfig, BoxError> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(made.key_pair.serialize_der().into());
    config(
        vec![made.cert.into()],
        key,
        WebPkiClientVerifier::no_client_auth(),
    )
}

fn from_files(
    certificates: &Path,
    key: &Path,
    authority: Option<&Path>,
) -> Result<ServerConfig, BoxError> {
    let certificates = read_certificates(certificates)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
    let Some(authority) = authority else {
        return config(certificates, key, WebPkiClientVerifier::no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for root in read_certificates(authority)? {
        roots.add(root)?;
    }
    config(
        certificates,
        key,
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?,
    )
}

fn read_certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, BoxError> {
    CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unreadable(file, &error))
}

fn unreadable(file: &Path, error: &pem::Error) -> BoxError {
    format!("{} cannot be read as PEM: {error}", file.display()).into()
}

fn config(
    certificates: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, BoxError> {
    let config =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions()?;
    Ok(config
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates, key)?)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
