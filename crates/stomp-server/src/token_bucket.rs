//! Limits the rate of events.

use tokio::time::Instant;

/// A token bucket: each new connection takes a token, and time refills the bucket. It holds at most the tokens of one
/// second.
pub(crate) struct TokenBucket {
    tokens: f64,
    refilled_at: Instant,
}

impl TokenBucket {
    /// Creates a full bucket.
    pub(crate) fn new(per_second: u32) -> TokenBucket {
        TokenBucket {
            tokens: f64::from(per_second),
            refilled_at: Instant::now(),
        }
    }

    /// Refills the bucket and returns true if it has a token.
    pub(crate) fn has_token(&mut self, per_second: u32) -> bool {
        let (now, rate) = (Instant::now(), f64::from(per_second));
        let elapsed = now.duration_since(self.refilled_at).as_secs_f64();
        self.tokens = (self.tokens + elapsed * rate).min(rate);
        self.refilled_at = now;
        self.tokens >= 1.0
    }

    pub(crate) fn take(&mut self) {
        self.tokens -= 1.0;
    }
}
