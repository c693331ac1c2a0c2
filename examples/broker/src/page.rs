//! The page: plain files.

use axum::{Router, http::header, routing::get};

pub(crate) fn page() -> Router {
    let file = |content_type: &'static str, text: &'static str| {
        get(move || async move { ([(header::CONTENT_TYPE, content_type)], text) })
    };
    Router::new()
        .route(
            "/",
            file(
                "text/html; charset=utf-8",
                include_str!("../page/index.html"),
            ),
        )
        .route(
            "/broker.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("../page/broker.js"),
            ),
        )
        // The chat's: one client is enough.
        .route(
            "/stomp.js",
            file(
                "text/javascript; charset=utf-8",
                include_str!("../../chat/page/stomp.js"),
            ),
        )
        .route(
            "/style.css",
            file("text/css; charset=utf-8", include_str!("../page/style.css")),
        )
}
