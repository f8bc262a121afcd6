//! `events`: what a container consumes, as runc writes it.

use std::{thread::sleep, time::Duration};

use container::statistics::statistics_in;
use serde_json::json;

use crate::{
    error::{Result, property},
    options::Events,
    output,
    record::Record,
    store::Store,
};

pub(super) fn events(store: &Store, options: &Events) -> Result<()> {
    let interval = interval(&options.interval)?;
    loop {
        let record = Record::of(store, &options.id)?;
        let Ok(state) = record.living() else { return Ok(()) };
        let cgroups: Vec<_> = state.cgroups().collect();
        let found = statistics_in(&cgroups, Some(state.first.pid));
        let usage = (found.user_time + found.kernel_time).as_nanos() as u64;
        let line = json!({
            "type": "stats",
            "id": record.id,
            "data": {
                "cpu": {
                    "usage": {
                        "total": usage,
                        "user": found.user_time.as_nanos() as u64,
                        "kernel": found.kernel_time.as_nanos() as u64,
                    },
                    "throttling": {
                        "periods": found.periods,
                        "throttledPeriods": found.throttled_periods,
                        "throttledTime": found.throttled_time.as_nanos() as u64,
                    },
                },
                "memory": {
                    "usage": { "usage": found.memory_bytes, "max": found.most_memory_bytes },
                    "raw": found.memory,
                },
                "pids": { "current": state.processes().len() },
            },
        });
        output::line(format_args!("{line}"))?;
        if options.stats {
            return Ok(());
        }
        sleep(interval);
    }
}

/// `5s`, `500ms`, `1m`.
fn interval(text: &str) -> Result<Duration> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = &text[digits.len()..];
    let number: u64 = digits.parse().unwrap_or(0);
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" | "" => Duration::from_secs(number),
        "m" => Duration::from_secs(number * 60),
        _ => Duration::ZERO,
    };
    match time.is_zero() {
        true => Err(property("--interval", format!("{text:?} is not a time such as 5s"))),
        false => Ok(time),
    }
}
