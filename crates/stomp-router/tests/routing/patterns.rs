//! The destinations that a pattern matches.

use super::{messages, rejection, request, send, show, subscribe};
use futures_util::StreamExt;
use stomp_frame::Command;
use stomp_router::{Path, Router};
use stomp_session::{ClientError, Response};
use tower::Service;

#[tokio::test]
async fn a_parameter_in_braces_or_after_a_colon_matches_one_segment() {
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
    for destination in [
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
            rejection(&routes, subscribe(destination)).await.code(),
            "not-found",
            "{destination}"
        );
    }
}

#[tokio::test]
async fn a_catch_all_parameter_matches_all_the_rest() {
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
        rejection(&routes, subscribe("/files/")).await.code(),
        "not-found"
    );
}

#[tokio::test]
async fn literal_text_takes_precedence_over_a_parameter_in_any_order_of_routes() {
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

/// `Routes` caches the last match. The cache must not change which handler is called.
#[tokio::test]
async fn earlier_requests_do_not_affect_which_route_matches() {
    async fn accept(Path(_): Path<String>) {}
    async fn reject() -> Result<(), ClientError> {
        Err(ClientError::internal())
    }
    let mut routes = Router::new()
        .subscribe("/rooms/{room}", show)
        .send("/elsewhere", reject)
        .send("/rooms/{room}", accept)
        .build()
        .unwrap();
    for room in ["a", "a", "bb", "a"] {
        let destination = format!("/rooms/{room}");
        let Response::Observe(mut messages) = routes.call(subscribe(&destination)).await.unwrap()
        else {
            panic!("the response has no messages")
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
