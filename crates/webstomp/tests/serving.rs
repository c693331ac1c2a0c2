//! A whole server on a port of its own, or mounted on axum, and clients that come over TCP.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::{SinkExt, StreamExt};
use std::{
    future::pending,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{
        Error, Message, client::IntoClientRequest, handshake::client::Response as Handshake,
    },
};
use tower::timeout::TimeoutLayer;
use webstomp::{
    App, BoxError, ClientError, FromRequest, IntoSubscribeResponse, Json, Observe, Path, Principal,
    Request, StartupError, State, Topic,
    frame::{Command, Frame, HeartBeat, Version},
    session::{Config, DisconnectReason},
};

/// Runs an app on a port that the system chooses.
async fn serve(app: App) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(app.serve(listener));
    address
}

/// Runs an app under `/stomp` of an axum server.
async fn mount(app: App) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let http = axum::Router::new()
        .route_service("/stomp", app.into_service().unwrap())
        .route("/health", axum::routing::get(async || "well"));
    tokio::spawn(async move { axum::serve(listener, http).await });
    address
}

/// Waits for what comes soon, or never.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(30), future)
        .await
        .expect("it comes soon")
}

/// A WebSocket handshake with these headers on top of its own.
async fn handshake(
    address: SocketAddr,
    headers: &[(&'static str, &str)],
) -> Result<(WebSocketStream<TcpStream>, Handshake), Error> {
    let mut request = format!("ws://{address}/stomp")
        .into_client_request()
        .unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let stream = TcpStream::connect(address).await.unwrap();
    soon(client_async(request, stream)).await
}

/// Sends these bytes and reads until the server closes.
async fn exchange(address: SocketAddr, bytes: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    answer
}

/// A client that speaks STOMP 1.2.
struct Client(WebSocketStream<TcpStream>);

impl Client {
    async fn connect(address: SocketAddr) -> Client {
        let mut client = Client::open(address).await;
        client.send(connect()).await;
        client.gets(Command::Connected).await;
        client
    }

    async fn open(address: SocketAddr) -> Client {
        Client(handshake(address, &[]).await.unwrap().0)
    }

    async fn send(&mut self, frame: Frame) {
        let bytes = frame.to_bytes(Version::V1_2).unwrap();
        self.0
            .send(Message::text(String::from_utf8(bytes.to_vec()).unwrap()))
            .await
            .unwrap();
    }

    /// The next message that is no heart-beat.
    async fn next(&mut self) -> Message {
        loop {
            match soon(self.0.next())
                .await
                .expect("a message before the end")
                .unwrap()
            {
                Message::Ping(_) => {}
                Message::Text(text) if text.as_str() == "\n" => {}
                message => return message,
            }
        }
    }

    async fn gets(&mut self, command: Command) -> Frame {
        let message = self.next().await;
        let Message::Text(text) = message else {
            panic!("{message:?}, and no {command}")
        };
        let frame = Frame::parse(text.as_str().to_owned(), Version::V1_2).unwrap();
        assert_eq!(frame.command, command, "{frame:?} {:?}", frame.body);
        frame
    }

    /// Sends a frame and gets its receipt, and nothing before it.
    async fn asks(&mut self, frame: Frame) {
        self.send(frame.with_header("receipt", "7")).await;
        assert_eq!(
            self.gets(Command::Receipt).await.headers.get("receipt-id"),
            Some("7")
        );
    }

    /// Sends a frame and is told of an error that is about it.
    async fn is_refused(&mut self, frame: Frame) -> Frame {
        self.send(frame.with_header("receipt", "8")).await;
        let error = self.gets(Command::Error).await;
        assert_eq!(error.headers.get("receipt-id"), Some("8"));
        error
    }

    /// Is closed with this code, and then the connection ends.
    async fn is_closed(&mut self, code: u16) {
        let message = self.next().await;
        let Message::Close(Some(close)) = message else {
            panic!("{message:?}, and no close")
        };
        assert_eq!(u16::from(close.code), code);
        while soon(self.0.next())
            .await
            .is_some_and(|message| message.is_ok())
        {}
    }
}

fn connect() -> Frame {
    Frame::new(Command::Connect)
        .with_header("accept-version", "1.2")
        .with_header("host", "localhost")
}

fn send(destination: &str, body: &'static str) -> Frame {
    Frame::new(Command::Send)
        .with_header("destination", destination)
        .with_body(body)
}

fn subscribe(id: &str, destination: &str) -> Frame {
    Frame::new(Command::Subscribe)
        .with_header("id", id)
        .with_header("destination", destination)
}

fn message_of(error: &Frame) -> Option<&str> {
    error.headers.get("message")
}

type Prices = Topic<Json<f64>>;

async fn watch(State(prices): State<Prices>) -> impl IntoSubscribeResponse {
    Observe(prices.subscribe())
}

async fn set(
    State(prices): State<Prices>,
    Path(article): Path<String>,
    price: Json<f64>,
) -> Result<(), BoxError> {
    if article != "tea" {
        return Err(ClientError::new("out-of-stock", "There is none left.").into());
    }
    prices.publish(price)
}

/// An app with something of everything.
fn shop() -> App {
    async fn break_down() {
        panic!("secret: a bug");
    }
    async fn sink() {}
    App::new()
        .subscribe("/prices", watch)
        .send("/prices/{article}", set)
        .send("/panic", break_down)
        .send("/sink", sink)
        .with_state(Prices::new())
}

#[tokio::test]
async fn the_handshake_chooses_the_version() {
    let address = serve(App::new()).await;
    for (offer, expected) in [
        ("v12.stomp", "v12.stomp"),
        ("v10.stomp, v11.stomp, v12.stomp, mqtt", "v12.stomp"),
    ] {
        let (socket, response) = handshake(address, &[("sec-websocket-protocol", offer)])
            .await
            .unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], expected);
        let mut client = Client(socket);
        client.send(connect()).await;
        assert_eq!(
            client.gets(Command::Connected).await.headers.get("version"),
            Some("1.2")
        );
    }
    let (_, response) = handshake(address, &[]).await.unwrap();
    assert!(
        !response.headers().contains_key("sec-websocket-protocol"),
        "nothing is chosen of no offer"
    );
}

