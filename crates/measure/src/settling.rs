//! When a number that moves stands still, so that it can be read.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The readings of one number.
#[derive(Debug)]
pub struct Settling {
    began: Instant,
    /// Those of the last while, the oldest first.
    readings: VecDeque<(Duration, u64)>,
}

/// What the readings so far say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It has moved, or was not watched for long enough.
    Moves,
    /// It can be read: it stands still, this long after the beginning; `None` if it moved again and
    /// again for as long as it is watched.
    Settled(Option<Duration>),
}

impl Settling {
    /// How long it has to stand still: a launcher gives its code back a second after its start, on a
    /// busy host two.
    pub const STILL: Duration = Duration::from_secs(2);
    /// How long it is watched at most.
    pub const MOST: Duration = Duration::from_secs(8);
    /// Readings this near to each other are the same.
    const TOLERANCE: f64 = 0.01;

    /// Begins to watch.
    pub fn begin() -> Self {
        Self { began: Instant::now(), readings: VecDeque::new() }
    }

    /// Takes a reading of now.
    pub fn take(&mut self, value: u64) -> Verdict {
        self.take_at(self.began.elapsed(), value)
    }

    fn take_at(&mut self, moment: Duration, value: u64) -> Verdict {
        let near = |other: u64| {
            let (one, other) = (value as f64, other as f64);
            (one - other).abs() <= Self::TOLERANCE * one.max(other)
        };
        if self.readings.iter().any(|(_, other)| !near(*other)) {
            self.readings.clear();
        }
        self.readings.push_back((moment, value));
        let since = self.readings.front().map_or(moment, |(first, _)| *first);
        if moment.saturating_sub(since) >= Self::STILL {
            Verdict::Settled(Some(moment))
        } else if moment >= Self::MOST {
            Verdict::Settled(None)
        } else {
            Verdict::Moves
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_verdict(value: impl Fn(u64) -> u64) -> Verdict {
        let mut settling = Settling::begin();
        let mut verdicts = (0..200).map(|tenth| {
            let moment = Duration::from_millis(tenth * 100);
            settling.take_at(moment, value(tenth))
        });
        verdicts.find(|verdict| *verdict != Verdict::Moves).unwrap()
    }

    #[test]
    fn it_is_read_after_the_last_change() {
        // Half of it is given back after 1.5 seconds.
        let verdict = first_verdict(|tenth| if tenth < 15 { 4000 } else { 1000 });
        assert_eq!(verdict, Verdict::Settled(Some(Duration::from_millis(3500))));
        assert_eq!(first_verdict(|_| 7), Verdict::Settled(Some(Duration::from_secs(2))));
    }

    #[test]
    fn what_moves_for_ever_is_not_watched_for_ever() {
        assert_eq!(first_verdict(|tenth| 1000 + tenth * 100), Verdict::Settled(None));
    }

    #[test]
    fn a_slow_drift_is_a_change() {
        let verdict = first_verdict(|tenth| 1_000_000 - tenth * 3000);
        assert_eq!(verdict, Verdict::Settled(None));
    }
}
