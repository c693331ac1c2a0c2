//! Arguments from the state, the session, and layers.

use super::{messages, mistake, ready_items, rejection, request, send, subscribe};
use bytes::Bytes;
use std::collections::HashMap;
use stomp_frame::{Command, Frame, Headers};
use stomp_router::{Extension, FromRef, Json, Path, Router, State};
use stomp_session::{DisconnectReason, Peer, Principal, Request, Response, Session};
use tower::ServiceExt;

#[tokio::test]
async fn handlers_take_the_whole_state_or_a_part_of_it() {
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
        panic!("the response has no messages")
    };
    let messages = ready_items(messages);
    assert_eq!(
        messages.first().unwrap().as_ref().unwrap().body(),
        "42 high true 7 1 blue"
    );
}

#[tokio::test]
async fn an_optional_argument_is_none_if_its_value_is_absent() {
    async fn show(
        principal: Option<Principal>,
        extension: Option<Extension<u8>>,
        reason: Option<DisconnectReason>,
        body: Option<Json<u8>>,
    ) -> String {
        let extension = extension.map(|Extension(value)| value);
        format!(
            "{:?} {extension:?} {reason:?} {:?}",
            principal.map(|principal| principal.to_string()),
            body.map(|Json(value)| value)
        )
    }
    let routes = Router::new().subscribe("/a", show).build().unwrap();
    let response = async |request: Request| match routes.clone().oneshot(request).await.unwrap() {
        Response::Observe(messages) => ready_items(messages).remove(0).unwrap().body().clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(response(subscribe("/a")).await, "None None None None");
    let mut full = request(Command::Subscribe, "/a", b"7").with_principal(Principal::new("ann"));
    full.extensions_mut().insert(8_u8);
    assert_eq!(response(full).await, "Some(\"ann\") Some(8) None Some(7)");
    let error = rejection(&routes, request(Command::Subscribe, "/a", b"x")).await;
    assert_eq!(
        error.code(),
        "bad-request",
        "a value that is present but invalid is an error"
    );
}

#[tokio::test]
async fn an_argument_that_no_request_to_the_route_has_is_a_mistake_of_the_application() {
    async fn extension(_: Extension<u8>) {}
    async fn reason(_: Path<String>, _: DisconnectReason) {}
    async fn principal(_: Principal) {}
    async fn body(_: Json<u8>) {}
    let routes = Router::new()
        .connect(principal)
        .subscribe("/body", body)
        .send("/extension", extension)
        .send("/reason/{id}", reason)
        .build()
        .unwrap();
    for (request, parts) in [
        (
            request(Command::Connect, "", b""),
            ["Principal`", "::principal`", "CONNECT has none yet"],
        ),
        (
            subscribe("/body"),
            ["Json<u8>`", "::body`", "a SUBSCRIBE frame has no body"],
        ),
        (
            send("/extension", b""),
            [
                "Extension<u8>`",
                "::extension`",
                "no layer has inserted one",
            ],
        ),
        (
            send("/reason/1", b""),
            [
                "DisconnectReason`",
                "::reason`",
                "the request is not a DISCONNECT",
            ],
        ),
    ] {
        let text = mistake(&routes, request).await;
        assert!(parts.iter().all(|part| text.contains(part)), "{text}");
    }
    let mut request = send("/extension", b"");
    request.extensions_mut().insert(7_u8);
    assert!(routes.oneshot(request).await.is_ok());
}

#[tokio::test]
async fn a_handler_takes_the_peer_as_an_argument() {
    async fn show(peer: Peer) -> String {
        format!("{:?}", peer.address)
    }
    let routes = Router::new().subscribe("/a", show).build().unwrap();
    assert_eq!(messages(&routes, "/a").await, Ok(vec!["None".to_owned()]));
}

#[tokio::test]
async fn a_principal_argument_requires_a_login() {
    async fn private(_: Principal) {}
    let routes = Router::new().send("/private", private).build().unwrap();
    assert_eq!(
        rejection(&routes, send("/private", b"")).await.code(),
        "login-required"
    );
}
