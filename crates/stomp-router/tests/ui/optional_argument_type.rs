//! `Option<String>` cannot be a handler's argument

fn main() {
    fn takes<T: stomp_router::FromRequest<()>>() {}
    takes::<Option<String>>();
}
