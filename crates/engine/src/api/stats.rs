//! `GET /containers/ID/stats`: what a container consumes, once or every second.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{Response, StatusCode},
};
use container::{
    observe::{self, Consumption},
    statistics::{DiskCount, LinkCount, Statistics, statistics},
};
use serde_json::{Map, Value, json};

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
    own: Option<(Consumption, Statistics)>,
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
        let own = entry.as_ref().map(|entry| (observe::consumption(entry), statistics(entry)));
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
    let none = json!({});
    let own = now.own.as_ref();
    let pids = own.map(|(own, _)| {
        // A limit that there is not is the largest number, as the kernel writes `max`.
        json!({ "current": own.pids, "limit": own.pids_limit.unwrap_or(u64::MAX) })
    });
    json!({
        "id": id, "name": name, "read": now.at, "preread": before.at, "num_procs": 0,
        "cpu_stats": cpu(now), "precpu_stats": cpu(before),
        "memory_stats": own.map_or_else(|| none.clone(), |own| memory(own, machine)),
        "pids_stats": pids.unwrap_or(none),
        "blkio_stats": disks(own.map_or(&[], |(_, counts)| &counts.disks)),
        "storage_stats": {},
        "networks": own.map_or_else(Map::new, |(_, counts)| links(counts)),
    })
}

fn cpu(sample: &Sample) -> Value {
    let (own, counts) = sample.own.clone().unwrap_or_default();
    let mut written = json!({
        "cpu_usage": {
            "total_usage": nanoseconds(own.cpu_time),
            "usage_in_kernelmode": nanoseconds(counts.kernel_time),
            "usage_in_usermode": nanoseconds(counts.user_time),
        },
        "throttling_data": {
            "periods": counts.periods,
            "throttled_periods": counts.throttled_periods,
            "throttled_time": nanoseconds(counts.throttled_time),
        },
    });
    if sample.own.is_some() {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        written["system_cpu_usage"] = json!(sample.system);
        written["online_cpus"] = json!(cpus);
    }
    written
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// `machine` is the memory of a virtual machine. Clients leave out inactive pages of files, which are
/// in `stats`.
fn memory((own, counts): &(Consumption, Statistics), machine: Option<u64>) -> Value {
    let limit = own.memory_limit.or(machine).unwrap_or_else(host_memory);
    let usage = counts.memory_bytes.unwrap_or(own.memory_bytes);
    let mut written = json!({ "usage": usage, "stats": counts.memory, "limit": limit });
    if let Some(most) = counts.most_memory_bytes {
        written["max_usage"] = json!(most);
    }
    written
}

fn disks(counts: &[DiskCount]) -> Value {
    let list = |number: fn(&DiskCount) -> u64| {
        let one = |count: &DiskCount| {
            let direction = if count.is_write { "write" } else { "read" };
            json!({
                "major": count.major, "minor": count.minor, "op": direction, "value": number(count),
            })
        };
        counts.iter().map(one).collect::<Vec<_>>()
    };
    json!({
        "io_service_bytes_recursive": list(|count| count.bytes),
        "io_serviced_recursive": list(|count| count.requests),
        "io_queue_recursive": null, "io_service_time_recursive": null,
        "io_wait_time_recursive": null, "io_merged_recursive": null,
        "io_time_recursive": null, "sectors_recursive": null,
    })
}

fn links(counts: &Statistics) -> Map<String, Value> {
    let link = |(name, count): (&String, &LinkCount)| {
        let ([bytes_in, packets_in, errors_in, dropped_in], [bytes, packets, errors, dropped]) =
            (count.received, count.sent);
        let written = json!({
            "rx_bytes": bytes_in, "rx_packets": packets_in, "rx_errors": errors_in,
            "rx_dropped": dropped_in, "tx_bytes": bytes, "tx_packets": packets, "tx_errors": errors,
            "tx_dropped": dropped,
        });
        (name.clone(), written)
    };
    counts.links.iter().map(link).collect()
}

/// The memory of the host, in bytes.
pub(super) fn host_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    host::memory_field(&text, "MemTotal").unwrap_or(0)
}
