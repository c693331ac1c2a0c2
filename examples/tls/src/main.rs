//! TLS on two ports: `wss://` for pages, and STOMP over TLS for services. Both serve the same app.
//!
//! `cargo run -p tls` makes a certificate for `localhost`; `cargo run -p tls -- CERT KEY [CA]` takes the server's
//! certificates and key from PEM files. With `CA`, clients must show a certificate that it has signed.
//!
//! Who is asked for by `SUBSCRIBE` to `/me`. SIGINT and SIGTERM let all sessions end well.

use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use std::sync::Arc;
use webstomp::{
    App, BoxError, ClientError, Principal, Session,
    server::{Listeners, Shutdown, bind, tls::Tls},
};

/// CONNECT: a client with a certificate is known by it.
async fn connect(session: Session) -> Result<Principal, ClientError> {
    let tls = session
        .peer()
        .tls
        .as_ref()
        .ok_or_else(ClientError::internal)?;
    Ok(match tls.certificates.first() {
        // The verifier has accepted it. An application looks the client up by it.
        Some(certificate) => {
            Principal::new(format!("a certificate of {} bytes", certificate.len()))
        }
        None => Principal::new("a stranger"),
    })
}

/// SUBSCRIBE /me
async fn me(principal: Principal) -> String {
    format!("You are {principal}.")
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let tls = Arc::new(match arguments.as_slice() {
        [] => for_localhost()?,
        [certificates, key] => from_files(certificates, key, None)?,
        [certificates, key, authority] => from_files(certificates, key, Some(authority))?,
        _ => return Err("usage: tls [CERT KEY [CA]]".into()),
    });
    let (pages, services) = (
        bind("127.0.0.1:8443").await?,
        bind("127.0.0.1:61614").await?,
    );
    println!(
        "wss://{}/ and, without HTTP, {}",
        pages.local_addr()?,
        services.local_addr()?
    );
    let listeners = Listeners::new()
        .websocket(Tls::new(pages, Arc::clone(&tls)))
        .byte_stream(Tls::new(services, tls));
    let app = App::new()
        .connect(connect)
        .subscribe("/me", me)
        .shutdown(Shutdown::on_signals()?);
    Ok(app.serve(listeners).await?)
}

/// A certificate that no client trusts unless it is told to.
fn for_localhost() -> Result<ServerConfig, BoxError> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::Pkcs8(made.key_pair.serialize_der().into());
    with(
        vec![made.cert.into()],
        key,
        WebPkiClientVerifier::no_client_auth(),
    )
}

fn from_files(
    certificates: &str,
    key: &str,
    authority: Option<&str>,
) -> Result<ServerConfig, BoxError> {
    let certificates = CertificateDer::pem_file_iter(certificates)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let Some(authority) = authority else {
        return with(certificates, key, WebPkiClientVerifier::no_client_auth());
    };
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(authority)? {
        roots.add(root?)?;
    }
    with(
        certificates,
        key,
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build()?,
    )
}

fn with(
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
