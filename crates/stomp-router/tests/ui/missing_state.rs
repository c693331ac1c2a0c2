//! the state of `Router<Prices>` is missing
//! call `.with_state(..)`

use stomp_router::{Router, State};

#[derive(Clone)]
struct Prices;

async fn watch(_: State<Prices>) {}

fn main() {
    let _ = Router::new().subscribe("/prices", watch).build();
}
