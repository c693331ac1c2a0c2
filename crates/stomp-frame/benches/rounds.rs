//! Several sides in turn, and the ratios that remain.

use crate::sides::Repeat;
use std::{
    fmt,
    time::{Duration, Instant},
};

const ROUNDS: usize = 21;
/// In a round, each side has so many turns. Turns are so short that most go by without another program in between,
/// also on a busy machine, and the median leaves out the others.
const TURNS: usize = 40;
const TURN: Duration = Duration::from_micros(500);

/// How the ratios come about.
pub(crate) fn method() -> String {
    format!(
        "median (lowest–highest) of {ROUNDS} interleaved rounds, each of {TURNS} turns of {TURN:?}"
    )
}

/// The time of each of `others` to that of `floor`.
///
/// Floor, others, floor, others …, so that what changes on the machine meanwhile meets all.
pub(crate) fn ratios(floor: Repeat, others: Vec<Repeat>) -> Vec<Ratio> {
    let mut sides: Vec<Side> = [floor]
        .into_iter()
        .chain(others)
        .map(Side::warmed_up)
        .collect();
    let rounds: Vec<Vec<f64>> = (0..ROUNDS).map(|_| round(&mut sides)).collect();
    (1..sides.len())
        .map(|side| Ratio::of(rounds.iter().map(|times| times[side] / times[0]).collect()))
        .collect()
}

/// The median of all rounds, and between what it lies.
pub(crate) struct Ratio {
    median: f64,
    low: f64,
    high: f64,
}

impl Ratio {
    fn of(rounds: Vec<f64>) -> Ratio {
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
    /// How often the work fits in a [`TURN`].
    times: u64,
}

impl Side {
    fn warmed_up(work: Repeat) -> Side {
        let mut side = Side { work, times: 1 };
        // As long as several turns, so that one interruption does not decide.
        while side.seconds() * (side.times as f64) < 8.0 * TURN.as_secs_f64() {
            side.times *= 2;
        }
        side.times = (side.times / 8).max(1);
        side
    }

    /// The time of the work done once.
    fn seconds(&mut self) -> f64 {
        let start = Instant::now();
        (self.work)(self.times);
        start.elapsed().as_secs_f64() / self.times as f64
    }
}

/// The median time of each side.
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