#[tokio::test]
async fn a_handler_runs_before_its_receipt() {
    async fn note(State(seen): State<mpsc::UnboundedSender<String>>, text: String) {
        seen.send(text).unwrap();
    }
    let (seen, mut texts) = mpsc::unbounded_channel();
    let address = serve(App::new().send("/notes", note).with_state(seen)).await;
    let mut client = Client::connect(address).await;
    client.asks(send("/notes", "h\u{e9}")).await;
    assert_eq!(texts.try_recv().unwrap(), "h\u{e9}");
}

/// Two clients of the shop: what one sends, the other gets.
async fn prices_are_told(address: SocketAddr) {
    let (mut watcher, mut shopkeeper) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    watcher.asks(subscribe("p", "/prices")).await;
    shopkeeper.asks(send("/prices/tea", "12.5")).await;
    shopkeeper.asks(send("/prices/tea", "13.5")).await;
    for body in ["12.5", "13.5"] {
        let message = watcher.gets(Command::Message).await;
        assert_eq!(message.headers.get("subscription"), Some("p"));
        assert_eq!(message.headers.get("destination"), Some("/prices"));
        assert_eq!(
            message.headers.get("content-type"),
            Some("application/json")
        );
        assert_eq!(message.body, body);
    }
    watcher
        .asks(Frame::new(Command::Unsubscribe).with_header("id", "p"))
        .await;
    shopkeeper.asks(send("/prices/tea", "14.5")).await;
    watcher.asks(send("/sink", "")).await;
}

