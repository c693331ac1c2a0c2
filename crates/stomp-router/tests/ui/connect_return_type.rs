//! a connect handler cannot return `String`

async fn connect() -> String {
    String::new()
}

fn main() {
    let _: stomp_router::Router = stomp_router::Router::new().connect(connect);
}
