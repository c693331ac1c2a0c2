//! Serves the files of the page that shows the broker's state.

use axum::{Router, http::header, routing::get};

pub(crate) fn page() -> Router {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
    };
    let html = |text| file("text/html; charset=utf-8", text);
    let script = |text| file("text/javascript; charset=utf-8", text);
    let style = |text| file("text/css; charset=utf-8", text);
    Router::new()
        .route("/", html(include_str!("../page/index.html")))
        .route("/broker.js", script(include_str!("../page/broker.js")))
        // The STOMP client of the example `chat`.
        .route(
            "/stomp.js",
            script(include_str!("../../chat/page/stomp.js")),
        )
        .route("/style.css", style(include_str!("../page/style.css")))
}
