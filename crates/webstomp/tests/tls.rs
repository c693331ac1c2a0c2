//! A TLS server with a port for WebSockets and a port for STOMP over TCP. Its clients can have certificates.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use axum::Extension;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, KeyPair};
use std::{net::SocketAddr, sync::Arc};
use stomp_testing::{Client, frames, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer},
        server::WebPkiClientVerifier,
    },
};
use webstomp::{
    App, ClientError, Session,
    frame::{Command, Version},
    server::{
        Listeners,
        tls::{Tls, TlsConfig},
    },
    socket::TlsIdentity,
};

/// A certificate authority.
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

    /// Signs a certificate for this name.
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

    /// The configuration of a server that asks for certificates of clients, but does not require them. It has a new
    /// certificate.
    fn server(&self) -> ServerConfig {
        let (certificate, key) = self.sign("localhost");
        self.server_with(certificate, key).unwrap()
    }

    fn server_with(
        &self,
        certificate: CertificateDer<'static>,
        key: PrivateKeyDer<'static>,
    ) -> Result<ServerConfig, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(self.roots(), Arc::clone(&provider));
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap();
        let config =
            config.with_client_cert_verifier(verifier.allow_unauthenticated().build().unwrap());
        let mut config = config.with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    /// A client with or without a certificate.
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

/// Returns the information that TLS has about the peer, with certificates in hexadecimal.
async fn identity(session: Session) -> Result<String, ClientError> {
    let tls = session
        .peer()
        .tls
        .as_ref()
        .ok_or_else(|| ClientError::new("no-tls", "The connection does not use TLS."))?;
    let certificates: Vec<String> = tls
        .certificates
        .iter()
        .map(|der| format!("{der:x}"))
        .collect();
    let alpn = tls.alpn.as_deref().map(String::from_utf8_lossy);
    Ok(format!("{:?} {alpn:?} {certificates:?}", tls.server_name))
}

