//! The body as an argument: JSON, text and bytes.

use super::{Order, rejection, send};
use bytes::Bytes;
use serde::Deserialize;
use std::sync::mpsc;
use stomp_router::{Json, Router, State};
use tower::ServiceExt;

/// The channel to which handlers send their arguments.
type Sink<T> = State<mpsc::Sender<T>>;

#[tokio::test]
async fn a_json_body_is_deserialized() {
    async fn order(State(sink): Sink<Order>, Json(order): Json<Order>) {
        sink.send(order).unwrap();
    }
    let (sink, orders) = mpsc::channel();
    let routes = Router::new()
        .send("/orders", order)
        .with_state(sink)
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

    for invalid in [
        &b""[..],
        b"tea",
        br#"{"article":"tea"}"#,
        br#"{"article":"tea","count":-1}"#,
        b"\"\xff\"",
    ] {
        assert_eq!(
            rejection(&routes, send("/orders", invalid)).await.code(),
            "bad-request",
            "{invalid:?}"
        );
    }
    assert!(
        orders.try_recv().is_err(),
        "the handler is called in spite of an invalid argument"
    );
}

#[tokio::test]
async fn a_string_body_must_be_utf_8_and_a_bytes_body_may_be_anything() {
    async fn text(State(sink): Sink<Bytes>, text: String) {
        sink.send(text.into()).unwrap();
    }
    async fn bytes(State(sink): Sink<Bytes>, bytes: Bytes) {
        sink.send(bytes).unwrap();
    }
    let (sink, bodies) = mpsc::channel();
    let routes = Router::new()
        .send("/text", text)
        .send("/bytes", bytes)
        .with_state(sink)
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

    let error = rejection(&routes, send("/text", b"ab\xff")).await;
    assert_eq!(error.code(), "bad-request");
    assert!(error.text().contains("byte 2"), "{error}");
    assert!(bodies.try_recv().is_err());
}

#[tokio::test]
async fn an_error_in_json_names_the_field() {
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
        (b"", ["expected JSON: EOF", "line 1"]),
    ] {
        let error = rejection(&routes, send("/baskets", body)).await;
        assert_eq!(error.code(), "bad-request");
        assert!(
            parts.iter().all(|part| error.text().contains(part)),
            "{error}"
        );
    }
    // The error quotes only an excerpt of the body, without control characters.
    let long = Box::leak(format!("{{\"{}\":1}}", "\u{7f}a".repeat(10_000)).into_boxed_str());
    let error = rejection(&routes, send("/baskets", long.as_bytes())).await;
    assert!(
        error.text().len() < 2_500 && !error.text().contains('\u{7f}'),
        "{error}"
    );
}
