//! Requests through `Routes`: which handler they reach, with what arguments, and what becomes of its answer.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, net::IpAddr, sync::mpsc};
use stomp_frame::{Command, Frame, Headers};
use stomp_router::{Extension, FromRef, Json, Observe, Path, Router, Routes, State};
use stomp_session::{
    BoxError, ClientError, Connected, Delivery, DisconnectReason, Message, Peer, Principal,
    Request, Response, Session,
};
use thiserror::Error;
use tower::{Service, ServiceExt};

fn request(command: Command, destination: &str, body: &'static [u8]) -> Request {
    Request::new(
        Frame::new(command)
            .with_header("destination", destination)
            .with_body(body),
    )
}

fn send(destination: &str, body: &'static [u8]) -> Request {
    request(Command::Send, destination, body)
}

fn subscribe(destination: &str) -> Request {
    request(Command::Subscribe, destination, b"")
}

/// The bodies of the messages that a subscription to `destination` gets, or what the client is told instead.
async fn messages(routes: &Routes, destination: &str) -> Result<Vec<String>, String> {
    let shown = |error: BoxError| error.downcast::<ClientError>().unwrap().to_string();
    let text = |message: Result<Delivery, BoxError>| {
        String::from_utf8(message.unwrap().body().to_vec()).unwrap()
    };
    match routes
        .clone()
        .oneshot(subscribe(destination))
        .await
        .map_err(shown)?
    {
        Response::Observe(messages) => Ok(messages.map(text).collect().await),
        other => panic!("no messages, but {other:?}"),
    }
}

/// What the client is told of a request that fails.
async fn refusal(routes: &Routes, request: Request) -> ClientError {
    *routes
        .clone()
        .oneshot(request)
        .await
        .unwrap_err()
        .downcast()
        .unwrap()
}

async fn show(Path(value): Path<String>) -> String {
    value
}

#[tokio::test]
async fn a_parameter_is_one_segment_in_either_spelling() {
    let routes = Router::new()
        .subscribe("/users/{id}/name", show)
        .subscribe("/rooms/:room", show)
        .subscribe("/prices/{article}.eur", show)
        .subscribe("orders.{id}", show)
        .build()
        .unwrap();
    for (destination, expected) in [
        ("/users/7/name", "7"),
        ("/users/a.b c/name", "a.b c"),
        ("/users/:id/name", ":id"),
        ("/rooms/gr\u{fc}n", "gr\u{fc}n"),
        ("/rooms/{room}", "{room}"),
        ("/prices/tea.eur", "tea"),
        ("orders.7.new", "7.new"),
    ] {
        assert_eq!(
            messages(&routes, destination).await,
            Ok(vec![expected.to_owned()])
        );
    }
    for elsewhere in [
        "/users/7",
        "/users//name",
        "/users/7/8/name",
        "/rooms/",
        "/rooms/a/b",
        "rooms/a",
        "orders/7",
        "",
    ] {
        assert_eq!(
            refusal(&routes, subscribe(elsewhere)).await.code(),
            "not-found",
            "{elsewhere}"
        );
    }
}

#[tokio::test]
async fn a_starred_parameter_is_all_the_rest() {
    let routes = Router::new()
        .subscribe("/files/{*rest}", show)
        .build()
        .unwrap();
    assert_eq!(
        messages(&routes, "/files/a").await,
        Ok(vec!["a".to_owned()])
    );
    assert_eq!(
        messages(&routes, "/files/a/b//c").await,
        Ok(vec!["a/b//c".to_owned()])
    );
    assert_eq!(
        refusal(&routes, subscribe("/files/")).await.code(),
        "not-found"
    );
}

#[tokio::test]
async fn fixed_text_goes_before_a_parameter_whatever_came_first() {
    async fn fixed() -> String {
        "fixed".to_owned()
    }
    let before = Router::new()
        .subscribe("/rooms/lobby", fixed)
        .subscribe("/rooms/{room}", show);
    let after = Router::new()
        .subscribe("/rooms/{room}", show)
        .subscribe("/rooms/lobby", fixed);
    for routes in [before.build().unwrap(), after.build().unwrap()] {
        assert_eq!(
            messages(&routes, "/rooms/lobby").await,
            Ok(vec!["fixed".to_owned()])
        );
        assert_eq!(
            messages(&routes, "/rooms/lobbyist").await,
            Ok(vec!["lobbyist".to_owned()])
        );
    }
}

