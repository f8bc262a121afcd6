//! How often what is slow takes part in the rounds of one process.

use std::time::Duration;

use crate::MeasureOptions;

/// How often what is slow takes part in one process.
pub struct Turns {
    warm_up: u32,
    rounds: u32,
    process: u32,
    /// Of what takes several times as long as `isolab run`, a quick comparison takes so many, the
    /// warm-up included: both of its processes together have enough for an interval.
    pub of_daemons: u32,
    /// The time that each of them may take.
    of_each: Duration,
}

impl Turns {
    /// Those of a process with so many rounds before and in the measurement.
    pub fn of(options: &MeasureOptions, (warm_up, rounds): (u32, u32)) -> Self {
        let (of_daemons, seconds) = if options.quick { (4, 2) } else { (u32::MAX, 6) };
        let of_each = Duration::from_secs(seconds);
        Self { warm_up, rounds, process: options.process, of_daemons, of_each }
    }

    /// Whether what takes longer than all else together takes this turn: one that counts in each process.
    pub fn of_slowest(&self, turn: u32) -> bool {
        let turn = turn.checked_sub(self.warm_up);
        turn.is_some_and(|turn| (turn + self.process).is_multiple_of(self.rounds.max(1)))
    }

    /// Whether what needs `pace` for a start takes this turn: at least one that counts.
    pub fn of_slow(&self, pace: Duration, turn: u32) -> bool {
        let all = pace.as_secs_f64() * f64::from(self.rounds);
        let every = (all / self.of_each.as_secs_f64()).ceil() as u32;
        let every = every.clamp(1, self.rounds.max(1));
        match turn.checked_sub(self.warm_up) {
            // One that is slow was warmed up by its trial.
            None => every == 1,
            Some(turn) => (turn + self.process).is_multiple_of(every),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_peer_takes_part_in_as_many_rounds_as_its_time_allows() {
        let of_each = Duration::from_secs(8);
        for process in 0..6 {
            let turns = Turns { warm_up: 3, rounds: 20, process, of_daemons: u32::MAX, of_each };
            let count = |seconds| {
                let taken = |turn: &u32| turns.of_slow(Duration::from_secs_f64(seconds), *turn);
                (0..23).filter(taken).count()
            };
            assert_eq!(count(0.1), 23);
            assert_eq!(count(2.0), 4);
            assert_eq!(count(100.0), 1);
            assert_eq!((0..23).filter(|turn| turns.of_slowest(*turn)).count(), 1);
        }
    }
}
