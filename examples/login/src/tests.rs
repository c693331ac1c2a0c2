//! The site as its clients see it: over streams in memory, on a paused clock.

#![allow(
    clippy::unwrap_used,
    reason = "a helper that fails is a test that fails"
)]

use crate::app;
use std::{io, time::Duration};
use stomp_testing::{Client, frames, soon};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};
use webstomp::{
    Peer,
    frame::Version,
    server::{Incoming, Listener},
};

/// The page's own origin: clients address the server as `localhost`.
const OWN: &str = "http://localhost";

struct Site(mpsc::UnboundedSender<DuplexStream>);

struct InMemory(mpsc::UnboundedReceiver<DuplexStream>);

impl Listener for InMemory {
    type Io = DuplexStream;

    async fn accept(&mut self) -> io::Result<Incoming<DuplexStream>> {
        let io = self.0.recv().await.ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Incoming::new(io, Peer::default()))
    }
}

impl Site {
    fn start() -> Site {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(app().unwrap().serve(InMemory(receiver)));
        Site(sender)
    }

    fn open(&self) -> DuplexStream {
        let (near, far) = tokio::io::duplex(64 << 10);
        self.0.send(far).unwrap();
        near
    }

    /// Sends an HTTP request, and returns the response.
    async fn request(&self, line: &str, headers: &[(&str, &str)], body: &str) -> String {
        let mut request = format!(
            "{line} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        let mut stream = self.open();
        let request = format!("{request}\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut response = String::new();
        soon(stream.read_to_string(&mut response)).await.unwrap();
        response
    }

    /// Logs in, and returns the token.
    async fn log_in(&self, name: &str, password: &str) -> String {
        let json = format!(r#"["{name}","{password}"]"#);
        let header = [("content-type", "application/json")];
        let response = self.request("POST /login", &header, &json).await;
        let (_, cookie) = response.split_once("set-cookie: session=").unwrap();
        let (token, attributes) = cookie.split_once("; ").unwrap();
        assert!(attributes.starts_with("Path=/; HttpOnly; SameSite=Strict\r\n"));
        token.to_owned()
    }

    /// Connects as a page of this origin does that has this token in its cookie, or as a program without an origin.
    async fn handshake(&self, token: &str, origin: Option<&str>) -> Result<Client, String> {
        let cookie = format!("theme=dark; session={token}");
        let mut headers = vec![("cookie", cookie.as_str())];
        headers.extend(origin.map(|origin| ("origin", origin)));
        Client::upgrade(self.open(), "/stomp", &headers).await
    }

    /// A session of the page.
    async fn page(&self, token: &str) -> Client {
        let mut client = self.handshake(token, Some(OWN)).await.unwrap();
        client.connect(Version::V1_2).await;
        client
    }

    /// Connects as a program does, without a cookie and an origin, with this header in `CONNECT`.
    async fn program(&self, name: &str, value: &str) -> Client {
        let mut client = Client::upgrade(self.open(), "/stomp", &[]).await.unwrap();
        let connect = frames::connect(Version::V1_2).with_header(name, value);
        client.send(connect).await;
        client
    }

    /// Sends a notice with this token in the cookie, and returns the status.
    async fn notify(&self, token: &str, user: &str, text: &str) -> String {
        let (cookie, line) = (format!("session={token}"), format!("POST /notify/{user}"));
        let response = self.request(&line, &[("cookie", &cookie)], text).await;
        response.get(9..12).unwrap().to_owned()
    }
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_sets_no_cookie() {
    let site = Site::start();
    let header = [("content-type", "application/json")];
    for wrong in [r#"["ann","pear"]"#, r#"["eve","apple"]"#, r#"["",""]"#] {
        let response = site.request("POST /login", &header, wrong).await;
        assert!(response.starts_with("HTTP/1.1 403 "), "{response}");
        assert!(!response.contains("set-cookie"), "{response}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_connects_with_its_cookie_and_pages_of_other_sites_do_not() {
    let site = Site::start();
    let token = site.log_in("ann", "apple").await;
    let mut page = site.page(&token).await;
    page.receipt(frames::subscribe("0", "/notices")).await;
    // A foreign page, and a program that sends a cookie as if it were a page.
    for origin in [Some("https://evil.example"), None] {
        let refused = site.handshake(&token, origin).await.unwrap_err();
        assert!(refused.starts_with("HTTP/1.1 403 "), "{refused}");
    }
    for token in ["", "0123456789abcdef0123456789abcdef"] {
        let mut client = site.handshake(token, Some(OWN)).await.unwrap();
        client.send(frames::connect(Version::V1_2)).await;
        client.expect_error("login-required").await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_connects_with_a_token_in_the_connect_frame() {
    let site = Site::start();
    let token = site.log_in("ann", "apple").await;
    for (name, value) in [
        ("passcode", token.clone()),
        ("Authorization", format!("Bearer {token}")),
    ] {
        let mut program = site.program(name, &value).await;
        program.expect(webstomp::frame::Command::Connected).await;
        program
            .receipt(frames::subscribe("0", "/topic/users.ann.mail"))
            .await;
    }
    for (name, value) in [
        ("passcode", "guess".to_owned()),
        ("Authorization", token),
        ("login", "ann".to_owned()),
    ] {
        let mut stranger = site.program(name, &value).await;
        stranger.expect_error("login-required").await;
        stranger.expect_end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn rules_let_users_read_their_own_topics_and_staff_write_to_them() {
    let site = Site::start();
    let mut ann = site.page(&site.log_in("ann", "apple").await).await;
    let mut root = site.page(&site.log_in("root", "pear").await).await;
    ann.receipt(frames::subscribe("0", "/topic/users.ann.>"))
        .await;
    for destination in ["/topic/users.root.mail", "/topic/users/*/mail", "/topic/>"] {
        let subscribe = frames::subscribe("1", destination);
        ann.expect_refusal(subscribe, "forbidden").await;
        ann.receipt(frames::unsubscribe("1")).await;
    }
    let mail = || frames::send("/topic/users/ann/mail", "hello");
    ann.expect_refusal(mail(), "forbidden").await;
    root.receipt(mail()).await;
    ann.expect_message_for("0", "hello").await;
}

#[tokio::test(start_paused = true)]
async fn an_http_request_of_the_staff_reaches_exactly_the_sessions_of_one_user() {
    let site = Site::start();
    let (ann, root) = (
        site.log_in("ann", "apple").await,
        site.log_in("root", "pear").await,
    );
    assert_eq!(site.notify(&root, "ann", "too early").await, "404");
    let mut tabs = [
        site.page(&ann).await,
        site.page(&ann).await,
        site.page(&root).await,
    ];
    for tab in &mut tabs {
        tab.receipt(frames::subscribe("0", "/notices")).await;
    }
    assert_eq!(site.notify(&root, "ann", "It has left.").await, "200");
    let [first, second, other] = &mut tabs;
    first.expect_message("It has left.").await;
    second.expect_message("It has left.").await;
    other.expect_nothing().await;
    for token in [ann.as_str(), ""] {
        assert_eq!(site.notify(token, "root", "mine").await, "403");
    }
    other.expect_nothing().await;
}

#[tokio::test(start_paused = true)]
async fn the_staff_sees_the_users_who_are_online() {
    let site = Site::start();
    let root = site.log_in("root", "pear").await;
    let ann = site.log_in("ann", "apple").await;
    let _tabs = [site.page(&ann).await, site.page(&ann).await];
    for (token, status, body) in [(&root, "200 OK", r#"["ann"]"#), (&ann, "403 Forbidden", "")] {
        let cookie = format!("session={token}");
        let response = site
            .request("GET /online", &[("cookie", &cookie)], "")
            .await;
        assert!(
            response.starts_with(&format!("HTTP/1.1 {status}\r\n"))
                && response.ends_with(&format!("\r\n\r\n{body}")),
            "{response}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn sessions_end_with_their_login() {
    let site = Site::start();
    let token = site.log_in("ann", "apple").await;
    let day = Duration::from_secs(24 * 3_600);
    let mut page = site.page(&token).await.with_timeout(day);
    page.expect_error("credentials-expired").await;
    page.expect_end().await;
    let mut again = site.handshake(&token, Some(OWN)).await.unwrap();
    again.send(frames::connect(Version::V1_2)).await;
    again.expect_error("login-required").await;
}

#[tokio::test(start_paused = true)]
async fn a_user_has_at_most_twenty_sessions() {
    let site = Site::start();
    let token = site.log_in("ann", "apple").await;
    let mut tabs = Vec::new();
    for _ in 0..20 {
        tabs.push(site.page(&token).await);
    }
    let mut further = site.handshake(&token, Some(OWN)).await.unwrap();
    further.send(frames::connect(Version::V1_2)).await;
    further.expect_error("too-many-sessions").await;
}
