//! Destinations with several spellings, and subscriptions to patterns.

use super::{rejection, request, show};
use futures_util::StreamExt;
use stomp_frame::Command;
use stomp_router::{Path, Router, Routes};
use stomp_session::{ClientError, DestinationSyntax, PrefixSyntax, Request, Response};
use tower::{ServiceExt, service_fn};

/// A request whose destination a session with dotted topics has parsed.
fn parsed(command: Command, destination: &str) -> Request {
    let syntax =
        DestinationSyntax::default().with_prefix("/topic/", PrefixSyntax::dotted().with_patterns());
    request(command, destination, b"").with_destination(syntax.parse(destination).unwrap())
}

/// The only message of a subscription, or the code of the error that refuses it.
async fn message(routes: &Routes, destination: &str) -> String {
    let request = parsed(Command::Subscribe, destination);
    match routes.clone().oneshot(request).await {
        Ok(Response::Observe(mut messages)) => {
            let message = messages.next().await.unwrap().unwrap();
            String::from_utf8(message.body().to_vec()).unwrap()
        }
        Ok(other) => panic!("the response has no messages: {other:?}"),
        Err(error) => error.downcast::<ClientError>().unwrap().code().to_owned(),
    }
}

#[tokio::test]
async fn a_route_gets_all_spellings_of_a_destination() {
    let routes = Router::new()
        .subscribe("/topic/private/{*path}", show)
        .subscribe("/topic/{name}", show)
        .subscribe("/notes/{name}", show)
        .build()
        .unwrap();
    for (destination, value) in [
        ("/topic/private/x/y", "x/y"),
        ("/topic/private.x.y", "x/y"),
        ("/topic/private.x/y", "x/y"),
        ("/topic/private", "private"),
        ("/notes/john.doe", "john.doe"),
        ("/notes/*", "*"),
    ] {
        assert_eq!(message(&routes, destination).await, value, "{destination}");
    }
}

#[tokio::test]
async fn a_handler_that_unsubscribes_gets_the_canonical_parameters() {
    async fn refuse(Path(path): Path<String>) -> Result<(), ClientError> {
        Err(ClientError::new("unsubscribed", path))
    }
    let routes = Router::new()
        .unsubscribe("/topic/a/{*path}", refuse)
        .build()
        .unwrap();
    let error = rejection(&routes, parsed(Command::Unsubscribe, "/topic/a.b.c")).await;
    assert_eq!(error.text(), "b/c");
}

#[tokio::test]
async fn a_pattern_reaches_a_route_that_matches_all_its_destinations_alone() {
    let routes = Router::new()
        .subscribe("/topic/{*path}", show)
        .subscribe("/topic/private/{*path}", show)
        .subscribe("/topic/users/{name}/mail", show)
        .subscribe("/other/{*path}", show)
        .subscribe("{*all}", show)
        .send("/topic/sent/{id}", show_nothing)
        .build()
        .unwrap();
    for (pattern, answer) in [
        ("/topic/news.*", "news/*"),
        ("/topic/news.>", "news/>"),
        ("/topic/sent.*", "sent/*"),
        ("/topic/*", "*"),
        ("/topic/users.ann.>", "forbidden"),
        ("/topic/users.*", "users/*"),
        ("/topic/users.*.mail", "forbidden"),
        ("/topic/users.*.news", "users/*/news"),
        ("/topic/private.>", "forbidden"),
        ("/topic/private.*", "forbidden"),
        ("/topic/*.x", "forbidden"),
        ("/topic/#", "forbidden"),
    ] {
        assert_eq!(message(&routes, pattern).await, answer, "{pattern}");
    }
    let request = parsed(Command::Subscribe, "/topic/#");
    assert_eq!(
        rejection(&routes, request).await.text(),
        r##"The pattern "/topic/#" covers destinations with rules of their own."##
    );
}

async fn show_nothing() {}

#[tokio::test]
async fn a_pattern_does_not_reach_a_route_that_matches_only_some_of_its_destinations() {
    let routes = Router::new()
        .subscribe("/topic/a/{*rest}", show)
        .subscribe("/topic/{name}", show)
        .build()
        .unwrap();
    // The pattern matches `/topic/a` too, and `/topic/b/c`, to which no route leads.
    for pattern in ["/topic/a.>", "/topic/>"] {
        assert_eq!(message(&routes, pattern).await, "forbidden", "{pattern}");
    }
}

