//! Lab 18: measure how a container and a virtual machine start.
//!
//! Write the four functions, in this order. `isolab lab check 18` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{process::ExitCode, time::Duration};

use report::{Interval, Sample};
use sandbox::{Milestone, Sandbox, Workload, monotonic_now};
use start_up::{Answer, Measured, Random, Subject};

/// Runs `workload` once and takes the time: the total with a stopwatch outside, and the phases.
///
/// The stopwatch runs from just before `sandbox.run` to just after it. `sandbox.run` returns an
/// outcome with a timeline. It knows how long *after the start* each [`Milestone`] was reached; a phase
/// is the time between one milestone and the next, and the first one begins at the start.
fn measure(sandbox: &dyn Sandbox, workload: &Workload) -> sandbox::Result<Measured> {
    todo!("lab 18, step 1: monotonic_now() before and after, and five differences")
}

/// What is started when: the order of starts in each of several fresh processes.
///
/// At least five processes, and 30 to 60 starts of each subject in all. In every round each subject
/// has its turn once, so that whatever the machine does affects all of them. No subject always follows
/// the same other one.
fn plan(subjects: &[Subject]) -> Vec<Vec<Subject>> {
    todo!("lab 18, step 2: rounds of all subjects, and not always in the same order")
}

/// The middle value of all of them, in whatever order they come. The mean of the middle two if there
/// is no middle one. `None` for no values.
fn median(values: &[f64]) -> Option<f64> {
    todo!("lab 18, step 3: sort a copy (f64::total_cmp) and take the middle")
}

/// The 95 % confidence interval of the median; `None` for fewer than six samples.
///
/// The bootstrap: draw as many samples as there are, at random and with replacement, and take their
/// median. Do that 2000 times or so, not just a hundred times. The middle 95 % of the medians are the
/// interval. Samples from one process are similar, so draw on two levels: first whole processes, then
/// rounds within each. The same samples and the same seed always give the same interval; another seed
/// gives one that is slightly different.
fn median_interval(samples: &[Sample], seed: u64) -> Option<Interval> {
    let mut random = Random::new(seed);
    todo!("lab 18, step 4: group the samples by process, and draw with random.below(n)")
}

fn main() -> ExitCode {
    start_up::program(&Answer { measure, plan, median, median_interval })
}
