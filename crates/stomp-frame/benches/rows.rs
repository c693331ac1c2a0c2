//! The rows of the output: kinds of work to measure.

use crate::{
    sides::{Repeat, floor_decodes, floor_encodes, ours_decodes, ours_encodes},
    workload::{escaped, huge, large, small, stream_of_small},
};

/// A kind of work that the floor and this crate both do.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) floor: fn() -> Repeat,
    pub(crate) ours: fn() -> Repeat,
    /// The highest acceptable ratio to the floor; empty if there is none.
    pub(crate) goal: &'static str,
    /// Repetitions of the work for counting instructions; 0 if the instructions are not counted.
    pub(crate) counted: u64,
}

pub(crate) const ROWS: [Row; 9] = [
    Row {
        name: "noise: the floor compared with itself",
        floor: || floor_decodes(small()),
        ours: || floor_decodes(small()),
        goal: "",
        counted: 0,
    },
    Row {
        name: "decode a small SEND",
        floor: || floor_decodes(small()),
        ours: || ours_decodes(small()),
        goal: "3",
        counted: 2_000,
    },
    Row {
        name: "decode a MESSAGE with escapes, 1 KiB",
        floor: || floor_decodes(escaped()),
        ours: || ours_decodes(escaped()),
        goal: "4",
        counted: 2_000,
    },
    Row {
        name: "decode a MESSAGE, 64 KiB",
        floor: || floor_decodes(large()),
        ours: || ours_decodes(large()),
        goal: "1.2",
        counted: 200,
    },
    Row {
        name: "decode 10,000 small SENDs in 1,460-byte pieces",
        floor: || floor_decodes(stream_of_small()),
        ours: || ours_decodes(stream_of_small()),
        goal: "",
        counted: 0,
    },
    Row {
        name: "decode a MESSAGE, 1 MiB, in 1,460-byte pieces",
        floor: || floor_decodes(huge()),
        ours: || ours_decodes(huge()),
        goal: "2",
        counted: 0,
    },
    Row {
        name: "encode a small SEND",
        floor: || floor_encodes(&small().frame()),
        ours: || ours_encodes(small().frame()),
        goal: "20",
        counted: 2_000,
    },
    Row {
        name: "encode a MESSAGE with escapes, 1 KiB",
        floor: || floor_encodes(&escaped().frame()),
        ours: || ours_encodes(escaped().frame()),
        goal: "",
        counted: 2_000,
    },
    Row {
        name: "encode a MESSAGE, 64 KiB",
        floor: || floor_encodes(&large().frame()),
        ours: || ours_encodes(large().frame()),
        goal: "",
        counted: 200,
    },
];
