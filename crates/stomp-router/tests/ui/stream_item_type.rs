//! `u32` cannot be sent as a STOMP message
//! wrap a serializable value in `Json`

use stomp_router::{Observe, IntoSubscribeResponse};

async fn watch() -> impl IntoSubscribeResponse {
    Observe(futures_util::stream::iter([1_u32, 2, 3]))
}

fn main() {
    let _: stomp_router::Router = stomp_router::Router::new().subscribe("/numbers", watch);
}