/// Routes keep where the last request went: that must not show.
#[tokio::test]
async fn what_is_asked_before_makes_no_difference() {
    async fn accept(Path(_): Path<String>) {}
    async fn refuse() -> Result<(), ClientError> {
        Err(ClientError::internal())
    }
    let mut routes = Router::new()
        .subscribe("/rooms/{room}", show)
        .send("/elsewhere", refuse)
        .send("/rooms/{room}", accept)
        .build()
        .unwrap();
    for room in ["a", "a", "bb", "a"] {
        let destination = format!("/rooms/{room}");
        let Response::Observe(mut messages) = routes.call(subscribe(&destination)).await.unwrap()
        else {
            panic!()
        };
        assert_eq!(messages.next().await.unwrap().unwrap().body(), room);
        assert!(matches!(
            routes.call(send(&destination, b"")).await.unwrap(),
            Response::Done
        ));
        assert!(routes.call(subscribe("/nowhere")).await.is_err());
        assert!(matches!(
            routes
                .call(request(Command::Unsubscribe, &destination, b""))
                .await,
            Ok(Response::Done)
        ));
    }
}

#[tokio::test]
async fn parameters_are_read_as_what_the_handler_takes() {
    #[derive(Deserialize)]
    struct Place {
        id: u64,
        room: String,
    }
    #[derive(Deserialize)]
    struct Id(i8);
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
    }

    async fn number(Path(id): Path<u64>) -> String {
        format!("{}", id + 1)
    }
    async fn tuple(Path((room, id)): Path<(String, i32)>) -> String {
        format!("{room} {id}")
    }
    async fn by_name(Path(Place { id, room }): Path<Place>) -> String {
        format!("{room} {id}")
    }
    async fn map(Path(all): Path<HashMap<String, String>>) -> String {
        format!("{} {} of {}", all["room"], all["id"], all.len())
    }
    async fn other(Path((Id(id), flag, letter, colour)): Path<(Id, bool, char, Colour)>) -> String {
        format!("{id} {flag} {letter} {colour:?}")
    }

    let routes = Router::new()
        .subscribe("/number/{id}", number)
        .subscribe("/tuple/{room}/{id}", tuple)
        .subscribe("/struct/{room}/{id}", by_name)
        .subscribe("/map/{room}/{id}", map)
        .subscribe("/other/{id}/{flag}/{letter}/{colour}", other)
        .build()
        .unwrap();
    for (destination, expected) in [
        ("/number/41", "42"),
        ("/tuple/blue/-3", "blue -3"),
        ("/struct/blue/3", "blue 3"),
        ("/map/blue/3", "blue 3 of 2"),
        ("/other/-1/true/\u{e9}/red", "-1 true \u{e9} Red"),
    ] {
        assert_eq!(
            messages(&routes, destination).await,
            Ok(vec![expected.to_owned()])
        );
    }
}

#[tokio::test]
async fn a_wrong_number_is_a_bad_request_that_names_the_parameter() {
    #[derive(Deserialize)]
    struct Place {
        #[serde(rename = "id")]
        _id: u8,
    }
    async fn one(Path(_): Path<u8>) {}
    async fn tuple(Path(_): Path<(String, u8)>) {}
    async fn by_name(Path(_): Path<Place>) {}

    let routes = Router::new()
        .send("/one/{id}", one)
        .send("/tuple/{room}/{id}", tuple)
        .send("/struct/{room}/{id}", by_name)
        .build()
        .unwrap();
    for destination in [
        "/one/x",
        "/one/256",
        "/one/-1",
        "/tuple/blue/x",
        "/struct/blue/x",
    ] {
        let error = refusal(&routes, send(destination, b"")).await;
        assert_eq!(error.code(), "bad-request", "{destination}");
        assert!(error.text().contains("\"id\""), "{error}");
    }
    assert!(matches!(
        routes.oneshot(send("/one/255", b"")).await,
        Ok(Response::Done)
    ));
}

