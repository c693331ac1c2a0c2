//! Routers composed of routers: nesting, merging, fallbacks, services as routes, and policies.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

use futures_util::StreamExt;
use std::collections::HashMap;
use stomp_frame::{Command, Frame};
use stomp_router::{
    Handler, Path, Router, Routes, SessionRoutes, State, map_error,
    middleware::{Next, RequirePrincipalLayer, TraceLayer, from_fn},
};
use stomp_session::{ClientError, DestinationSyntax, PrefixSyntax, Principal, Request, Response};
use tower::{ServiceExt, layer::util::Identity};

fn request(command: Command, destination: &str) -> Request {
    Request::new(Frame::new(command).with_header("destination", destination))
}

/// Returns the body of the message that a subscription to `destination` gets, or the code of the error.
async fn response(routes: &Routes, destination: &str) -> String {
    match routes
        .clone()
        .oneshot(request(Command::Subscribe, destination))
        .await
    {
        Ok(Response::Observe(mut messages)) => {
            String::from_utf8(messages.next().await.unwrap().unwrap().body().to_vec()).unwrap()
        }
        Ok(other) => format!("{other:?}"),
        Err(error) => map_error(&*error).code().to_owned(),
    }
}

/// A subscribe handler that returns its parameters.
async fn names(Path(names): Path<HashMap<String, String>>) -> String {
    let mut names: Vec<_> = names
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    names.sort();
    names.join(" ")
}

/// A subscribe handler that returns the state.
async fn state(State(state): State<&'static str>) -> String {
    state.to_owned()
}

/// Returns a fallback that rejects all requests with this error code.
fn reject(code: &'static str) -> impl Fn() -> std::future::Ready<Result<(), ClientError>> {
    move || std::future::ready(Err(ClientError::new(code, "")))
}

async fn sink() {}

#[tokio::test]
async fn nested_routes_match_below_the_prefix() {
    let inner = Router::new()
        .subscribe("/c/:c", names)
        .subscribe("", names)
        .send("/sink", sink);
    let middle = Router::new().nest("/:b/", inner);
    let routes = Router::new()
        .nest("/a/{a}", middle)
        .subscribe("/plain/{x}", names)
        .build()
        .unwrap();
    assert_eq!(response(&routes, "/a/1/2/c/3").await, "a=1 b=2 c=3");
    assert_eq!(response(&routes, "/a/1/2").await, "a=1 b=2");
    assert_eq!(response(&routes, "/plain/4").await, "x=4");
    assert_eq!(response(&routes, "/c/3").await, "not-found");
    let sent = routes
        .clone()
        .oneshot(request(Command::Send, "/a/1/2/sink"))
        .await;
    assert!(matches!(sent, Ok(Response::Done)));
    let unsubscribed = routes
        .oneshot(request(Command::Unsubscribe, "/a/1/2"))
        .await;
    assert!(matches!(unsubscribed, Ok(Response::Done)));
}

#[test]
fn connect_handlers_of_nested_routers_apply_to_the_whole_router() {
    let login = Router::new().connect(sink);
    assert!(
        Router::new()
            .nest("/a", login)
            .disconnect(sink)
            .build()
            .is_ok()
    );
    let (one, other) = (Router::new().connect(sink), Router::new().connect(sink));
    let errors = Router::new()
        .nest("/a", one)
        .nest("/b", other)
        .build()
        .unwrap_err()
        .to_string();
    assert!(
        errors.starts_with("CONNECT (") && errors.contains("conflicts with CONNECT ("),
        "{errors}"
    );
}

#[tokio::test]
async fn merged_and_nested_routers_keep_their_own_states() {
    let tea = Router::new().subscribe("/tea", state).with_state("green");
    let milk = Router::new().subscribe("/milk", state).with_state("oat");
    let routes = Router::new().merge(tea).nest("/x", milk).build().unwrap();
    assert_eq!(response(&routes, "/tea").await, "green");
    assert_eq!(response(&routes, "/x/milk").await, "oat");
}

