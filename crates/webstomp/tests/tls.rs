//! A server with TLS, on a port for WebSockets and on one for STOMP, whose clients have certificates.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, KeyPair};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
};
use tokio_tungstenite::{client_async, tungstenite::Message};
use webstomp::{
    App, ClientError, Session,
    server::{Listeners, tls::Tls},
};

/// A certificate authority, and what it has signed.
struct Authority {
    certificate: Certificate,
    key: KeyPair,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new([]).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority {
            certificate: params.self_signed(&key).unwrap(),
            key,
        }
    }

    fn sign(&self, name: &str) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params
            .signed_by(&key, &self.certificate, &self.key)
            .unwrap();
        (
            certificate.into(),
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
    }

    fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        Arc::new(roots)
    }

    /// Clients may show a certificate, and need not.
    fn server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider));
        let (certificate, key) = self.sign("localhost");
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config =
            config.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap());
        let mut config = config.with_single_cert(vec![certificate], key).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    fn client(
        &self,
        certificate: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    ) -> TlsConnector {
        let provider = Arc::new(ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config = config.with_root_certificates(self.roots());
        let mut config = match certificate {
            Some((certificate, key)) => config
                .with_client_auth_cert(vec![certificate], key)
                .unwrap(),
            None => config.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

/// Who is at the other end, as far as TLS tells: the certificate in hexadecimal, after the rest.
async fn who(session: Session) -> Result<String, ClientError> {
    let tls = session
        .peer()
        .tls
        .as_ref()
        .ok_or_else(|| ClientError::new("no-tls", "There is no TLS here."))?;
    let certificates: Vec<String> = tls
        .certificates
        .iter()
        .map(|der| format!("{der:x}"))
        .collect();
    let alpn = tls.alpn.as_deref().map(String::from_utf8_lossy);
    Ok(format!("{:?} {alpn:?} {certificates:?}", tls.server_name))
}

/// What `who` is to say.
fn answer(certificates: &[&CertificateDer<'_>]) -> String {
    let hexadecimal = |der: &&CertificateDer<'_>| {
        der.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let certificates: Vec<String> = certificates.iter().map(hexadecimal).collect();
    format!(
        "{:?} {:?} {certificates:?}",
        Some("localhost"),
        Some("http/1.1")
    )
}

/// The addresses for WebSockets and for STOMP.
async fn serve(authority: &Authority) -> [SocketAddr; 2] {
    let (web, raw) = (
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
        TcpListener::bind("127.0.0.1:0").await.unwrap(),
    );
    let addresses = [web.local_addr().unwrap(), raw.local_addr().unwrap()];
    let tls = authority.server();
    let listeners = Listeners::new()
        .websocket(Tls::new(web, Arc::clone(&tls)))
        .byte_stream(Tls::new(raw, tls));
    tokio::spawn(App::new().subscribe("/who", who).serve(listeners));
    addresses
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("it comes soon")
}

async fn dial(connector: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    soon(connector.connect("localhost".try_into().unwrap(), stream))
        .await
        .unwrap()
}

const ASK: &str = "CONNECT\naccept-version:1.2\n\n\0SUBSCRIBE\nid:0\ndestination:/who\n\n\0";

/// Asks over a WebSocket, and gives the message's body.
async fn ask_websocket(stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    let (mut socket, _) = soon(client_async("wss://localhost/", stream))
        .await
        .unwrap();
    socket.send(Message::text(ASK)).await.unwrap();
    loop {
        let message = soon(socket.next())
            .await
            .unwrap()
            .unwrap()
            .into_text()
            .unwrap();
        if message.starts_with("MESSAGE\n") {
            return body(&message);
        }
    }
}

/// The same without HTTP.
async fn ask_stream(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> String {
    stream.write_all(ASK.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while answer.iter().filter(|byte| **byte == 0).count() < 2 {
        assert_ne!(soon(stream.read_buf(&mut answer)).await.unwrap(), 0);
    }
    let answer = String::from_utf8(answer).unwrap();
    body(answer.split('\0').nth(1).unwrap())
}

fn body(frame: &str) -> String {
    frame
        .split_once("\n\n")
        .unwrap()
        .1
        .trim_end_matches('\0')
        .to_owned()
}

#[tokio::test]
async fn a_clients_certificate_reaches_the_handler() {
    let authority = Authority::new();
    let [web, raw] = serve(&authority).await;
    let (certificate, key) = authority.sign("ann");
    let ann = authority.client(Some((certificate.clone(), key)));
    assert_eq!(
        ask_websocket(dial(&ann, web).await).await,
        answer(&[&certificate])
    );
    assert_eq!(
        ask_stream(dial(&ann, raw).await).await,
        answer(&[&certificate])
    );
    let nobody = authority.client(None);
    assert_eq!(ask_websocket(dial(&nobody, web).await).await, answer(&[]));
}

#[tokio::test]
async fn handshakes_that_fail_or_dawdle_make_nobody_wait() {
    let authority = Authority::new();
    let [web, raw] = serve(&authority).await;
    let impostor = Authority::new();
    let impostor = authority.client(Some(impostor.sign("ann")));
    for address in [web, raw] {
        // One says nothing, one half of something, one speaks no TLS, and one is not who it says.
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"\x16\x03\x01").await.unwrap();
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut heard = Vec::new();
        // An alert, and the end.
        let _ = soon(plain.read_to_end(&mut heard)).await;
        assert!(!heard.starts_with(b"HTTP"), "{}", heard.escape_ascii());
        let mut impostor = dial(&impostor, address).await;
        assert!(soon(impostor.read_u8()).await.is_err());
    }
    let nobody = authority.client(None);
    assert_eq!(ask_websocket(dial(&nobody, web).await).await, answer(&[]));
    assert_eq!(ask_stream(dial(&nobody, raw).await).await, answer(&[]));
}
