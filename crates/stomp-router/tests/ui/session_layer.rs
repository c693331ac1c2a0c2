//! `Rc<()>` cannot be used as the service of a session

use std::rc::Rc;

fn main() {
    fn serves<T: stomp_router::SessionService>() {}
    serves::<Rc<()>>();
}
