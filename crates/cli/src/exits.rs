//! `isolab run --trace=exits` and `--stats`: the VM exits of a virtual machine.
//!
//! What KVM answers by itself never comes to isolab; KVM only counts it. What comes here is for a
//! device, and it is isolab that decides what the device does: QEMU's part.

use std::{collections::BTreeMap, time::Duration};

use sandbox::{Event, ExitReason, Outcome, TraceEntry};

use crate::ansi::Ansi;

/// A VM exit of a trace.
struct Exit<'a> {
    reason: &'a ExitReason,
    device: &'a str,
    entry: &'a TraceEntry,
}

fn exits(outcome: &Outcome) -> impl Iterator<Item = Exit<'_>> {
    outcome.trace.entries.iter().filter_map(|entry| match &entry.event {
        Event::VmExit { reason, device } => {
            Some(Exit { reason, device: device.as_deref().unwrap_or("nobody"), entry })
        }
        _ => None,
    })
}

/// A line for each exit.
pub fn list(outcome: &Outcome, ansi: Ansi) -> String {
    let title = format!("{:>12}  {:>10}  {:<16}{}", "since start", "answer in", "by", "reason");
    let mut text = format!("\n{}\n", ansi.bold(&title));
    for exit in exits(outcome) {
        let since = exit.entry.began.saturating_sub(outcome.timeline.started_at());
        let (since, took) = (milliseconds(since), microseconds(exit.entry.took));
        text += &format!("{since:>12}  {took:>10}  {:<16}{}\n", exit.device, exit.reason);
    }
    text + &in_all(outcome)
}

/// A line for each reason, the most frequent first.
pub fn sums(outcome: &Outcome, ansi: Ansi) -> String {
    let mut sums: BTreeMap<(&str, String), (u64, Duration)> = BTreeMap::new();
    for exit in exits(outcome) {
        let sum = sums.entry((exit.device, exit.reason.to_string())).or_default();
        *sum = (sum.0 + 1, sum.1 + exit.entry.took);
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
    let here: u64 = outcome.usage.vm_exits.iter().map(|each| each.count).sum();
    let written = exits(outcome).count() as u64;
    let mut text = format!("\nisolab (QEMU's part) answered {here} exits");
    if written < here {
        text += &format!(", of which the first {written} are above");
    }
    match outcome.usage.vm_exits_in_kernel {
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
    use sandbox::{ExitCount, Native, Question, Sandbox as _, Workload};

    use super::*;

    /// An outcome with these exits written down.
    fn outcome(exits: &[(ExitReason, &'static str)]) -> Outcome {
        let mut outcome = Native.run(&Workload::command(["true"])).unwrap();
        let began = outcome.timeline.started_at() + Duration::from_millis(5);
        let took = Duration::from_micros(3);
        let entry = |(reason, device): &(ExitReason, &'static str)| {
            let event = Event::VmExit { reason: reason.clone(), device: Some((*device).into()) };
            TraceEntry { question: Question::WayOut, event, began, took }
        };
        outcome.trace.entries = exits.iter().map(entry).collect();
        outcome.usage.vm_exits =
            vec![ExitCount { reason: ExitReason::Other("all".into()), count: exits.len() as u64 }];
        outcome.usage.vm_exits_in_kernel = Some(7);
        outcome
    }

    #[test]
    fn every_exit_has_a_line_and_every_reason_a_sum() {
        let serial = (ExitReason::Out { port: 0x3f8 }, "serial");
        let virtio = (ExitReason::MmioWrite { address: 0xd000_0050 }, "virtio-ports");
        let outcome = outcome(&[serial.clone(), virtio, serial]);
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
