//! a handler of SEND, UNSUBSCRIBE or DISCONNECT cannot return `String`
//! it can return `()`, for SEND also `Reply(value)`, or a `Result` of these

async fn post() -> String {
    String::new()
}

fn main() {
    let _: stomp_router::Router = stomp_router::Router::new().send("/posts", post);
}
