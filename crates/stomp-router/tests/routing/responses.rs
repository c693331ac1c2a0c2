//! Return values of handlers as responses.

use super::{Order, ready_items, request, send, subscribe};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt, stream};
use stomp_frame::Command;
use stomp_router::{Json, Observe, Router, Routes};
use stomp_session::{BoxError, ClientError, Connected, Delivery, Message, Principal, Response};
use thiserror::Error;
use tower::ServiceExt;

#[tokio::test]
async fn a_connect_handler_sets_the_principal_and_headers() {
    async fn with_principal() -> Principal {
        Principal::new("ann")
    }
    async fn with_header() -> Result<Connected, BoxError> {
        Ok(Connected::new().with_header("server", "tea/1"))
    }
    let connect = || request(Command::Connect, "", b"");
    let response = async |router: Router| match router.build().unwrap().oneshot(connect()).await {
        Ok(Response::Connected(connected)) => connected,
        other => panic!("{other:?}"),
    };
    let connected = response(Router::new().connect(with_principal)).await;
    assert_eq!(connected.principal(), Some(&Principal::new("ann")));
    assert!(connected.headers().is_empty());
    let connected = response(Router::new().connect(with_header)).await;
    assert_eq!(connected.principal(), None);
    assert_eq!(connected.headers().get("server"), Some("tea/1"));
}

/// Returns the items that a subscription to `destination` gets.
async fn items(routes: &Routes, destination: &str) -> Vec<Result<Delivery, BoxError>> {
    match routes.clone().oneshot(subscribe(destination)).await {
        Ok(Response::Observe(items)) => ready_items(items),
        other => panic!("the response has no messages: {other:?}"),
    }
}

#[tokio::test]
async fn a_subscribe_handler_can_return_nothing_or_one_message() {
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
    let routes = Router::new()
        .subscribe("/nothing", nothing)
        .subscribe("/json", json)
        .subscribe("/bytes", bytes)
        .subscribe("/message", message)
        .build()
        .unwrap();

    let nothing = routes.clone().oneshot(subscribe("/nothing")).await;
    assert!(matches!(nothing, Ok(Response::Done)));
    let Ok(Response::Observe(mut one)) = routes.clone().oneshot(subscribe("/json")).await else {
        panic!("the response has no messages")
    };
    assert!(one.next().await.is_some());
    assert!(
        one.next().now_or_never().is_none(),
        "the stream, and so the subscription, stays open"
    );
    let message = async |destination| {
        let [Ok(message)] = <[_; 1]>::try_from(items(&routes, destination).await).unwrap() else {
            panic!("{destination} sends an error")
        };
        message
    };
    let json = message("/json").await;
    assert_eq!(json.body(), r#"{"article":"tea","count":2}"#);
    assert_eq!(json.headers().get("content-type"), Some("application/json"));
    assert_eq!(message("/bytes").await.body(), &b"\xff"[..]);
    let with_header = message("/message").await;
    assert_eq!(with_header.body(), "hi");
    assert_eq!(with_header.headers().get("colour"), Some("red"));
}

#[tokio::test]
async fn a_subscribe_handler_can_return_a_stream_of_messages_and_errors() {
    async fn stream() -> Observe<impl futures_core::Stream<Item = Result<String, ClientError>>> {
        let error = ClientError::new("out-of-stock", "There is none left.");
        Observe(stream::iter([
            Ok("one".to_owned()),
            Ok("two".to_owned()),
            Err(error),
        ]))
    }
    let routes = Router::new().subscribe("/stream", stream).build().unwrap();
    let [Ok(one), Ok(two), Err(error)] = &items(&routes, "/stream").await[..] else {
        panic!("the subscription did not get two messages and an error")
    };
    assert_eq!(
        (&one.body()[..], &two.body()[..]),
        (&b"one"[..], &b"two"[..])
    );
    let error = error.downcast_ref::<ClientError>().unwrap();
    assert_eq!(error.code(), "out-of-stock");
}

#[tokio::test]
async fn a_handlers_error_keeps_its_type() {
    #[derive(Debug, Error, PartialEq)]
    #[error("none of {0} is left")]
    struct OutOfStock(u32);

    async fn own() -> Result<(), OutOfStock> {
        Err(OutOfStock(7))
    }
    async fn boxed() -> Result<(), BoxError> {
        Err(OutOfStock(8).into())
    }
    async fn client_error() -> Result<String, ClientError> {
        Err(ClientError::new("out-of-stock", "There is none left."))
    }
    let routes = Router::new()
        .send("/own", own)
        .send("/boxed", boxed)
        .subscribe("/client-error", client_error)
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
        error(subscribe("/client-error"))
            .await
            .downcast::<ClientError>()
            .unwrap()
            .code(),
        "out-of-stock"
    );
}