#[tokio::test]
async fn a_handler_of_other_parameters_than_its_pattern_refuses() {
    async fn two(Path(_): Path<(String, String)>) {}
    async fn one(Path(_): Path<String>) {}
    let routes = Router::new()
        .send("/one/{a}", two)
        .send("/two/{a}/{b}", one)
        .send("/none", one)
        .build()
        .unwrap();
    for destination in ["/one/x", "/two/x/y", "/none"] {
        assert_eq!(
            refusal(&routes, send(destination, b"")).await.code(),
            "bad-request",
            "{destination}"
        );
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Order {
    article: String,
    count: u32,
}

/// Handlers tell what they got here.
type Seen<T> = State<mpsc::Sender<T>>;

#[tokio::test]
async fn a_json_body_is_read() {
    async fn order(State(seen): Seen<Order>, Json(order): Json<Order>) {
        seen.send(order).unwrap();
    }
    let (seen, orders) = mpsc::channel();
    let routes = Router::new()
        .send("/orders", order)
        .with_state(seen)
        .build()
        .unwrap();

    routes
        .clone()
        .oneshot(send("/orders", br#" {"article":"tea","count":2} "#))
        .await
        .unwrap();
    assert_eq!(
        orders.try_recv(),
        Ok(Order {
            article: "tea".to_owned(),
            count: 2
        })
    );

    for wrong in [
        &b""[..],
        b"tea",
        br#"{"article":"tea"}"#,
        br#"{"article":"tea","count":-1}"#,
        b"\"\xff\"",
    ] {
        assert_eq!(
            refusal(&routes, send("/orders", wrong)).await.code(),
            "bad-request",
            "{wrong:?}"
        );
    }
    assert!(
        orders.try_recv().is_err(),
        "a handler is not called without its arguments"
    );
}

#[tokio::test]
async fn a_text_must_be_utf_8_and_bytes_may_be_anything() {
    async fn text(State(seen): Seen<Bytes>, text: String) {
        seen.send(text.into()).unwrap();
    }
    async fn bytes(State(seen): Seen<Bytes>, bytes: Bytes) {
        seen.send(bytes).unwrap();
    }
    let (seen, bodies) = mpsc::channel();
    let routes = Router::new()
        .send("/text", text)
        .send("/bytes", bytes)
        .with_state(seen)
        .build()
        .unwrap();

    routes
        .clone()
        .oneshot(send("/text", "h\u{e9}".as_bytes()))
        .await
        .unwrap();
    assert_eq!(bodies.try_recv().unwrap(), "h\u{e9}");
    routes
        .clone()
        .oneshot(send("/bytes", b"ab\xff\0"))
        .await
        .unwrap();
    assert_eq!(bodies.try_recv().unwrap(), &b"ab\xff\0"[..]);

    let error = refusal(&routes, send("/text", b"ab\xff")).await;
    assert_eq!(error.code(), "bad-request");
    assert!(error.text().contains("byte 2"), "{error}");
    assert!(bodies.try_recv().is_err());
}

#[tokio::test]
async fn state_is_given_as_a_whole_and_in_parts() {
    #[derive(Clone)]
    struct Shop {
        name: &'static str,
        prices: Prices,
    }
    #[derive(Clone)]
    struct Prices(u32);
    impl FromRef<Shop> for Prices {
        fn from_ref(shop: &Shop) -> Prices {
            shop.prices.clone()
        }
    }

    async fn whole(State(shop): State<Shop>) -> String {
        shop.name.to_owned()
    }
    async fn part(State(prices): State<Prices>) -> String {
        prices.0.to_string()
    }
    let routes = Router::new()
        .subscribe("/shop", whole)
        .subscribe("/prices", part)
        .with_state(Shop {
            name: "tea house",
            prices: Prices(12),
        })
        .build()
        .unwrap();
    assert_eq!(
        messages(&routes, "/shop").await,
        Ok(vec!["tea house".to_owned()])
    );
    assert_eq!(
        messages(&routes, "/prices").await,
        Ok(vec!["12".to_owned()])
    );
}

#[tokio::test]
async fn a_handler_takes_up_to_eight_arguments() {
    #[allow(clippy::too_many_arguments)]
    async fn all(
        State(factor): State<u32>,
        Path((_, id)): Path<(String, u32)>,
        headers: Headers,
        session: Session,
        Json(count): Json<u32>,
        text: String,
        bytes: Bytes,
        Path(names): Path<HashMap<String, String>>,
    ) -> String {
        let priority = headers.get("priority").unwrap();
        let product = factor * id * count;
        format!(
            "{product} {priority} {} {text} {} {}",
            session.is_closed(),
            bytes.len(),
            names["room"]
        )
    }
    let routes = Router::new()
        .subscribe("/{room}/{id}", all)
        .with_state(2)
        .build()
        .unwrap();
    let frame = Frame::new(Command::Subscribe)
        .with_header("destination", "/blue/3")
        .with_header("priority", "high");
    let Response::Observe(messages) = routes
        .oneshot(Request::new(frame.with_body("7")))
        .await
        .unwrap()
    else {
        panic!("no messages")
    };
    let messages: Vec<_> = messages.collect().await;
    assert_eq!(
        messages.first().unwrap().as_ref().unwrap().body(),
        "42 high true 7 1 blue"
    );
}

#[tokio::test]
async fn what_is_no_variant_is_a_bad_request_that_names_the_parameter() {
    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Blue,
    }
    async fn one(Path(colour): Path<Colour>) -> String {
        format!("{colour:?}")
    }
    async fn both(Path((_, colour)): Path<(IpAddr, Colour)>) -> String {
        format!("{colour:?}")
    }
    let routes = Router::new()
        .subscribe("/one/{colour}", one)
        .subscribe("/both/{address}/{colour}", both)
        .build()
        .unwrap();
    assert_eq!(
        messages(&routes, "/one/red").await,
        Ok(vec!["Red".to_owned()])
    );
    assert_eq!(
        messages(&routes, "/both/::1/blue").await,
        Ok(vec!["Blue".to_owned()])
    );
    for (destination, parts) in [
        (
            "/one/green",
            ["\"green\" is wrong for \"colour\"", "`red` or `blue`"],
        ),
        (
            "/both/::1/green",
            ["\"green\" is wrong for \"colour\"", "`red` or `blue`"],
        ),
        (
            "/both/a/red",
            ["\"a\" is wrong for \"address\"", "invalid IP address"],
        ),
    ] {
        let error = refusal(&routes, subscribe(destination)).await;
        assert_eq!(error.code(), "bad-request");
        assert!(
            parts.iter().all(|part| error.text().contains(part)),
            "{error}"
        );
    }
}

#[tokio::test]
async fn bad_json_is_found_in_its_field() {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Basket {
        #[serde(rename = "items")]
        _items: Vec<Order>,
    }
    async fn basket(_: Json<Basket>) {}
    let routes = Router::new().send("/baskets", basket).build().unwrap();
    for (body, parts) in [
        (
            &br#"{"items":[{"article":"tea","count":2},{"article":"milk","count":"x"}]}"#[..],
            ["at items[1].count", "column"],
        ),
        (
            br#"{"items":[{"article":"tea"}]}"#,
            ["at items[0]", "`count`"],
        ),
        (br#"{"items":[]} more"#, ["trailing", "column 14"]),
        (b"", ["expected: EOF", "line 1"]),
    ] {
        let error = refusal(&routes, send("/baskets", body)).await;
        assert_eq!(error.code(), "bad-request");
        assert!(
            parts.iter().all(|part| error.text().contains(part)),
            "{error}"
        );
    }
    // A client's own words are not given back at any length.
    let long = Box::leak(format!("{{\"{}\":1}}", "\u{7f}a".repeat(10_000)).into_boxed_str());
    let error = refusal(&routes, send("/baskets", long.as_bytes())).await;
    assert!(
        error.text().len() < 2_500 && !error.text().contains('\u{7f}'),
        "{error}"
    );
}

#[tokio::test]
async fn what_may_be_missing_is_an_option() {
    async fn show(
        principal: Option<Principal>,
        extension: Option<Extension<u8>>,
        reason: Option<DisconnectReason>,
        body: Option<Json<u8>>,
    ) -> String {
        let extension = extension.map(|Extension(value)| value);
        format!(
            "{:?} {extension:?} {reason:?} {:?}",
            principal.map(|who| who.to_string()),
            body.map(|Json(value)| value)
        )
    }
    let routes = Router::new().subscribe("/a", show).build().unwrap();
    let shown = async |request: Request| match routes.clone().oneshot(request).await.unwrap() {
        Response::Observe(messages) => messages
            .collect::<Vec<_>>()
            .await
            .remove(0)
            .unwrap()
            .body()
            .clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(shown(subscribe("/a")).await, "None None None None");
    let mut full = request(Command::Subscribe, "/a", b"7").with_principal(Principal::new("ann"));
    full.extensions_mut().insert(8_u8);
    assert_eq!(shown(full).await, "Some(\"ann\") Some(8) None Some(7)");
    let error = refusal(&routes, request(Command::Subscribe, "/a", b"x")).await;
    assert_eq!(
        error.code(),
        "bad-request",
        "what is there and wrong is an error"
    );
}

#[tokio::test]
async fn what_no_layer_has_added_is_the_servers_fault() {
    async fn extension(_: Extension<u8>) {}
    async fn reason(_: DisconnectReason) {}
    let routes = Router::new()
        .send("/extension", extension)
        .send("/reason", reason)
        .build()
        .unwrap();
    for destination in ["/extension", "/reason"] {
        assert_eq!(
            refusal(&routes, send(destination, b"")).await.code(),
            "internal-error"
        );
    }
    let mut request = send("/extension", b"");
    request.extensions_mut().insert(7_u8);
    assert!(routes.oneshot(request).await.is_ok());
}

#[tokio::test]
async fn the_peer_is_an_argument() {
    async fn show(peer: Peer) -> String {
        format!("{:?}", peer.address)
    }
    let routes = Router::new().subscribe("/a", show).build().unwrap();
    assert_eq!(messages(&routes, "/a").await, Ok(vec!["None".to_owned()]));
}

#[tokio::test]
async fn who_asks_must_be_known_where_a_handler_wants_to_know() {
    async fn private(_: Principal) {}
    let routes = Router::new().send("/private", private).build().unwrap();
    assert_eq!(
        refusal(&routes, send("/private", b"")).await.code(),
        "login-required"
    );
}

#[tokio::test]
async fn what_is_sent_or_subscribed_to_without_a_handler_is_not_found() {
    async fn sink() {}
    let routes = Router::new()
        .send("/in", sink)
        .subscribe("/out", sink)
        .build()
        .unwrap();
    for (command, destination) in [
        (Command::Send, "/nowhere"),
        (Command::Subscribe, "/nowhere"),
        // What one command reaches is of no use to the other.
        (Command::Send, "/out"),
        (Command::Subscribe, "/in"),
    ] {
        let error = refusal(&routes, request(command, destination, b"")).await;
        assert_eq!(error.code(), "not-found");
        assert!(
            error.text().contains(command.as_str()) && error.text().contains(destination),
            "{error}"
        );
    }
    let error = refusal(&routes, send(&"\u{1b}".repeat(200), b"")).await;
    assert!(
        !error.text().contains('\u{1b}') && error.text().len() < 1_000,
        "{error}"
    );
}

#[tokio::test]
async fn the_other_commands_succeed_without_a_handler() {
    let routes = Router::new().build().unwrap();
    for command in [
        Command::Connect,
        Command::Stomp,
        Command::Unsubscribe,
        Command::Disconnect,
    ] {
        let answer = routes.clone().oneshot(request(command, "/a", b"")).await;
        assert!(
            matches!(answer, Ok(Response::Done)),
            "{command}: {answer:?}"
        );
    }
}

#[tokio::test]
async fn every_command_has_its_own_handlers() {
    async fn refuse(State(code): State<&'static str>) -> Result<(), ClientError> {
        Err(ClientError::new(code, "Refused."))
    }
    let router = |code| -> Router<&'static str> {
        match code {
            "connect" => Router::new().connect(refuse),
            "unsubscribe" => Router::new().unsubscribe("/{*all}", refuse),
            _ => Router::new().disconnect(refuse),
        }
    };
    for (code, refused) in [
        ("connect", &[Command::Connect, Command::Stomp][..]),
        ("unsubscribe", &[Command::Unsubscribe]),
        ("disconnect", &[Command::Disconnect]),
    ] {
        let routes = router(code).with_state(code).build().unwrap();
        for command in [
            Command::Connect,
            Command::Stomp,
            Command::Unsubscribe,
            Command::Disconnect,
        ] {
            match routes.clone().oneshot(request(command, "/a", b"")).await {
                Ok(_) => assert!(
                    !refused.contains(&command),
                    "{command} did not reach {code}"
                ),
                Err(error) => {
                    assert_eq!(error.downcast::<ClientError>().unwrap().code(), code);
                    assert!(refused.contains(&command), "{command} reached {code}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_connect_handler_says_who_the_peer_is() {
    async fn principal() -> Principal {
        Principal::new("ann")
    }
    async fn connected() -> Result<Connected, BoxError> {
        Ok(Connected::new().with_header("server", "tea/1"))
    }
    let connect = || request(Command::Connect, "", b"");
    let answer = async |router: Router| match router.build().unwrap().oneshot(connect()).await {
        Ok(Response::Connected(connected)) => connected,
        other => panic!("{other:?}"),
    };
    let answered = answer(Router::new().connect(principal)).await;
    assert_eq!(answered.principal(), Some(&Principal::new("ann")));
    assert!(answered.headers().is_empty());
    let answered = answer(Router::new().connect(connected)).await;
    assert_eq!(answered.principal(), None);
    assert_eq!(answered.headers().get("server"), Some("tea/1"));
}

#[tokio::test]
async fn a_subscribe_handler_answers_with_messages() {
    async fn nothing() {}
    async fn json() -> Json<Order> {
        Json(Order {
            article: "tea".to_owned(),
            count: 2,
        })
    }
    async fn bytes() -> Result<Bytes, BoxError> {
        Ok(Bytes::from_static(b"\xff"))
    }
    async fn message() -> Message {
        Message::new("hi").with_header("colour", "red")
    }
    async fn items() -> Observe<impl futures_core::Stream<Item = Result<String, ClientError>>> {
        let failure = ClientError::new("out-of-stock", "There is none left.");
        Observe(stream::iter([
            Ok("one".to_owned()),
            Ok("two".to_owned()),
            Err(failure),
        ]))
    }
    let routes = Router::new()
        .subscribe("/nothing", nothing)
        .subscribe("/json", json)
        .subscribe("/bytes", bytes)
        .subscribe("/message", message)
        .subscribe("/items", items)
        .build()
        .unwrap();

    assert!(matches!(
        routes.clone().oneshot(subscribe("/nothing")).await,
        Ok(Response::Done)
    ));
    assert_eq!(
        messages(&routes, "/json").await,
        Ok(vec![r#"{"article":"tea","count":2}"#.to_owned()])
    );
    let get = async |destination| match routes.clone().oneshot(subscribe(destination)).await {
        Ok(Response::Observe(messages)) => messages.collect::<Vec<_>>().await,
        other => panic!("{other:?}"),
    };
    let [Ok(json)] = &get("/json").await[..] else {
        panic!("not one message")
    };
    assert_eq!(json.headers().get("content-type"), Some("application/json"));
    let [Ok(bytes)] = &get("/bytes").await[..] else {
        panic!("not one message")
    };
    assert_eq!(bytes.body(), &b"\xff"[..]);
    let [Ok(message)] = &get("/message").await[..] else {
        panic!("not one message")
    };
    assert_eq!(
        (message.headers().get("colour"), &message.body()[..]),
        (Some("red"), &b"hi"[..])
    );
    let [Ok(one), Ok(two), Err(failure)] = &get("/items").await[..] else {
        panic!("not three items")
    };
    assert_eq!(
        (&one.body()[..], &two.body()[..]),
        (&b"one"[..], &b"two"[..])
    );
    assert_eq!(
        failure.downcast_ref::<ClientError>().unwrap().code(),
        "out-of-stock"
    );
}

#[test]
fn all_that_is_wrong_with_routes_is_reported_together() {
    async fn sink() {}
    let before = line!();
    let router = Router::new()
        .connect(sink)
        .send("/rooms/{room}", sink)
        .subscribe("/rooms/:name", sink)
        .send("/rooms/:name", sink)
        .nest("/files", Router::new().send("/{*rest}", sink))
        .send("/files/{*all}", sink)
        .send("/broken/{", sink)
        .subscribe("/prices", sink)
        .subscribe("/prices", sink)
        .unsubscribe("/prices", sink)
        .connect(sink)
        .route_service(Command::Ack, "/prices", Router::new().build().unwrap())
        .fallback(sink)
        .fallback(sink);
    let errors = router.build().unwrap_err();
    let shown: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let at = |line| format!("(crates/stomp-router/tests/routing.rs:{}:", before + line);
    let expected = [
        [
            "SEND \"/rooms/:name\"",
            &at(5),
            "is in conflict with SEND \"/rooms/{room}\"",
            &at(3),
        ],
        [
            "SEND \"/files/{*all}\"",
            &at(7),
            "is in conflict with SEND \"/files/{*rest}\"",
            &at(6),
        ],
        ["SEND \"/broken/{\"", &at(8), "is malformed", ""],
        [
            "SUBSCRIBE \"/prices\"",
            &at(10),
            "is in conflict with SUBSCRIBE \"/prices\"",
            &at(9),
        ],
        ["CONNECT", &at(12), "is in conflict with CONNECT", &at(2)],
        ["ACK \"/prices\"", &at(13), "can have no route", ""],
        ["fallback", &at(15), "is in conflict with fallback", &at(14)],
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, parts) in shown.iter().zip(expected) {
        let mut rest = shown.as_str();
        for part in parts {
            rest = rest
                .split_once(part)
                .unwrap_or_else(|| panic!("{shown} has no {part:?}"))
                .1;
        }
        assert!(errors.to_string().contains(shown.as_str()), "{errors}");
    }
}

#[test]
fn there_is_one_handler_for_connect_and_one_for_disconnect() {
    async fn sink() {}
    let router = || Router::<()>::new().connect(sink).disconnect(sink);
    assert!(router().build().is_ok());
    for (router, command) in [
        (router().connect(sink), "CONNECT"),
        (router().disconnect(sink), "DISCONNECT"),
    ] {
        let errors = router.build().unwrap_err();
        assert_eq!(errors.iter().count(), 1);
        assert!(errors.to_string().starts_with(command), "{errors}");
    }
}

#[tokio::test]
async fn a_handlers_error_arrives_as_what_it_is() {
    #[derive(Debug, Error, PartialEq)]
    #[error("none of {0} is left")]
    struct OutOfStock(u32);

    async fn own() -> Result<(), OutOfStock> {
        Err(OutOfStock(7))
    }
    async fn boxed() -> Result<(), BoxError> {
        Err(OutOfStock(8).into())
    }
    async fn shown() -> Result<String, ClientError> {
        Err(ClientError::new("out-of-stock", "There is none left."))
    }
    let routes = Router::new()
        .send("/own", own)
        .send("/boxed", boxed)
        .subscribe("/shown", shown)
        .build()
        .unwrap();
    let error = async |request| routes.clone().oneshot(request).await.unwrap_err();
    assert_eq!(
        *error(send("/own", b""))
            .await
            .downcast::<OutOfStock>()
            .unwrap(),
        OutOfStock(7)
    );
    assert_eq!(
        *error(send("/boxed", b""))
            .await
            .downcast::<OutOfStock>()
            .unwrap(),
        OutOfStock(8)
    );
    assert_eq!(
        error(subscribe("/shown"))
            .await
            .downcast::<ClientError>()
            .unwrap()
            .code(),
        "out-of-stock"
    );
}
