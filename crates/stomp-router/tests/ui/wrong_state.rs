//! `Prices` is not part of the state `Shop`
//! write `impl FromRef<Shop> for Prices`

#[derive(Clone)]
struct Prices;

#[derive(Clone)]
struct Shop;

fn main() {
    fn part_of_shop<T: stomp_router::FromRef<Shop>>() {}
    part_of_shop::<Prices>();
}
