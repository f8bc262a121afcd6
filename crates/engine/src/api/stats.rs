//! `GET /containers/ID/stats`: what a container consumes, once or every second.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use container::observe::{self, Consumption};
use serde_json::{Value, json};

use super::{
    call::Call,
    response::{ChannelBody, json, line, of_type},
};
use crate::{
    container::Container, engine::Engine, error::Result, runtime::Runtime, spec::microvm, time,
};

const SECOND: Duration = Duration::from_secs(1);

/// What is read at one instant.
#[derive(Clone)]
struct Sample {
    at: String,
    own: Option<Consumption>,
    /// CPU time of the whole host, in nanoseconds: the measure of the own.
    system: u64,
}

pub(super) async fn stats(engine: &Arc<Engine>, id: &str, call: &Call) -> Result<Response<Body>> {
    let container = engine.container(id)?;
    let streams = call.query.text("stream").is_none() || call.query.flag("stream");
    if !streams {
        let mut before = sample(engine, &container).await;
        // Two samples make a rate, and the first one of `one-shot` is left out.
        if !call.query.flag("one-shot") && before.own.is_some() {
            tokio::time::sleep(SECOND).await;
        } else {
            before = Sample { at: time::NEVER.into(), own: None, system: 0 };
        }
        let now = sample(engine, &container).await;
        return json(&written(&container, &before, &now));
    }
    let (sender, body) = ChannelBody::pair();
    let engine = Arc::clone(engine);
    tokio::spawn(async move {
        let mut before = Sample { at: time::NEVER.into(), own: None, system: 0 };
        while !container.progress.borrow().removed {
            let now = sample(&engine, &container).await;
            if sender.send(line(&written(&container, &before, &now))).await.is_err() {
                return;
            }
            before = now;
            tokio::select! {
                () = tokio::time::sleep(SECOND) => {}
                () = sender.closed() => return,
            }
        }
    });
    Ok(of_type(StatusCode::OK, "application/json", body))
}

async fn sample(engine: &Arc<Engine>, container: &Arc<Container>) -> Sample {
    let (ledger, name) = (engine.ledger.clone(), container.record().ledger_name());
    let is_up = container.status().phase.is_up();
    let read = move || {
        let entry = ledger.find(&name).ok().flatten().filter(|_| is_up);
        let own = entry.as_ref().map(observe::consumption);
        Sample { at: time::now(), own, system: system_time() }
    };
    let read = tokio::task::spawn_blocking(read).await;
    read.unwrap_or_else(|_| Sample { at: time::now(), own: None, system: 0 })
}

/// CPU time of the host since its start, in nanoseconds (proc_stat(5): the first line, in hundredths
/// of a second).
fn system_time() -> u64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let fields = line.split_whitespace().skip(1).take(7);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum::<u64>() * 10_000_000
}

fn written(container: &Container, before: &Sample, now: &Sample) -> Value {
    let (name, id, machine) = {
        let record = container.record();
        let is_machine = record.runtime() == Runtime::Microvm;
        let machine = is_machine.then(|| microvm::memory_bytes(&record.host));
        (format!("/{}", record.name), record.id.clone(), machine)
    };
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let cpu = |sample: &Sample| match &sample.own {
        None => json!({
            "cpu_usage": { "total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0 },
            "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
        }),
        Some(own) => json!({
            "cpu_usage": {
                "total_usage": u64::try_from(own.cpu_time.as_nanos()).unwrap_or(u64::MAX),
                "usage_in_kernelmode": 0,
                "usage_in_usermode": 0,
            },
            "system_cpu_usage": sample.system,
            "online_cpus": cpus,
            "throttling_data": { "periods": 0, "throttled_periods": 0, "throttled_time": 0 },
        }),
    };
    let memory = now.own.as_ref().map_or_else(
        || json!({}),
        |own| {
            let limit = own.memory_limit.or(machine).unwrap_or_else(host_memory);
            json!({ "usage": own.memory_bytes, "stats": {}, "limit": limit })
        },
    );
    let pids = now.own.as_ref().map_or_else(
        || json!({}),
        |own| json!({ "current": own.pids, "limit": own.pids_limit.unwrap_or(0) }),
    );
    json!({
        "id": id, "name": name, "read": now.at, "preread": before.at, "num_procs": 0,
        "cpu_stats": cpu(now), "precpu_stats": cpu(before), "memory_stats": memory,
        "pids_stats": pids, "blkio_stats": { "io_service_bytes_recursive": null },
        "storage_stats": {}, "networks": {},
    })
}

/// The memory of the host, in bytes.
pub(super) fn host_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    host::memory_field(&text, "MemTotal").unwrap_or(0)
}