/// Layers of sessions are built when clients come: if one panics, the others are served all the same.
#[tokio::test]
async fn a_layer_that_cannot_be_built_ends_its_own_session() {
    async fn sink() {}
    let count = AtomicUsize::new(0);
    let layer = tower::layer::layer_fn(move |service| {
        assert!(
            count.fetch_add(1, Ordering::SeqCst) > 0,
            "the first is out of luck"
        );
        service
    });
    let address = serve(App::new().send("/sink", sink).layer_per_session(layer)).await;
    let (mut first, _) = handshake(address, &[]).await.unwrap();
    while soon(first.next())
        .await
        .is_some_and(|message| message.is_ok())
    {}
    Client::connect(address).await.asks(send("/sink", "")).await;
}

#[tokio::test]
async fn what_one_client_publishes_the_subscribers_get() {
    prices_are_told(serve(shop()).await).await;
}

/// More of them than a topic serves in one go, and on several threads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_crowd_everybody_hears_the_same() {
    const CROWD: usize = 100;
    async fn join(State(room): State<Topic<String>>) -> impl IntoSubscribeResponse {
        Observe(room.subscribe())
    }
    async fn say(State(room): State<Topic<String>>, text: String) -> Result<(), BoxError> {
        room.publish(text)
    }
    let address = serve(
        App::new()
            .subscribe("/room", join)
            .send("/room", say)
            .with_state(Topic::new()),
    )
    .await;
    let mut clients = Vec::new();
    for _ in 0..CROWD {
        let mut client = Client::connect(address).await;
        client.asks(subscribe("0", "/room")).await;
        clients.push(client);
    }
    for client in &mut clients {
        client.send(send("/room", "hello")).await;
    }
    let mut heard = Vec::new();
    for client in &mut clients {
        let mut ids = Vec::new();
        for _ in 0..CROWD {
            let message = client.gets(Command::Message).await;
            ids.push(message.headers.get("message-id").unwrap().to_owned());
        }
        heard.push(ids);
    }
    assert!(
        heard.windows(2).all(|two| two.first() == two.last()),
        "{heard:?}"
    );
    let mut ids = heard.swap_remove(0);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), CROWD);
}

