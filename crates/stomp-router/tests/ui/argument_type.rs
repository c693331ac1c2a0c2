//! `u32` cannot be a handler's argument
//! for state, write `State<u32>`

fn main() {
    fn takes<T: stomp_router::FromRequest<()>>() {}
    takes::<u32>();
}
