//! A histogram of times in fixed memory, with an error below 1.6 %.

use std::time::Duration;

/// Each power of two is divided into 2^6 buckets.
const BITS: u32 = 6;
const BUCKETS: usize = 64 << BITS;

/// Longer times are recorded as this one, which is 18 minutes.
const MAX: u64 = 1 << 40;

pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Histogram {
        Histogram {
            counts: vec![0; BUCKETS],
            total: 0,
        }
    }
}

impl Histogram {
    pub(crate) fn record(&mut self, time: Duration) {
        let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).min(MAX);
        if let Some(count) = self.counts.get_mut(bucket(nanoseconds)) {
            *count += 1;
            self.total += 1;
        }
    }

    pub(crate) fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
    }

    /// Returns the time that `permille` of all times do not exceed, in seconds, or `None` if there are no times.
    pub(crate) fn percentile(&self, permille: u64) -> Option<f64> {
        let rank = (self.total * permille).div_ceil(1000).max(1);
        let mut below = 0;
        let bucket = self.counts.iter().position(|count| {
            below += count;
            below >= rank
        })?;
        Some(upper_end(bucket) as f64 / 1e9)
    }
}

fn bucket(value: u64) -> usize {
    let magnitude = (value >> BITS)
        .checked_ilog2()
        .map_or(0, |log| log as usize + 1);
    let shift = magnitude.saturating_sub(1);
    (magnitude << BITS) + ((value >> shift) as usize & ((1 << BITS) - 1))
}

/// The largest value in a bucket.
fn upper_end(bucket: usize) -> u64 {
    let (magnitude, within) = (bucket >> BITS, bucket as u64 & ((1 << BITS) - 1));
    match magnitude {
        0 => within,
        _ => ((((1 << BITS) | within) + 1) << (magnitude - 1)) - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_is_in_a_bucket_that_ends_at_most_two_percent_above_it() {
        let mut value = 0_u64;
        while value < 1 << 40 {
            let end = upper_end(bucket(value));
            assert!(end >= value && end <= value + value / 50, "{value}: {end}");
            value += 1 + value / 97;
        }
    }

    #[test]
    fn percentiles_are_counted_from_the_lowest_time() {
        let mut times = Histogram::default();
        assert_eq!(times.percentile(500), None);
        for nanoseconds in 1..=60 {
            times.record(Duration::from_nanos(nanoseconds));
        }
        assert_eq!(times.percentile(500), Some(30e-9));
        assert_eq!(times.percentile(1000), Some(60e-9));
        times.clear();
        assert_eq!(times.percentile(990), None);
    }
}
