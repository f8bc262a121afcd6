//! How much goes through a device, and how much may: a bucket of tokens.
//!
//! A bucket fills at the rate that is allowed, up to what may come at once. Who uses the device
//! takes tokens out of it; who finds it empty waits until it fills again. A request is paid when it
//! is done, in full: the bucket may owe, so that one that is larger than the bucket is not
//! refused for good.
//!
//! ```text
//!   rate ---> | tokens | ---> request      waits while there are none
//!             +--------+ <--- its bytes    are taken out afterwards
//! ```

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// So much of a second's rate may come at once.
const BURST: Duration = Duration::from_millis(100);

/// What may go through a device in a second; without a number, any.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limit {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Requests, or frames.
    pub operations: Option<u64>,
}

impl Limit {
    /// Whether it limits anything.
    pub fn is_any(self) -> bool {
        self != Self::default()
    }
}

/// What has gone through a device, to be looked at from elsewhere.
#[derive(Debug, Default)]
pub struct Count {
    bytes: [AtomicU64; 2],
    operations: [AtomicU64; 2],
}

/// Which way.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// To the guest.
    In,
    /// From the guest.
    Out,
}

impl Count {
    /// Bytes and operations to the guest, bytes and operations from it.
    pub fn all(&self) -> [u64; 4] {
        let [[a, b], [c, d]] = [Way::In, Way::Out].map(|way| {
            [&self.bytes, &self.operations].map(|it| it[way as usize].load(Ordering::Relaxed))
        });
        [a, b, c, d]
    }
}

/// Counts, and holds a device to its limit.
#[derive(Debug)]
pub struct Rate {
    count: Arc<Count>,
    buckets: [Option<Bucket>; 2],
}

impl Rate {
    /// Of a device with this limit.
    pub fn of(limit: Limit) -> Self {
        let bucket = |rate: Option<u64>| rate.map(|rate| Bucket::full(rate, Instant::now()));
        Self { count: Arc::default(), buckets: [limit.bytes, limit.operations].map(bucket) }
    }

    /// What it counts.
    pub fn count(&self) -> Arc<Count> {
        self.count.clone()
    }

    /// Whether the next request may be served now.
    pub fn allows(&mut self) -> bool {
        let Some(now) = self.buckets.iter().any(Option::is_some).then(Instant::now) else {
            return true;
        };
        self.buckets.iter_mut().flatten().all(|bucket| bucket.has_tokens(now))
    }

    /// One of so many bytes was served.
    pub fn spend(&mut self, way: Way, bytes: usize) {
        let bytes = bytes as u64;
        self.count.bytes[way as usize].fetch_add(bytes, Ordering::Relaxed);
        self.count.operations[way as usize].fetch_add(1, Ordering::Relaxed);
        for (bucket, tokens) in self.buckets.iter_mut().zip([bytes, 1]) {
            if let Some(bucket) = bucket {
                bucket.tokens -= tokens as f64;
            }
        }
    }
}

#[derive(Debug)]
struct Bucket {
    rate: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn full(rate: u64, now: Instant) -> Self {
        let rate = rate as f64;
        Self { rate, tokens: rate * BURST.as_secs_f64(), filled: now }
    }

    fn has_tokens(&mut self, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        // One token fits in any case, or the slowest rates would let nothing through.
        let most = (self.rate * BURST.as_secs_f64()).max(1.0);
        self.tokens = (self.tokens + self.rate * since).min(most);
        self.tokens > 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many requests of so many bytes a bucket lets through in ten seconds, looked at so often.
    fn served(rate: u64, bytes: f64, look: Duration) -> f64 {
        let began = Instant::now();
        let mut bucket = Bucket::full(rate, began);
        let mut served = 0.0;
        let mut now = began;
        while now < began + Duration::from_secs(10) {
            while bucket.has_tokens(now) {
                bucket.tokens -= bytes;
                served += 1.0;
            }
            now += look;
        }
        served
    }

    #[test]
    fn the_rate_is_kept_whatever_the_size_of_a_request_and_however_often_one_looks() {
        for rate in [1, 100, 4096, 1 << 20, 1 << 30] {
            for bytes in [1.0, 512.0, 1_000_000.0] {
                for look in [1, 5, 90].map(Duration::from_millis) {
                    if rate as f64 / bytes > 10_000.0 {
                        continue; // as many turns, for the same
                    }
                    let through = served(rate, bytes, look) * bytes;
                    // What may come at once, and the one that is under way, come on top.
                    let most = rate as f64 * 10.1 + bytes;
                    let least = (rate as f64 * 9.8 - bytes).max(0.0);
                    assert!(
                        (least..=most).contains(&through),
                        "{rate} {bytes} {look:?}: {through}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_is_not_limited_is_counted_alone() {
        let mut rate = Rate::of(Limit::default());
        for _ in 0..1000 {
            assert!(rate.allows());
            rate.spend(Way::In, 1 << 30);
            rate.spend(Way::Out, 1);
        }
        assert_eq!(rate.count().all(), [1000 << 30, 1000, 1000, 1000]);
    }

    #[test]
    fn either_limit_holds() {
        for (limit, bytes) in [
            (Limit { bytes: Some(1000), operations: None }, 1000),
            (Limit { bytes: None, operations: Some(1) }, 0),
            (Limit { bytes: Some(1 << 40), operations: Some(1) }, 4096),
        ] {
            let mut rate = Rate::of(limit);
            assert!(rate.allows());
            rate.spend(Way::Out, bytes);
            assert!(!rate.allows(), "{limit:?}");
        }
    }
}
