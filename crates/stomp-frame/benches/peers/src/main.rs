//! Compares other codecs, this crate and the floor in one run: `cargo run --release`.

#[allow(dead_code, reason = "only decoding is compared")]
#[path = "../../floor.rs"]
mod floor;
#[allow(dead_code, reason = "only decoding is compared")]
#[path = "../../rounds.rs"]
mod rounds;
#[allow(dead_code, reason = "only decoding is compared")]
#[path = "../../sides.rs"]
mod sides;
#[allow(dead_code, reason = "only some of the workloads are compared")]
#[path = "../../workload.rs"]
mod workload;

mod peers;

use peers::PEERS;
use sides::{floor_decodes, ours_decodes};
use workload::{Workload, escaped, huge, large, small};

type Row = (&'static str, fn() -> Workload);

const ROWS: [Row; 4] = [
    ("a small SEND", small),
    ("a MESSAGE with escapes, 1 KiB", escaped),
    ("a MESSAGE, 64 KiB", large),
    ("a MESSAGE, 1 MiB, in 1,460-byte pieces", huge),
];

fn main() {
    println!(
        "decoding, relative to the time of the floor: {}",
        rounds::method()
    );
    for (name, workload) in ROWS {
        println!("\n{name}");
        let (mut names, mut sides) = (vec!["stomp-frame"], vec![ours_decodes(workload())]);
        let mut unsupported = Vec::new();
        for (name, decodes) in PEERS {
            match decodes(workload()) {
                Ok(side) => {
                    names.push(name);
                    sides.push(side);
                }
                Err(reason) => unsupported.push((name, reason)),
            }
        }
        for (name, ratio) in names
            .iter()
            .zip(rounds::ratios(floor_decodes(workload()), sides))
        {
            println!("  {name:<20} {ratio}");
        }
        for (name, reason) in unsupported {
            println!("  {name:<20}   unsupported: {reason}");
        }
    }
    println!("\ndifferences in the work: {}", peers::DIFFERENCES);
}
