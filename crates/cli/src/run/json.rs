//! What `isolab run --json` prints. Scripts know the keys: they stay, also where the code has found a
//! better word (`story` is the trace, `crossings` are VM exits).

use std::time::Duration;

use sandbox::{Outcome, Status, Workload};
use serde_json::json;

use crate::{base64, failure, kinds::Kind};

/// The outcome of a workload that was cut off: why, and what it had written. Without --json that
/// went out as it was written.
pub(super) fn cut_off_as_json(
    error: &sandbox::Error,
    kind: Kind,
    name: &str,
    workload: &Workload,
) -> serde_json::Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let written = error.written().cloned().unwrap_or_default();
    json!({
        "sandbox": kind.name(),
        "name": name,
        "command": workload.words(),
        "error": failure::chain(error),
        "output": text(&written.output),
        "output_base64": base64::unless_text(&written.output),
        "errors": text(&written.errors),
        "errors_base64": base64::unless_text(&written.errors),
    })
}

/// The outcome of a workload.
pub fn as_json(
    outcome: &Outcome,
    kind: Kind,
    name: &str,
    workload: &Workload,
) -> serde_json::Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let microseconds = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let milestones: serde_json::Map<String, serde_json::Value> = sandbox::Milestone::ALL
        .iter()
        .map(|&milestone| {
            let reached = outcome.timeline.since_start(milestone).map(microseconds);
            (milestone.name().to_owned(), json!(reached))
        })
        .collect();
    let entries: Vec<_> = outcome
        .trace
        .entries
        .iter()
        .map(|entry| {
            let began = entry.began.saturating_sub(outcome.timeline.started_at());
            json!({
                "question": entry.question,
                "call": entry.event.to_string(),
                "began_us": microseconds(began),
                "took_us": microseconds(entry.took),
            })
        })
        .collect();
    let (code, signal) = match outcome.status {
        Status::Exited(code) => (Some(code), None),
        Status::Signaled(signal) => (None, Some(signal)),
    };
    json!({
        "sandbox": kind.name(),
        "name": name,
        "command": workload.words(),
        "status": { "code": code, "signal": signal },
        "machine_end": outcome.machine_end,
        "oom_killed": outcome.usage.out_of_memory.is_some(),
        "output": text(&outcome.output),
        "output_base64": base64::unless_text(&outcome.output),
        "errors": text(&outcome.errors),
        "errors_base64": base64::unless_text(&outcome.errors),
        "milestones_us": milestones,
        "usage": {
            "cpu_us": outcome.usage.cpu_time.map(microseconds),
            "peak_memory_bytes": outcome.usage.peak_memory_bytes,
            "crossings": outcome.usage.vm_exits,
            "crossings_in_kernel": outcome.usage.vm_exits_in_kernel,
        },
        "report": outcome.report,
        "story": entries,
    })
}