/// The answer of `identity` to a client with these certificates.
fn expected_identity(certificates: &[&CertificateDer<'_>]) -> String {
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

/// Starts a server, and returns its addresses for WebSockets and for byte streams.
async fn serve(tls: impl Into<TlsConfig>) -> [SocketAddr; 2] {
    let websocket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let byte_stream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addresses = [
        websocket.local_addr().unwrap(),
        byte_stream.local_addr().unwrap(),
    ];
    let tls = tls.into();
    let listeners = Listeners::new()
        .websocket(Tls::new(websocket, tls.clone()))
        .byte_stream(Tls::new(byte_stream, tls));
    let certificates = async |Extension(tls): Extension<TlsIdentity>| {
        format!("{} certificates", tls.certificates.len())
    };
    let pages = axum::Router::new().route("/certificates", axum::routing::get(certificates));
    let app = App::new().subscribe("/identity", identity).http(pages);
    tokio::spawn(app.serve(listeners));
    addresses
}

async fn open(connector: &TlsConnector, address: SocketAddr) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    soon(connector.connect("localhost".try_into().unwrap(), stream))
        .await
        .unwrap()
}

/// Asks the server at its two addresses for the client's identity.
async fn identities(connector: &TlsConnector, addresses: [SocketAddr; 2]) -> [String; 2] {
    let [websocket, byte_stream] = addresses;
    let websocket = open(connector, websocket).await;
    let byte_stream = open(connector, byte_stream).await;
    [
        ask(Client::upgrade(websocket, "/", &[]).await.unwrap()).await,
        ask(Client::over_byte_stream(byte_stream)).await,
    ]
}

async fn ask(mut client: Client) -> String {
    client.connect(Version::V1_2).await;
    client.send(frames::subscribe("0", "/identity")).await;
    let message = client.expect(Command::Message).await;
    String::from_utf8(message.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_handler_sees_the_certificate_of_its_client() {
    let authority = Authority::new();
    let addresses = serve(authority.server()).await;
    let (certificate, key) = authority.sign("ann");
    let ann = authority.client(Some((certificate.clone(), key)));
    let expected = expected_identity(&[&certificate]);
    for identity in identities(&ann, addresses).await {
        assert_eq!(identity, expected);
    }
    let anonymous = authority.client(None);
    for identity in identities(&anonymous, addresses).await {
        assert_eq!(identity, expected_identity(&[]));
    }
}

/// The certificates that the server shows in new handshakes at its two addresses.
async fn shown(connector: &TlsConnector, addresses: [SocketAddr; 2]) -> Vec<Vec<u8>> {
    let mut certificates = Vec::new();
    for address in addresses {
        let stream = open(connector, address).await;
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        certificates.push(chain.first().unwrap().to_vec());
    }
    certificates
}

#[tokio::test]
async fn new_connections_get_a_replaced_certificate_and_existing_sessions_go_on() {
    let authority = Authority::new();
    let (first, first_key) = authority.sign("localhost");
    let (second, second_key) = authority.sign("localhost");
    let tls = TlsConfig::new(authority.server_with(first.clone(), first_key).unwrap());
    let addresses = serve(tls.clone()).await;
    let connector = authority.client(None);
    assert_eq!(shown(&connector, addresses).await, [&*first, &*first]);
    let [websocket, byte_stream] = addresses;
    let websocket = open(&connector, websocket).await;
    let mut clients = [
        Client::upgrade(websocket, "/", &[]).await.unwrap(),
        Client::over_byte_stream(open(&connector, byte_stream).await),
    ];
    for client in &mut clients {
        client.connect(Version::V1_2).await;
    }

    tls.reload(|| authority.server_with(second.clone(), second_key))
        .unwrap();
    // The connector would resume its TLS session, and show the first certificate, if the server allowed it.
    assert_eq!(shown(&connector, addresses).await, [&*second, &*second]);
    for client in &mut clients {
        client.send(frames::subscribe("0", "/identity")).await;
        client.expect_message(&expected_identity(&[])).await;
    }
}

#[tokio::test]
async fn a_reload_that_fails_keeps_the_certificate() {
    let authority = Authority::new();
    let tls = TlsConfig::new(authority.server());
    let addresses = serve(tls.clone()).await;
    let connector = authority.client(None);
    let before = shown(&connector, addresses).await;
    let (certificate, _) = authority.sign("localhost");
    let (_, key_of_another) = authority.sign("localhost");
    let error = tls.reload(|| authority.server_with(certificate, key_of_another));
    assert!(error.is_err());
    assert_eq!(shown(&connector, addresses).await, before);
}

#[tokio::test]
async fn a_replaced_configuration_can_trust_the_clients_of_another_authority() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = TlsConfig::new(authority.server());
    let [_, address] = serve(tls.clone()).await;
    let of_other = authority.client(Some(other.sign("ann")));
    assert!(
        soon(open(&of_other, address).await.read_u8())
            .await
            .is_err()
    );
    let (certificate, key) = authority.sign("localhost");
    tls.replace(other.server_with(certificate, key).unwrap());
    let identity = ask(Client::over_byte_stream(open(&of_other, address).await)).await;
    assert!(!identity.ends_with("[]"), "{identity}");
}

#[tokio::test]
async fn an_http_service_behind_tls_sees_the_certificate_of_its_client() {
    let authority = Authority::new();
    let [address, _] = serve(authority.server()).await;
    let ann = authority.client(Some(authority.sign("ann")));
    let mut stream = open(&ann, address).await;
    let request = b"GET /certificates HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut response = String::new();
    soon(stream.read_to_string(&mut response)).await.unwrap();
    assert!(
        response.starts_with("HTTP/1.1 200 ") && response.ends_with("\r\n\r\n1 certificates"),
        "{response}"
    );
}

#[tokio::test]
async fn handshakes_that_fail_or_stall_do_not_block_other_clients() {
    let authority = Authority::new();
    let addresses = serve(authority.server()).await;
    let other_authority = Authority::new();
    let impostor = authority.client(Some(other_authority.sign("ann")));
    for address in addresses {
        let _silent = TcpStream::connect(address).await.unwrap();
        let mut stalled = TcpStream::connect(address).await.unwrap();
        stalled.write_all(b"\x16\x03\x01").await.unwrap();
        let mut plain = TcpStream::connect(address).await.unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // The server may reset the connection after its TLS alert.
        let _ = soon(plain.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{}", answer.escape_ascii());
        // In TLS 1.3, the client learns after its handshake that its certificate is refused.
        let mut impostor = open(&impostor, address).await;
        assert!(soon(impostor.read_u8()).await.is_err());
    }
    let anonymous = authority.client(None);
    for identity in identities(&anonymous, addresses).await {
        assert_eq!(identity, expected_identity(&[]));
    }
}
