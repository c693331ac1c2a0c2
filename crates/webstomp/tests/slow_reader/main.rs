//! A slow reader of a topic with 10,000 messages of 1 KiB a second: the memory that it costs is bounded, its overflow
//! policy applies, and the other readers get everything.
//!
//! The usual run is short; with `SOAK=1` in the environment, messages are published for a minute of simulated time.

#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper that fails is a test that fails"
)]

mod scenario;
#[path = "../transports/mod.rs"]
mod transports;

use scenario::{BACKLOG_BYTES, Outcome, Reader, Report, key_of, run, total};
use std::{collections::HashMap, time::Duration};
use transports::BUFFER_BYTES;
use webstomp::session::{Config, Overflow};

/// A reader that is so slow that it gets almost nothing.
const VERY_SLOW: Reader = Reader::Slow(Duration::from_secs(1));

/// A reader that is slower than the publisher.
const SLOW: Reader = Reader::Slow(Duration::from_millis(5));

/// A reader whose pause is long enough to fill all buffers, but shorter than the write timeout.
const PAUSED: Reader = Reader::Paused(Duration::from_secs(9));

/// Runs a slow reader, and compares the memory with that of a run without a slow reader.
fn run_with_bounded_memory(
    overflow: Overflow,
    reader: Reader,
    is_websocket: bool,
    without: &Outcome,
) -> (Report, Option<Duration>) {
    let outcome = run(overflow, Some(reader), is_websocket);
    let config = Config::default();
    // The frames that are not yet written, and the backlog, which may have twice its bounds for a moment.
    let documented = config.max_outbound_bytes + 2 * BACKLOG_BYTES;
    let held = outcome.held - without.held;
    assert!(
        held > i64::try_from(documented).unwrap() / 2,
        "the measurement must see the buffers, but sees {held} bytes"
    );
    // In memory, a message is held both as it was published and as it is written, with a small overhead. When some
    // frames of a full buffer have been written, the buffer has room for the same amount again.
    let allowed = match reader {
        Reader::Slow(_) => documented * 5 / 2,
        _ => documented * 3 / 2,
    };
    assert!(
        held <= i64::try_from(allowed).unwrap(),
        "{held} bytes are held for {reader:?}"
    );
    // A buffer that grows needs both the old and the new memory at that moment.
    let peak = outcome.peak - without.peak;
    assert!(
        peak <= u64::try_from(3 * documented).unwrap(),
        "{peak} bytes at most are held for {reader:?}"
    );
    // Each thread keeps one buffer for reuse.
    assert!(
        outcome.leaked <= 64 << 10,
        "{} bytes are still allocated at the end",
        outcome.leaked
    );
    let report = outcome.report.unwrap();
    println!(
        "{overflow:?}, {reader:?}: {held} bytes held, {peak} at most, {documented} documented; {} of {} messages \
         received, {} dropped; timed out after {:?}, error {:?}",
        report.messages,
        total(),
        report.dropped,
        outcome.timed_out_after,
        report.error
    );
    (report, outcome.timed_out_after)
}

/// A reader that reads nothing is disconnected at the write timeout, or before, if its policy is to disconnect.
fn check_stuck_reader(overflow: Overflow, without: &Outcome) {
    for is_websocket in [false, true] {
        let (report, timed_out_after) =
            run_with_bounded_memory(overflow, Reader::Stuck, is_websocket, without);
        let after = timed_out_after.expect("the stuck reader is disconnected for a timeout");
        let earliest = if overflow == Overflow::Disconnect {
            Duration::ZERO
        } else {
            Config::default().write_timeout
        };
        assert!(
            after >= earliest && after <= earliest + Duration::from_secs(1),
            "disconnected after {after:?}"
        );
        assert!(
            report.messages <= BUFFER_BYTES / 1_024,
            "only messages that were in the transport's buffer arrive"
        );
    }
}

#[test]
fn overflow_disconnect_closes_a_slow_reader_that_has_got_every_message_before() {
    let overflow = Overflow::Disconnect;
    let without = run(overflow, None, false);
    check_stuck_reader(overflow, &without);
    // The very slow reader does not read the ERROR within the close timeout.
    for (reader, is_websocket, error) in [
        (VERY_SLOW, false, None),
        (PAUSED, true, Some("slow-consumer")),
    ] {
        let (report, timed_out_after) =
            run_with_bounded_memory(overflow, reader, is_websocket, &without);
        assert!(timed_out_after.is_some(), "{reader:?} is disconnected");
        assert_eq!(report.error.as_deref(), error, "{reader:?}");
        assert_eq!(report.close, is_websocket.then_some(1008));
        assert_eq!(report.dropped, 0);
        assert!(report.is_in_order);
        assert_eq!(
            report.latest.values().max(),
            Some(&(report.messages - 1)),
            "no message is missing before the end"
        );
    }
}

#[test]
fn overflow_drop_oldest_keeps_a_slow_reader_and_counts_its_dropped_messages() {
    let overflow = Overflow::DropOldest;
    let without = run(overflow, None, false);
    check_stuck_reader(overflow, &without);
    for (reader, is_websocket) in [(SLOW, false), (PAUSED, true)] {
        let (report, timed_out_after) =
            run_with_bounded_memory(overflow, reader, is_websocket, &without);
        assert_eq!(
            (timed_out_after, &report.error),
            (None, &None),
            "{reader:?}"
        );
        assert_eq!(report.messages + report.dropped, total());
        assert!(report.dropped > 0 && report.is_in_order);
        let last = report.latest.values().max();
        assert_eq!(last, Some(&(total() - 1)), "the last message arrives");
    }
}

#[test]
fn overflow_conflate_keeps_the_latest_message_of_each_key() {
    let overflow = Overflow::Conflate;
    let without = run(overflow, None, false);
    check_stuck_reader(overflow, &without);
    let latest: HashMap<_, _> = (0..total())
        .map(|number| (key_of(number), number))
        .collect();
    for (reader, is_websocket) in [(SLOW, false), (PAUSED, true)] {
        let (report, timed_out_after) =
            run_with_bounded_memory(overflow, reader, is_websocket, &without);
        assert_eq!(
            (timed_out_after, &report.error),
            (None, &None),
            "{reader:?}"
        );
        assert_eq!(report.messages + report.dropped, total());
        assert!(report.dropped > 0);
        assert_eq!(report.latest, latest);
    }
}