#[tokio::test]
async fn a_handlers_error_is_told_and_the_session_goes_on() {
    let mut client = Client::connect(serve(shop()).await).await;
    for (frame, code, text) in [
        (
            send("/prices/coffee", "1"),
            "out-of-stock",
            Some("There is none left."),
        ),
        (send("/prices/tea", "cheap"), "bad-request", None),
        (send("/nowhere", ""), "not-found", None),
        (subscribe("0", "/nowhere"), "not-found", None),
    ] {
        let error = client.is_refused(frame).await;
        assert_eq!(message_of(&error), Some(code));
        assert!(
            text.is_none_or(|text| error.body == text),
            "{:?}",
            error.body
        );
    }
    client.asks(send("/prices/tea", "12.5")).await;
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_no_more() {
    let address = serve(shop()).await;
    let (mut client, mut other) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    for _ in 0..2 {
        let error = client.is_refused(send("/panic", "")).await;
        assert_eq!(message_of(&error), Some("internal-error"));
        assert_eq!(error.body, "The server failed to handle this frame.");
        assert!(
            error
                .headers
                .iter()
                .all(|(_, value)| !value.contains("secret"))
        );
        client.asks(send("/sink", "")).await;
    }
    other.asks(send("/sink", "")).await;
    Client::connect(address).await;
}

#[tokio::test]
async fn a_malformed_frame_ends_its_session_and_no_other() {
    let address = serve(shop()).await;
    let (mut client, mut other) = (
        Client::connect(address).await,
        Client::connect(address).await,
    );
    client
        .0
        .send(Message::text("SENT\ndestination:/sink\n\n\0"))
        .await
        .unwrap();
    assert_eq!(
        message_of(&client.gets(Command::Error).await),
        Some("malformed-frame")
    );
    client.is_closed(1002).await;
    other.asks(send("/sink", "")).await;
}

#[tokio::test]
async fn a_refused_connect_is_told_why_and_closed() {
    async fn doorman(text: webstomp::frame::Headers) -> Result<Principal, ClientError> {
        match text.get("login") {
            Some(login) => Ok(Principal::new(login)),
            None => Err(ClientError::new("login-required", "Who are you?")),
        }
    }
    async fn name(principal: Principal) -> String {
        principal.name().to_owned()
    }
    let address = serve(App::new().connect(doorman).subscribe("/me", name)).await;
    let mut stranger = Client::open(address).await;
    stranger.send(connect()).await;
    let error = stranger.gets(Command::Error).await;
    assert_eq!(
        (message_of(&error), &error.body[..]),
        (Some("login-required"), &b"Who are you?"[..])
    );
    stranger.is_closed(1008).await;

    let mut ann = Client::open(address).await;
    ann.send(connect().with_header("login", "ann")).await;
    ann.gets(Command::Connected).await;
    ann.asks(subscribe("0", "/me")).await;
    assert_eq!(ann.gets(Command::Message).await.body, "ann");
}

/// Why a session ended.
struct Reason(DisconnectReason);

impl<S> FromRequest<S> for Reason {
    fn from_request(request: &Request, _: &S) -> Result<Self, ClientError> {
        request
            .reason()
            .map(Reason)
            .ok_or_else(ClientError::internal)
    }
}

#[tokio::test]
async fn the_disconnect_handler_is_called_once_however_a_session_ends() {
    async fn gone(
        State(reasons): State<mpsc::UnboundedSender<DisconnectReason>>,
        Reason(reason): Reason,
    ) {
        reasons.send(reason).unwrap();
    }
    let (sender, mut reasons) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(
        App::new()
            .disconnect(gone)
            .with_state(sender)
            .serve(listener),
    );

    let mut client = Client::connect(address).await;
    client.asks(Frame::new(Command::Disconnect)).await;
    client.is_closed(1000).await;
    drop(client);
    assert_eq!(
        soon(reasons.recv()).await,
        Some(DisconnectReason::Requested)
    );

    let mut client = Client::connect(address).await;
    client.0.close(None).await.unwrap();
    assert_eq!(soon(reasons.recv()).await, Some(DisconnectReason::Closed));
    drop(client);

    drop(Client::connect(address).await);
    assert_eq!(soon(reasons.recv()).await, Some(DisconnectReason::Lost));

    let mut client = Client::connect(address).await;
    client.0.send(Message::text("SENT\n\n\0")).await.unwrap();
    client.gets(Command::Error).await;
    client.is_closed(1002).await;
    drop(client);
    assert_eq!(soon(reasons.recv()).await, Some(DisconnectReason::Fault));

    // One that was never connected is not disconnected.
    drop(Client::open(address).await);
    server.abort();
    // The handlers are gone when the last session is.
    assert_eq!(soon(reasons.recv()).await, None);
}

#[tokio::test]
async fn a_plain_request_is_told_what_this_is() {
    let address = serve(App::new()).await;
    let answer = exchange(
        address,
        "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    )
    .await;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
    assert!(
        head.to_ascii_lowercase().contains("\r\nupgrade: websocket"),
        "{head}"
    );
    assert_eq!(body, "This address speaks STOMP over WebSocket.\n");
}

#[tokio::test]
async fn a_page_from_elsewhere_may_not_connect() {
    let address = serve(App::new()).await;
    let Err(Error::Http(refused)) = handshake(address, &[("origin", "https://evil.example")]).await
    else {
        panic!("not refused")
    };
    assert_eq!(refused.status(), 403);
    assert!(
        handshake(address, &[("origin", &format!("http://{address}"))])
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn an_app_can_be_mounted_on_axum() {
    let address = mount(shop()).await;
    prices_are_told(address).await;

    let mut client = Client::connect(address).await;
    client.is_refused(send("/panic", "")).await;
    client.asks(Frame::new(Command::Disconnect)).await;
    client.is_closed(1000).await;

    let get = |path| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let answer = exchange(address, &get("/health")).await;
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\nwell"),
        "{answer}"
    );
    assert!(
        exchange(address, &get("/stomp"))
            .await
            .starts_with("HTTP/1.1 426 ")
    );
    assert!(
        exchange(address, &get("/elsewhere"))
            .await
            .starts_with("HTTP/1.1 404 ")
    );
}

/// Clients that know the answer already do not wait for it.
#[tokio::test]
async fn all_may_be_said_at_once() {
    for address in [serve(shop()).await, mount(shop()).await] {
        // A WebSocket message under a mask of zeros, right behind the handshake.
        let frames = "CONNECT\naccept-version:1.2\n\n\0SEND\ndestination:/sink\nreceipt:7\n\n\0DISCONNECT\n\n\0";
        let message = [
            &[0x81, 0x80 | u8::try_from(frames.len()).unwrap(), 0, 0, 0, 0],
            frames.as_bytes(),
        ]
        .concat();
        let handshake = "GET /stomp HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream
            .write_all(&[handshake.as_bytes(), &message].concat())
            .await
            .unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(&1000_u16.to_be_bytes()) {
            assert_ne!(
                soon(stream.read_buf(&mut answer)).await.unwrap(),
                0,
                "{}",
                answer.escape_ascii()
            );
        }
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        let (connected, receipt) = (
            answer.find("CONNECTED\nversion:1.2\n"),
            answer.find("RECEIPT\nreceipt-id:7\n"),
        );
        assert!(connected.is_some() && connected < receipt, "{answer}");
    }
}

#[tokio::test]
async fn a_layer_of_the_app_is_around_its_handlers() {
    async fn ready() {}
    let app = App::new()
        .send("/never", pending::<()>)
        .send("/ready", ready)
        // What is ready at once is in time for any limit.
        .layer(TimeoutLayer::new(Duration::from_millis(1)))
        // Settings of one's own do not change what is told of a layer's error.
        .session_config(Config::default());
    let mut client = Client::connect(serve(app).await).await;
    assert_eq!(
        message_of(&client.is_refused(send("/never", "")).await),
        Some("timeout")
    );
    client.asks(send("/ready", "")).await;
}

#[tokio::test]
async fn heart_beats_are_agreed_on() {
    let mut config = Config::default();
    config.heart_beat = HeartBeat {
        send: 5_000,
        receive: 7_000,
    };
    for (app, offer) in [
        (App::new(), "1000,1000"),
        (App::new().session_config(config), "5000,7000"),
    ] {
        let address = serve(app).await;
        for (wish, expected) in [
            (Some("10000,10000"), offer),
            (Some("0,0"), offer),
            (None, "0,0"),
        ] {
            let mut client = Client::open(address).await;
            let frame = wish.map_or_else(connect, |wish| connect().with_header("heart-beat", wish));
            client.send(frame).await;
            let connected = client.gets(Command::Connected).await;
            assert_eq!(
                connected.headers.get("heart-beat"),
                Some(expected),
                "for {wish:?}"
            );
        }
    }
}

#[tokio::test]
async fn routes_that_exclude_each_other_are_not_served() {
    async fn sink() {}
    let app = || {
        App::<()>::new()
            .send("/a/{id}", sink)
            .send("/a/:name", sink)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let errors = soon(app().serve(listener)).await.unwrap_err();
    assert!(errors.to_string().contains("/a/{id}"), "{errors}");
    assert!(matches!(
        soon(app().listen("127.0.0.1:0")).await,
        Err(StartupError::Routes(_))
    ));
    let mounted = app().into_service().unwrap_err();
    assert_eq!(mounted.to_string(), errors.to_string());
}

#[tokio::test]
async fn an_address_that_is_taken_is_an_error() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = soon(App::new().listen(address)).await.unwrap_err();
    assert!(matches!(error, StartupError::Listen { .. }), "{error}");
    let expected = format!("cannot listen on {address}: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
}