#[test]
fn the_syntax_of_destinations_goes_with_the_routes_that_need_it() {
    let dotted = |prefix| DestinationSyntax::default().with_prefix(prefix, PrefixSyntax::dotted());
    let router = Router::new()
        .nest("/a", Router::new().destinations(dotted("/nested/")))
        .merge(Router::new().destinations(dotted("/merged/")))
        .destinations(dotted("/own/"))
        .with_state(());
    let routes = router.build().unwrap().layer(Identity::new());
    let expected = dotted("/nested/")
        .merge(&dotted("/merged/"))
        .merge(&dotted("/own/"));
    assert_eq!(*routes.destinations(), expected);
    let routes = Router::new().build().unwrap();
    assert_eq!(*routes.destinations(), DestinationSyntax::default());
}

#[tokio::test]
async fn the_fallback_of_the_innermost_matching_prefix_is_called() {
    async fn room(Path(room): Path<String>) -> Result<(), ClientError> {
        Err(ClientError::new(room, ""))
    }
    let rooms = Router::new().subscribe("/known", names).fallback(room);
    let routes = Router::new()
        .nest("/rooms/{room}", rooms)
        .subscribe("/here", names)
        .connect(sink)
        .fallback(reject("outer"))
        .build()
        .unwrap();
    assert_eq!(response(&routes, "/rooms/blue/known").await, "room=blue");
    assert_eq!(response(&routes, "/rooms/blue/unknown/thing").await, "blue");
    assert_eq!(response(&routes, "/rooms/green").await, "green");
    assert_eq!(response(&routes, "/rooms").await, "outer");
    assert_eq!(response(&routes, "/here").await, "");
    for (command, is_rejected) in [
        (Command::Send, true),
        (Command::Subscribe, true),
        (Command::Unsubscribe, false),
        (Command::Connect, false),
        (Command::Disconnect, false),
    ] {
        for destination in ["/nowhere", "/rooms/x"] {
            let result = routes.clone().oneshot(request(command, destination)).await;
            assert_eq!(result.is_err(), is_rejected, "{command} {destination}");
        }
    }
}

#[tokio::test]
async fn a_layer_wraps_the_fallback_and_a_route_layer_does_not() {
    let stop = || {
        from_fn(|_, _: Next| {
            std::future::ready(Err::<Response, _>(ClientError::new("stopped", "")))
        })
    };
    let router = || {
        Router::new()
            .subscribe("/here", names)
            .fallback(reject("fallback"))
    };
    let routes = router().layer(stop()).build().unwrap();
    assert_eq!(
        (
            &*response(&routes, "/here").await,
            &*response(&routes, "/nowhere").await
        ),
        ("stopped", "stopped")
    );
    let routes = router().route_layer(stop()).build().unwrap();
    assert_eq!(
        (
            &*response(&routes, "/here").await,
            &*response(&routes, "/nowhere").await
        ),
        ("stopped", "fallback")
    );
    let routes = Router::new()
        .nest("/p", router().layer(stop()))
        .build()
        .unwrap();
    assert_eq!(
        (
            &*response(&routes, "/p/here").await,
            &*response(&routes, "/p/nowhere").await
        ),
        ("stopped", "stopped")
    );
    assert_eq!(response(&routes, "/nowhere").await, "not-found");
    // A layer around all requests also sees requests without a route.
    let routes = Router::new().build().unwrap().layer(stop());
    assert_eq!(response(&routes, "/nowhere").await, "stopped");
}

#[tokio::test]
async fn a_catch_all_pattern_matches_every_destination_without_another_match() {
    let routes = Router::new()
        .subscribe("{*all}", names)
        .subscribe("/rooms/{room}", names)
        .subscribe("/rooms/lobby", state)
        .with_state("lobby")
        .build()
        .unwrap();
    for (destination, expected) in [
        ("/anything/at/all", "all=/anything/at/all"),
        ("orders.7", "all=orders.7"),
        ("/rooms", "all=/rooms"),
        ("/rooms/a/b", "all=/rooms/a/b"),
        ("/rooms/blue", "room=blue"),
        ("/rooms/lobby", "lobby"),
    ] {
        assert_eq!(response(&routes, destination).await, expected);
    }
}

/// Uses `Routes` as a route of other `Routes`. Both search for a pattern, each in its own table.
#[tokio::test]
async fn a_service_can_be_a_route() {
    let inner = Router::new()
        .subscribe("/a/{inner}", names)
        .fallback(reject("inner"))
        .build()
        .unwrap();
    let routes = Router::new()
        .route_service(Command::Subscribe, "/a/{*outer}", inner)
        .route_service(
            Command::Connect,
            "",
            tower::service_fn(async |_| Err::<Response, _>("closed")),
        )
        .build()
        .unwrap();
    assert_eq!(response(&routes, "/a/1").await, "inner=1");
    assert_eq!(response(&routes, "/a/1/2").await, "inner");
    let error = routes
        .oneshot(request(Command::Connect, ""))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "closed");
}

