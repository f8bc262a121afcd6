//! The scheduler's own records: each time that a worker was given a processor, and each time that
//! it was taken away.
//!
//! The tracepoint `sched:sched_switch` would say the same, but to root only, and it stays on when
//! its observer is killed. `PERF_RECORD_SWITCH` of perf_event_open(2) is for one's own processes,
//! and ends with the descriptor.

use std::{collections::VecDeque, io, time::Duration};

use perf_event::{Builder, Clock, SampleFlag, Sampler, events::Software};
use serde::{Deserialize, Serialize};

/// What the scheduler did in the second that is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Switches {
    /// What was recorded.
    #[serde(alias = "seen")]
    Recorded {
        /// How often a worker was given a processor.
        given: u32,
        /// How often one was taken away from a worker that wanted to go on.
        preempted: u32,
        /// Which processors.
        processors: Vec<u32>,
    },
    /// Recording is not allowed, and why.
    NotAllowed(String),
}

/// Records for a second, of 32 bytes each, are far less than this.
const PAGES: usize = 4;
/// Of `perf_event_header.misc`: the processor was taken away.
const SWITCH_OUT: u16 = 1 << 13;
/// Of the same: from one that wanted to go on.
const SWITCH_OUT_PREEMPT: u16 = 1 << 14;

pub(super) struct Recorder {
    samplers: Vec<Sampler>,
    /// Time, `misc` and processor.
    records: VecDeque<(Duration, u16, u32)>,
}

impl Recorder {
    /// Begins to record the switches of these threads.
    pub(super) fn of(threads: &[u32]) -> io::Result<Self> {
        let sampler = |thread: &u32| {
            Builder::new(Software::DUMMY)
                .context_switch(true)
                .sample_id_all(true)
                .sample(SampleFlag::TID | SampleFlag::TIME | SampleFlag::CPU)
                .clockid(Clock::MONOTONIC)
                .observe_pid(thread.cast_signed())
                .any_cpu()
                .enabled(true)
                .build()?
                .sampled(PAGES)
        };
        let samplers = threads.iter().map(sampler).collect::<io::Result<_>>()?;
        Ok(Self { samplers, records: VecDeque::new() })
    }

    /// What happened since `left`, on the monotonic clock.
    pub(super) fn since(&mut self, left: Duration) -> Switches {
        for sampler in &mut self.samplers {
            while let Some(record) = sampler.next_record() {
                let sample = sample_id(&record.to_vec());
                let misc = record.misc();
                self.records.extend(sample.map(|(time, processor)| (time, misc, processor)));
            }
        }
        self.records.retain(|(time, ..)| *time >= left);
        let count = |matches: &dyn Fn(u16) -> bool| {
            self.records.iter().filter(|(_, misc, _)| matches(*misc)).count() as u32
        };
        let mut processors: Vec<u32> = self.records.iter().map(|record| record.2).collect();
        processors.sort_unstable();
        processors.dedup();
        Switches::Recorded {
            given: count(&|misc| misc & SWITCH_OUT == 0),
            preempted: count(&|misc| misc & SWITCH_OUT_PREEMPT != 0),
            processors,
        }
    }
}

/// Time and processor of a record without a body of its own:
///
/// ```text
///   0  pid, tid     8  time, ns     16  processor, reserved
/// ```
fn sample_id(bytes: &[u8]) -> Option<(Duration, u32)> {
    let time = u64::from_ne_bytes(bytes.get(8..16)?.try_into().ok()?);
    let processor = u32::from_ne_bytes(bytes.get(16..20)?.try_into().ok()?);
    Some((Duration::from_nanos(time), processor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_and_a_short_one_is_not() {
        let mut bytes = vec![0; 24];
        bytes[8..16].copy_from_slice(&7_u64.to_ne_bytes());
        bytes[16..20].copy_from_slice(&3_u32.to_ne_bytes());
        assert_eq!(sample_id(&bytes), Some((Duration::from_nanos(7), 3)));
        assert_eq!(sample_id(&bytes[..18]), None);
    }
}
