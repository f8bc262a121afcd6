//! `isolab inspect`: what is known of a run.

use std::{fs, path::Path};

use clap::Args;
use container::observe;
use sandbox::{LedgerEntry, Process, Resource};
use serde_json::{Map, Value, json};

use crate::{background, failure::Failure, guest_control, output, ps, stop};

/// Print details of runs as JSON, including background runs that have ended: what was recorded at
/// start, and what the kernel reports now.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, as `isolab ps -a` shows them
    #[arg(required = true)]
    names: Vec<String>,
}

/// Prints a JSON array.
pub fn inspect(arguments: &Arguments) -> Result<u8, Failure> {
    let entries = arguments.names.iter().map(|name| background::find(name));
    let entries = entries.collect::<Result<Vec<LedgerEntry>, Failure>>()?;
    output::print_json(&entries.iter().map(as_json).collect())?;
    Ok(0)
}

fn as_json(entry: &LedgerEntry) -> Value {
    let mut about = ps::as_json(entry);
    let first = entry.first.filter(Process::is_alive);
    let more = json!({
        "supervisor": entry.detached.as_ref().map(|detached| detached.supervisor.pid),
        "terminal": entry.detached.as_ref().map(|detached| detached.terminal),
        "remove_at_end": entry.detached.as_ref().map(|detached| detached.remove),
        "annotations": entry.metadata.annotations,
        "stop_signal": stop::signal_of(entry).as_str(),
        // `null` is for ever.
        "stop_timeout_ms": u64::try_from(stop::timeout_of(entry).as_millis()).ok(),
        "spec": entry.state,
        "cgroups": observe::cgroups(entry).collect::<Vec<_>>(),
        "limits": limits(entry),
        "consumed": first.map(|_| consumed(entry)),
        "network": first.map(|first| network(entry, first.pid)),
        "namespaces": first.map(|first| namespaces(first.pid)),
        "mounts": first.map(|first| mounts(first.pid)),
    });
    if let (Value::Object(about), Value::Object(more)) = (&mut about, more) {
        about.extend(more);
        if entry.sandbox == "linux" {
            // One that has just ended has none any more.
            about.insert("machine".into(), guest_control::inspect(entry).unwrap_or_default());
        }
    }
    about
}

/// The settings that keep it small, as its cgroup has them.
fn limits(entry: &LedgerEntry) -> Map<String, Value> {
    const FILES: [&str; 9] = [
        "cpu.max",
        "cpu.weight",
        "cpu.cfs_quota_us",
        "cpu.cfs_period_us",
        "cpu.shares",
        "memory.max",
        "memory.limit_in_bytes",
        "memory.memsw.limit_in_bytes",
        "pids.max",
    ];
    let read = |path: &Path, file: &str| fs::read_to_string(path.join(file)).ok();
    let found = observe::cgroups(entry).flat_map(|path| {
        FILES.iter().filter_map(move |file| Some(((*file).into(), read(path, file)?.trim().into())))
    });
    found.collect()
}

fn consumed(entry: &LedgerEntry) -> Value {
    let consumed = observe::consumption(entry);
    json!({
        "cpu_us": consumed.cpu_time.as_micros() as u64,
        "memory_bytes": consumed.memory_bytes,
        "pids": consumed.pids,
    })
}

/// `net:[4026531840]`, by kind.
fn namespaces(pid: u32) -> Map<String, Value> {
    let kinds = ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"];
    let link = |kind: &str| fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok();
    let text = |kind: &str| link(kind).map(|link| link.display().to_string().into());
    kinds.into_iter().filter_map(|kind| Some((kind.into(), text(kind)?))).collect()
}

fn network(entry: &LedgerEntry, pid: u32) -> Value {
    let link = entry.resources.iter().find_map(|resource| match resource {
        Resource::Link(name) => Some(name.as_str()),
        _ => None,
    });
    let of = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    let kind = match link {
        Some(_) => "veth",
        None if of("self") == of(&pid.to_string()) => "host",
        None => "none",
    };
    json!({ "kind": kind, "link": link })
}

/// What is mounted where, of proc_pid_mountinfo(5).
fn mounts(pid: u32) -> Vec<Value> {
    let text = fs::read(format!("/proc/{pid}/mountinfo")).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Value> {
    let (before, after) = line.split_once(" - ")?;
    let before: Vec<&str> = before.split(' ').collect();
    let mut after = after.split(' ');
    let (kind, source) = (after.next()?, after.next()?);
    let (destination, options) = (before.get(4)?, before.get(5)?);
    Some(json!({ "destination": destination, "type": kind, "source": source, "options": options }))
}
