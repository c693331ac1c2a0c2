//! Apps that cannot start, and the errors that explain the reason.

use crate::sink;
use std::{error::Error, time::Duration};
use stomp_testing::soon;
use tokio::net::TcpListener;
use webstomp::{
    App, Router, StartupError,
    frame::Limits,
    middleware::RequirePrincipalLayer,
    server::{self, ConnectionLimits},
    session::{self, BacklogConfig},
    socket,
};

/// Starts an app in all three ways, and returns the three errors.
async fn startup_errors(app: impl Fn() -> App) -> [StartupError; 3] {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    [
        soon(app().serve(listener)).await.unwrap_err(),
        soon(app().listen("127.0.0.1:0")).await.unwrap_err(),
        app().into_service().unwrap_err(),
    ]
}

/// Checks that the app cannot start, and that the error names the setting and its problem.
async fn check_setting(app: impl Fn() -> App, message: &str) {
    for error in startup_errors(app).await {
        assert!(matches!(error, StartupError::Config(_)), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!("invalid configuration: {message}")
        );
    }
}

#[tokio::test]
async fn an_impossible_session_setting_is_named() {
    let impossible = [
        (
            session::Config::default().max_unacked_messages(0),
            "session.max_unacked_messages is 0, but must be at least 1",
        ),
        (
            session::Config::default().limits(Limits::default().max_headers(0)),
            "session.limits.max_headers is 0, but must be at least 1",
        ),
        (
            session::Config::default().backlog(BacklogConfig::default().max_messages(0)),
            "session.backlog.max_messages is 0, but must be at least 1",
        ),
        (
            session::Config::default().handler_timeout(Duration::ZERO),
            "session.handler_timeout is zero, but must be longer",
        ),
    ];
    for (config, message) in impossible {
        check_setting(|| App::new().session_config(config.clone()), message).await;
    }
}

#[tokio::test]
async fn an_impossible_server_setting_is_named() {
    let no_connections = ConnectionLimits::default().max_connections(0);
    let no_bytes = socket::Config::default().read_buffer_bytes(0);
    let impossible = [
        (
            server::Config::default().handshake_timeout(Duration::ZERO),
            "server.handshake_timeout is zero, but must be longer",
        ),
        (
            server::Config::default().connection_limits(no_connections),
            "server.connection_limits.max_connections is 0, but must be at least 1",
        ),
        (
            server::Config::default().socket(no_bytes),
            "server.socket.read_buffer_bytes is 0, but must be at least 1",
        ),
    ];
    for (config, message) in impossible {
        check_setting(|| App::new().server_config(config.clone()), message).await;
    }
}

/// Checks that the app cannot start, and that the error contains all these texts.
async fn check_routes(app: impl Fn() -> App, texts: &[&str]) {
    for error in startup_errors(app).await {
        assert!(matches!(error, StartupError::Routes(_)), "{error:?}");
        let message = error.to_string();
        assert!(message.starts_with("invalid routes: "), "{message}");
        for text in texts {
            assert!(message.contains(text), "{text} is missing: {message}");
        }
    }
}

#[tokio::test]
async fn conflicting_routes_are_named_with_their_place_in_the_source() {
    let app = || App::new().send("/a/{id}", sink).send("/a/:name", sink);
    check_routes(app, &["/a/{id}", "/a/:name", "startup.rs:"]).await;
}

#[tokio::test]
async fn a_route_without_a_required_policy_is_named() {
    let app = || {
        let router = Router::new()
            .send(
                "/guarded",
                webstomp::Handler::policy(sink, RequirePrincipalLayer),
            )
            .send("/forgotten", sink)
            .require_policies();
        App::from(router)
    };
    check_routes(app, &["/forgotten", "startup.rs:"]).await;
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let error = soon(App::new().listen(address)).await.unwrap_err();
    assert!(matches!(error, StartupError::Listen { .. }), "{error:?}");
    let expected = format!("cannot listen on {address}: ");
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[tokio::test]
async fn an_invalid_address_is_named() {
    let error = soon(App::new().listen("no\nport")).await.unwrap_err();
    assert!(matches!(error, StartupError::Listen { .. }), "{error:?}");
    let expected = r"cannot listen on no\nport: ";
    assert!(error.to_string().starts_with(expected), "{error}");
}

/// An error report that also prints sources must not print the same text twice.
#[tokio::test]
async fn a_startup_error_has_no_source() {
    let config = session::Config::default().max_unacked_messages(0);
    for error in startup_errors(|| App::new().session_config(config.clone())).await {
        assert!(error.source().is_none(), "{error:?}");
    }
    let error = soon(App::new().listen("no port")).await.unwrap_err();
    assert!(error.source().is_none(), "{error:?}");
}
