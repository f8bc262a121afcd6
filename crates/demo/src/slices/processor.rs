//! What the kernel counts of the processor that is shared: how long it was idle, and how long the host
//! of this machine gave it to others.

use std::{collections::VecDeque, fs};

use nix::sched::CpuSet;
use serde::{Deserialize, Serialize};

/// What became of one processor in the second that is shown, by the line `cpuN` of `/proc/stat`
/// (proc_stat(5)). It counts in ticks of 10 ms as a rule, so a part is right to a point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ProcessorTime {
    /// The processor's number.
    pub number: u32,
    /// The part in which it had nothing to run, 0 to 1.
    pub idle: f32,
    /// The part in which the host of this virtual machine ran something else on it, 0 to 1.
    pub steal: f32,
}

/// Idle, stolen and all time, in the kernel's ticks.
type Ticks = [u64; 3];

/// The counts of one processor during the last second or so.
pub(super) struct ProcessorCount {
    number: u32,
    samples: VecDeque<(u64, Ticks)>,
}

impl ProcessorCount {
    /// Of the first processor of a set.
    pub(super) fn of(set: &CpuSet) -> Self {
        let first = (0..CpuSet::count()).find(|&cpu| set.is_set(cpu) == Ok(true)).unwrap_or(0);
        Self { number: first as u32, samples: VecDeque::new() }
    }

    /// Takes a sample at `tick`, and drops those older than `left` except the newest of them.
    pub(super) fn take(&mut self, tick: u64, left: u64) {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        self.samples.extend(ticks(&text, self.number).map(|ticks| (tick, ticks)));
        while self.samples.get(1).is_some_and(|(second, _)| *second <= left) {
            self.samples.pop_front();
        }
    }

    /// The parts between the first sample and the last.
    pub(super) fn time(&self) -> Option<ProcessorTime> {
        let ((_, first), (_, last)) = (self.samples.front()?, self.samples.back()?);
        let [idle, steal, all] = [0, 1, 2].map(|at| last[at].saturating_sub(first[at]));
        let part = |ticks: u64| (ticks as f32 / all as f32).min(1.0);
        (all > 0).then(|| ProcessorTime {
            number: self.number,
            idle: part(idle),
            steal: part(steal),
        })
    }
}

fn ticks(stat: &str, number: u32) -> Option<Ticks> {
    let name = format!("cpu{number} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
    let fields: Vec<u64> = line.split_whitespace().map_while(|word| word.parse().ok()).collect();
    // Time of guests is part of user time; to wait for a disk is to be idle.
    let all = fields.iter().take(8).copied().fold(0, u64::saturating_add);
    Some([fields.get(3)?.saturating_add(*fields.get(4)?), *fields.get(7)?, all])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_and_stolen_time_are_parts_of_all() {
        let stat = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu1 5 0 5 70 10 0 0 10 5 0\n";
        assert_eq!(ticks(stat, 1), Some([80, 10, 100]));
        assert_eq!(ticks(stat, 2), None);
        let samples = [(0, [0; 3]), (9, [80, 10, 100])].into();
        let time = ProcessorCount { number: 1, samples }.time();
        assert_eq!(time, Some(ProcessorTime { number: 1, idle: 0.8, steal: 0.1 }));
    }
}
