//! Measures how long several programs take for the same work, relative to the first. The programs take turns.

use crate::sides::Repeat;
use std::{
    fmt,
    time::{Duration, Instant},
};

const ROUNDS: usize = 21;
/// Turns of each side per round. Turns are short: even on a busy machine, most turns are not interrupted by another
/// program. The median excludes the interrupted turns.
const TURNS: usize = 40;
const TURN: Duration = Duration::from_micros(500);

/// Describes the method of measurement, for the output.
pub(crate) fn method() -> String {
    format!(
        "median (lowest–highest) of {ROUNDS} interleaved rounds, each of {TURNS} turns of {TURN:?}"
    )
}

/// Measures the ratio of the time of each of `others` to the time of `floor`.
///
/// All sides take turns, so that changes on the machine affect all of them.
pub(crate) fn ratios(floor: Repeat, others: Vec<Repeat>) -> Vec<Ratio> {
    let mut sides: Vec<Side> = [floor]
        .into_iter()
        .chain(others)
        .map(Side::warmed_up)
        .collect();
    let rounds: Vec<Vec<f64>> = (0..ROUNDS).map(|_| round(&mut sides)).collect();
    (1..sides.len())
        .map(|side| Ratio::from_rounds(rounds.iter().map(|times| times[side] / times[0]).collect()))
        .collect()
}

/// The median ratio of all rounds, and the lowest and the highest ratio.
pub(crate) struct Ratio {
    median: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    fn from_rounds(rounds: Vec<f64>) -> Ratio {
        let rounds = sorted(rounds);
        Ratio {
            median: rounds[rounds.len() / 2],
            low: rounds[0],
            high: rounds[rounds.len() - 1],
        }
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ratio { median, low, high } = self;
        write!(f, "{median:6.2} ({low:.2}–{high:.2})")
    }
}

struct Side {
    work: Repeat,
    /// Repetitions of the work per [`TURN`].
    times: u64,
}

impl Side {
    fn warmed_up(work: Repeat) -> Side {
        let mut side = Side { work, times: 1 };
        // Measures for several turns, so that a single interruption does not matter.
        while side.seconds() * (side.times as f64) < 8.0 * TURN.as_secs_f64() {
            side.times *= 2;
        }
        side.times = (side.times / 8).max(1);
        side
    }

    /// Measures the time for doing the work once.
    fn seconds(&mut self) -> f64 {
        let start = Instant::now();
        (self.work)(self.times);
        start.elapsed().as_secs_f64() / self.times as f64
    }
}

/// Measures one round, and returns the median time of each side.
fn round(sides: &mut [Side]) -> Vec<f64> {
    let mut turns = vec![Vec::new(); sides.len()];
    for _ in 0..TURNS {
        for (side, turns) in sides.iter_mut().zip(&mut turns) {
            turns.push(side.seconds());
        }
    }
    turns
        .into_iter()
        .map(|turns| sorted(turns)[TURNS / 2])
        .collect()
}

fn sorted(mut figures: Vec<f64>) -> Vec<f64> {
    figures.sort_by(f64::total_cmp);
    figures
}