#[tokio::test]
async fn a_pattern_reaches_a_fallback_only_where_no_route_and_no_other_fallback_is() {
    async fn outer() -> Result<(), ClientError> {
        Err(ClientError::new("outer", ""))
    }
    async fn inner() -> Result<(), ClientError> {
        Err(ClientError::new("inner", ""))
    }
    let routes = Router::new()
        .subscribe("/topic/a/{id}", show)
        .nest("/topic/b", Router::new().fallback(inner))
        .fallback(outer)
        .build()
        .unwrap();
    for (pattern, answer) in [
        ("/topic/c.*", "outer"),
        ("/topic/b.*", "inner"),
        ("/topic/a.*.x", "outer"),
        ("/topic/*.x", "forbidden"),
        ("/topic/*", "forbidden"),
        ("/topic/>", "forbidden"),
    ] {
        assert_eq!(message(&routes, pattern).await, answer, "{pattern}");
    }
}

#[tokio::test]
async fn a_pattern_without_a_route_is_not_found() {
    let routes = Router::new().subscribe("/topic/a", show_nothing_to_subscribers);
    let routes = routes.build().unwrap();
    assert_eq!(message(&routes, "/topic/*").await, "not-found");
}

async fn show_nothing_to_subscribers() -> String {
    String::new()
}

#[tokio::test]
async fn layers_around_all_routes_see_a_pattern_that_is_refused() {
    let routes = Router::new()
        .subscribe("/topic/{*path}", show)
        .subscribe("/topic/a/{id}", show)
        .build()
        .unwrap();
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let record = std::sync::Arc::clone(&seen);
    let layer = tower::layer::layer_fn(move |inner: Routes| {
        let record = std::sync::Arc::clone(&record);
        service_fn(move |request: Request| {
            let pattern = request.params().pattern().map(|it| it.text().to_string());
            *record.lock().unwrap() = pattern;
            inner.clone().oneshot(request)
        })
    });
    let routes = routes.layer(layer);
    assert_eq!(message(&routes, "/topic/>").await, "forbidden");
    assert_eq!(seen.lock().unwrap().as_deref(), Some("/topic/{*path}"));
}

/// Shows the parameters of a request in an error.
async fn show_params(request: Request) -> Result<Response, stomp_session::BoxError> {
    let params = request.params();
    let found: Vec<_> = params.iter(request.destination()).collect();
    Err(ClientError::new("shown", format!("{} {found:?}", request.command())).into())
}

#[tokio::test]
async fn clones_of_a_request_have_the_parameters_of_the_routes_that_handle_them() {
    let other = Router::new().fallback(show_params).build().unwrap();
    let routes = Router::new()
        .send("/rooms/{room}", show_params)
        .subscribe("/{kind}/{id}", show_params)
        .build()
        .unwrap();
    let shown = async |routes: &Routes, request: &Request| {
        rejection(routes, request.clone()).await.text().to_owned()
    };
    let send = request(Command::Send, "/rooms/7", b"");
    let subscribe = request(Command::Subscribe, "/rooms/7", b"");
    for _ in 0..2 {
        assert_eq!(shown(&routes, &send).await, r#"SEND [("room", "7")]"#);
        assert_eq!(
            shown(&routes, &subscribe).await,
            r#"SUBSCRIBE [("kind", "rooms"), ("id", "7")]"#
        );
        assert_eq!(shown(&other, &send).await, "SEND []");
    }
    assert!(send.clone().recall_params(|_| true));
    assert!(!subscribe.clone().recall_params(|_| true));
    let moved = send.clone().with_destination(send.destination().clone());
    assert!(!moved.clone().recall_params(|_| true));
    assert_eq!(shown(&routes, &moved).await, r#"SEND [("room", "7")]"#);
}

#[tokio::test]
async fn a_subscription_reaches_its_route_after_a_send_to_the_same_destination_reached_a_fallback()
{
    let nested = Router::new()
        .subscribe("/{name}", show_params)
        .fallback(show_nothing);
    let routes = Router::new().nest("/admin", nested).build().unwrap();
    let destination = DestinationSyntax::default().parse("/admin/x").unwrap();
    let request = |command| request(command, "/admin/x", b"").with_destination(destination.clone());
    let sent = routes.clone().oneshot(request(Command::Send)).await;
    assert!(sent.is_ok(), "the fallback: {sent:?}");
    let refused = rejection(&routes, request(Command::Subscribe)).await;
    assert_eq!(refused.text(), r#"SUBSCRIBE [("name", "x")]"#);
}
