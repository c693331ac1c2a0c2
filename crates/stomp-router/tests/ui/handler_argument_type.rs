//! is not a handler
//! a handler is an `async fn` of up to 8 arguments that all implement `FromRequestParts` and are

async fn post(_: u32) {}

fn main() {
    let _: stomp_router::Router = stomp_router::Router::new().send("/posts", post);
}
