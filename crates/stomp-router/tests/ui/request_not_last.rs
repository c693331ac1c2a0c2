//! is not a handler
//! only the last argument can be a `Request`

use stomp_router::{Path, Router};
use stomp_session::Request;

async fn post(_: Request, _: Path<u32>) {}

fn main() {
    let _: Router = Router::new().send("/posts/{id}", post);
}