/// Layers around all requests see the pattern, too.
#[tokio::test]
async fn layers_see_the_pattern_of_the_route() {
    let show = || {
        from_fn(async |request: Request, _: Next| {
            let pattern = request
                .params()
                .pattern()
                .map_or("none", |pattern| &**pattern.text())
                .to_owned();
            Err::<Response, _>(ClientError::new(pattern, ""))
        })
    };
    let router = || {
        Router::new()
            .subscribe("/users/:id", names)
            .nest("/p/:q", Router::new().fallback(sink))
    };
    for routes in [
        router().layer(show()).build().unwrap(),
        router().build().unwrap().layer(show()),
    ] {
        assert_eq!(response(&routes, "/users/7").await, "/users/{id}");
        assert_eq!(response(&routes, "/users/8").await, "/users/{id}");
        assert_eq!(response(&routes, "/p/1/2").await, "/p/{q}/{*rest}");
    }
    assert_eq!(
        response(&router().build().unwrap().layer(show()), "/nowhere").await,
        "none"
    );

    let show = tower::layer::layer_fn(|_| {
        tower::service_fn(async |request: Request| {
            Err::<Response, _>(
                request
                    .params()
                    .pattern()
                    .map(|pattern| pattern.text().to_string())
                    .unwrap_or_default(),
            )
        })
    });
    let session = SessionRoutes::from(router().build().unwrap())
        .layer(&Identity::new())
        .layer(&show);
    let error = session
        .oneshot(request(Command::Subscribe, "/users/7"))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "/users/{id}");
}

#[test]
fn build_names_all_routes_that_lack_a_required_policy() {
    let members = || {
        Router::new()
            .send("/orders", sink)
            .subscribe("/orders", names)
            .fallback(sink)
    };
    let complete = Router::new()
        .nest("/members", members().policy(RequirePrincipalLayer))
        .send("/hello", sink.policy(Identity::new()))
        .connect(sink)
        .unsubscribe("/hello", sink)
        .disconnect(sink);
    // A layer around routes with a policy does not remove the mark.
    assert!(
        complete
            .layer(TraceLayer::new())
            .require_policies()
            .build()
            .is_ok()
    );

    let lacking = Router::new()
        .require_policies()
        .send("/a", sink.layer(RequirePrincipalLayer))
        .subscribe("/b", names)
        .connect(sink)
        .nest("/members", members());
    let errors = lacking.build().unwrap_err();
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        "SEND \"/a\"",
        "SUBSCRIBE \"/b\"",
        "SEND \"/members/orders\"",
        "SUBSCRIBE \"/members/orders\"",
        "fallback \"/members\"",
    ];
    assert_eq!(texts.len(), expected.len(), "{texts:#?}");
    for (text, expected) in texts.iter().zip(expected) {
        assert!(
            text.starts_with(expected)
                && text.ends_with("has no policy, but policies are required"),
            "{text}"
        );
    }
    // A router that contains a router with this requirement has the requirement as well.
    let requiring = Router::new().require_policies();
    assert!(
        Router::new()
            .send("/a", sink)
            .nest("/b", requiring)
            .build()
            .is_err()
    );
}

#[tokio::test]
async fn require_principal_rejects_send_and_subscribe_without_a_principal() {
    let routes = Router::new()
        .send("/orders", sink)
        .connect(sink)
        .build()
        .unwrap()
        .layer(RequirePrincipalLayer);
    let error = routes
        .clone()
        .oneshot(request(Command::Send, "/orders"))
        .await
        .unwrap_err();
    assert_eq!(map_error(&*error).code(), "login-required");
    let logged_in = request(Command::Send, "/orders").with_principal(Principal::new("ann"));
    assert!(routes.clone().oneshot(logged_in).await.is_ok());
    for command in [Command::Connect, Command::Unsubscribe, Command::Disconnect] {
        assert!(
            routes
                .clone()
                .oneshot(request(command, "/orders"))
                .await
                .is_ok(),
            "{command}"
        );
    }
}
