//! Routers out of routers: nesting, merging, fallbacks, services as routes, and policies.

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
use stomp_session::{ClientError, Principal, Request, Response};
use tower::{ServiceExt, layer::util::Identity};

fn request(command: Command, destination: &str) -> Request {
    Request::new(Frame::new(command).with_header("destination", destination))
}

/// The message that a subscription gets, or the code of the error.
async fn ask(routes: &Routes, destination: &str) -> String {
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

async fn names(Path(names): Path<HashMap<String, String>>) -> String {
    let mut names: Vec<_> = names
        .into_iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    names.sort();
    names.join(" ")
}

async fn told(State(what): State<&'static str>) -> String {
    what.to_owned()
}

/// A fallback that says whose it is.
fn refuse(code: &'static str) -> impl Fn() -> std::future::Ready<Result<(), ClientError>> {
    move || std::future::ready(Err(ClientError::new(code, "")))
}

async fn sink() {}

#[tokio::test]
async fn nested_routes_lie_behind_the_prefix() {
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
    assert_eq!(ask(&routes, "/a/1/2/c/3").await, "a=1 b=2 c=3");
    assert_eq!(ask(&routes, "/a/1/2").await, "a=1 b=2");
    assert_eq!(ask(&routes, "/plain/4").await, "x=4");
    assert_eq!(ask(&routes, "/c/3").await, "not-found");
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
fn nested_connect_handlers_are_the_apps() {
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
        errors.starts_with("CONNECT (") && errors.contains("in conflict with CONNECT ("),
        "{errors}"
    );
}

#[tokio::test]
async fn merged_routers_have_their_own_states() {
    let tea = Router::new().subscribe("/tea", told).with_state("green");
    let milk = Router::new().subscribe("/milk", told).with_state("oat");
    let routes = Router::new().merge(tea).nest("/x", milk).build().unwrap();
    assert_eq!(ask(&routes, "/tea").await, "green");
    assert_eq!(ask(&routes, "/x/milk").await, "oat");
}

#[tokio::test]
async fn the_nearest_fallback_answers() {
    async fn room(Path(room): Path<String>) -> Result<(), ClientError> {
        Err(ClientError::new(room, ""))
    }
    let rooms = Router::new().subscribe("/known", names).fallback(room);
    let routes = Router::new()
        .nest("/rooms/{room}", rooms)
        .subscribe("/here", names)
        .connect(sink)
        .fallback(refuse("outer"))
        .build()
        .unwrap();
    assert_eq!(ask(&routes, "/rooms/blue/known").await, "room=blue");
    assert_eq!(ask(&routes, "/rooms/blue/unknown/thing").await, "blue");
    assert_eq!(ask(&routes, "/rooms/green").await, "green");
    assert_eq!(ask(&routes, "/rooms").await, "outer");
    assert_eq!(ask(&routes, "/here").await, "");
    for (command, is_refused) in [
        (Command::Send, true),
        (Command::Subscribe, true),
        (Command::Unsubscribe, false),
        (Command::Connect, false),
        (Command::Disconnect, false),
    ] {
        for destination in ["/nowhere", "/rooms/x"] {
            let answer = routes.clone().oneshot(request(command, destination)).await;
            assert_eq!(answer.is_err(), is_refused, "{command} {destination}");
        }
    }
}

#[tokio::test]
async fn a_layer_is_around_the_fallback_and_a_route_layer_is_not() {
    let halt = || {
        from_fn(|_, _: Next| std::future::ready(Err::<Response, _>(ClientError::new("halted", ""))))
    };
    let router = || {
        Router::new()
            .subscribe("/here", names)
            .fallback(refuse("fallback"))
    };
    let routes = router().layer(halt()).build().unwrap();
    assert_eq!(
        (
            &*ask(&routes, "/here").await,
            &*ask(&routes, "/nowhere").await
        ),
        ("halted", "halted")
    );
    let routes = router().route_layer(halt()).build().unwrap();
    assert_eq!(
        (
            &*ask(&routes, "/here").await,
            &*ask(&routes, "/nowhere").await
        ),
        ("halted", "fallback")
    );
    let routes = Router::new()
        .nest("/p", router().layer(halt()))
        .build()
        .unwrap();
    assert_eq!(
        (
            &*ask(&routes, "/p/here").await,
            &*ask(&routes, "/p/nowhere").await
        ),
        ("halted", "halted")
    );
    assert_eq!(ask(&routes, "/nowhere").await, "not-found");
    // Around everything, what has no route is met too.
    let routes = Router::new().build().unwrap().layer(halt());
    assert_eq!(ask(&routes, "/nowhere").await, "halted");
}

#[tokio::test]
async fn a_pattern_may_fit_every_destination() {
    let routes = Router::new()
        .subscribe("{*all}", names)
        .subscribe("/rooms/{room}", names)
        .subscribe("/rooms/lobby", told)
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
        assert_eq!(ask(&routes, destination).await, expected);
    }
}

/// Routes as a route: both look for the pattern, each among its own.
#[tokio::test]
async fn a_service_is_a_route() {
    let inner = Router::new()
        .subscribe("/a/{inner}", names)
        .fallback(refuse("inner"))
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
    assert_eq!(ask(&routes, "/a/1").await, "inner=1");
    assert_eq!(ask(&routes, "/a/1/2").await, "inner");
    let error = routes
        .oneshot(request(Command::Connect, ""))
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "closed");
}

/// Where layers around everything look for the pattern, it is there.
#[tokio::test]
async fn layers_know_the_pattern() {
    let show = || {
        from_fn(async |request: Request, _: Next| {
            let pattern = request
                .params()
                .pattern()
                .map_or("none", |pattern| &*pattern.text)
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
        assert_eq!(ask(&routes, "/users/7").await, "/users/{id}");
        assert_eq!(ask(&routes, "/users/8").await, "/users/{id}");
        assert_eq!(ask(&routes, "/p/1/2").await, "/p/{q}/{*rest}");
    }
    assert_eq!(
        ask(&router().build().unwrap().layer(show()), "/nowhere").await,
        "none"
    );

    let show = tower::layer::layer_fn(|_| {
        tower::service_fn(async |request: Request| {
            Err::<Response, _>(
                request
                    .params()
                    .pattern()
                    .map(|pattern| pattern.text.to_string())
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
fn what_lacks_a_policy_is_named() {
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
    // A layer around it changes nothing about that.
    assert!(
        complete
            .layer(TraceLayer)
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
    let shown: Vec<_> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        "SEND \"/a\"",
        "SUBSCRIBE \"/b\"",
        "SEND \"/members/orders\"",
        "SUBSCRIBE \"/members/orders\"",
        "fallback \"/members\"",
    ];
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(
            shown.starts_with(expected) && shown.ends_with("has no policy"),
            "{shown}"
        );
    }
    // Whoever takes in a router that requires them, requires them.
    let demanding = Router::new().require_policies();
    assert!(
        Router::new()
            .send("/a", sink)
            .nest("/b", demanding)
            .build()
            .is_err()
    );
}

#[tokio::test]
async fn a_principal_is_required() {
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
    let named = request(Command::Send, "/orders").with_principal(Principal::new("ann"));
    assert!(routes.clone().oneshot(named).await.is_ok());
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
