//! `isolab run --trace=exits` and `--stats`: the VM exits of a virtual machine.
//!
//! What KVM answers by itself never comes to isolab; KVM only counts it. What comes here is for a
//! device, and it is isolab that decides what the device does: QEMU's part.

use std::{collections::BTreeMap, time::Duration};

use sandbox::{Outcome, Step};

use crate::ansi::Ansi;

/// An exit as it was written down: `KVM_RUN -> out 0x3f8: serial`.
struct Exit<'a> {
    reason: &'a str,
    device: &'a str,
    step: &'a Step,
}

fn exits(outcome: &Outcome) -> impl Iterator<Item = Exit<'_>> {
    outcome.story.steps.iter().filter_map(|step| {
        let (reason, device) = step.crossing()?;
        Some(Exit { reason, device, step })
    })
}

/// A line for each exit.
pub fn list(outcome: &Outcome, ansi: Ansi) -> String {
    let title = format!("{:>12}  {:>10}  {:<16}{}", "since start", "answer in", "by", "reason");
    let mut text = format!("\n{}\n", ansi.bold(&title));
    for exit in exits(outcome) {
        let since = exit.step.began.saturating_sub(outcome.timeline.started_at());
        let (since, took) = (milliseconds(since), microseconds(exit.step.took));
        text += &format!("{since:>12}  {took:>10}  {:<16}{}\n", exit.device, exit.reason);
    }
    text + &in_all(outcome)
}

/// A line for each reason, the most frequent first.
pub fn sums(outcome: &Outcome, ansi: Ansi) -> String {
    let mut sums: BTreeMap<(&str, &str), (u64, Duration)> = BTreeMap::new();
    for exit in exits(outcome) {
        let sum = sums.entry((exit.device, exit.reason)).or_default();
        *sum = (sum.0 + 1, sum.1 + exit.step.took);
    }
    let mut rows: Vec<_> = sums.into_iter().collect();
    rows.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
    let title =
        format!("{:>8}  {:<16}{:<24}{:>13}{:>13}", "exits", "by", "reason", "answered in", "each");
    let mut text = format!("\n{}\n", ansi.bold(&title));
    for ((device, reason), (count, took)) in rows {
        let each = took / u32::try_from(count).unwrap_or(u32::MAX);
        let (took, each) = (microseconds(took), microseconds(each));
        text += &format!("{count:>8}  {device:<16}{reason:<24}{took:>13}{each:>13}\n");
    }
    text + &in_all(outcome)
}

/// How the work was divided.
fn in_all(outcome: &Outcome) -> String {
    let here: u64 = outcome.usage.crossings.iter().map(|crossing| crossing.count).sum();
    let written = exits(outcome).count() as u64;
    let mut text = format!("\nisolab (QEMU's part) answered {here} exits");
    if written < here {
        text += &format!(", of which the first {written} are above");
    }
    match outcome.usage.crossings_in_kernel {
        Some(kernel) => text + &format!("; KVM answered {kernel} by itself.\n"),
        None => text + ".\n",
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

fn microseconds(time: Duration) -> String {
    format!("{:.1} µs", time.as_secs_f64() * 1e6)
}

#[cfg(test)]
mod tests {
    use sandbox::{Crossing, Native, Question, Sandbox as _, Workload};

    use super::*;

    /// An outcome with these exits written down.
    fn outcome(calls: &[&str]) -> Outcome {
        let mut outcome = Native.run(&Workload::command(["true"])).unwrap();
        let began = outcome.timeline.started_at() + Duration::from_millis(5);
        let took = Duration::from_micros(3);
        let step = |call: &&str| {
            let call = format!("KVM_RUN -> {call}").into();
            Step { question: Question::WayOut, call, began, took }
        };
        outcome.story.steps = calls.iter().map(step).collect();
        outcome.usage.crossings =
            vec![Crossing { reason: "all".into(), count: calls.len() as u64 }];
        outcome.usage.crossings_in_kernel = Some(7);
        outcome
    }

    #[test]
    fn every_exit_has_a_line_and_every_reason_a_sum() {
        let calls =
            ["out 0x3f8: serial", "mmio write 0xd0000050: virtio-ports", "out 0x3f8: serial"];
        let outcome = outcome(&calls);
        let list = list(&outcome, Ansi::PLAIN);
        assert_eq!(list.matches("out 0x3f8").count(), 2, "{list}");
        let sums = sums(&outcome, Ansi::PLAIN);
        assert!(sums.contains("       2  serial          out 0x3f8 "), "{sums}");
        assert!(sums.contains("answered 3 exits; KVM answered 7 by itself"), "{sums}");
        for line in list.lines().chain(sums.lines()) {
            assert!(line.chars().count() < 80, "{line:?}");
        }
    }
}
