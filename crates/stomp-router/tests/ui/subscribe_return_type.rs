//! a subscribe handler cannot return `u32`

async fn watch() -> u32 {
    7
}

fn main() {
    let _: stomp_router::Router = stomp_router::Router::new().subscribe("/numbers", watch);
}
