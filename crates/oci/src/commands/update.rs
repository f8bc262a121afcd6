//! `update`: other limits for a container that exists.

use std::{fs, io::Read as _, path::Path};

use container::State;
use serde_json::Value;

use crate::{
    config::Resources,
    error::{Error, Result, file, property},
    options::Update,
    record::Record,
    store::Store,
    translate::budget,
};

pub(super) fn update(store: &Store, options: &Update) -> Result<()> {
    let directory = store.open(&options.id)?;
    let mut record = Record::load(&directory.path)?;
    let changes = match &options.resources {
        Some(path) => read(path)?,
        None => of_options(options)?,
    };
    let all = merged(&record.resources, &changes)
        .map_err(|error| property("linux.resources", error.to_string()))?;
    let state = record.living()?;
    let files = budget::files(&changes, &all)?;
    check_usage(state, &changes, all.memory.as_ref().and_then(|it| it.check_before_update))?;
    if let Some(unit) = &record.unit {
        let is_v2 = budget::host_is_v2();
        let mut properties = budget::systemd::properties(&changes, &all, is_v2)?;
        if !changes.devices.is_empty() && !is_v2 {
            properties.extend(budget::systemd::of_devices(&budget::devices(&all)));
        }
        unit.set(properties)?;
    }
    state.write_cgroup(&files)?;
    if !changes.devices.is_empty() {
        let (old, new) = (budget::devices(&record.resources), budget::devices(&all));
        state.set_devices(&old, &new)?;
    }
    record.resources = all;
    record.save(&directory)
}

/// Version 2 kills until a new limit holds, unless asked not to (`checkBeforeUpdate`); version 1 refuses
/// one that does not.
fn check_usage(state: &State, changes: &Resources, is_asked: Option<bool>) -> Result<()> {
    let limit = changes.memory.as_ref().and_then(|it| it.limit).unwrap_or_default();
    let limit = u64::try_from(limit).unwrap_or_default();
    let used = || state.read_cgroup("memory.current")?.trim().parse::<u64>().ok();
    match used().filter(|_| is_asked == Some(true) && limit > 0) {
        Some(used) if used > limit => {
            let why = format!("{limit} is less than what is in use, {used}");
            Err(property("linux.resources.memory.limit", why))
        }
        _ => Ok(()),
    }
}

/// What holds with the changes: all that they do not mention stays.
fn merged(old: &Resources, changes: &Resources) -> serde_json::Result<Resources> {
    let mut all = serde_json::to_value(old)?;
    merge(&mut all, serde_json::to_value(changes)?);
    let mut all: Resources = serde_json::from_value(all)?;
    if let (Some(all), Some(changed)) = (&mut all.memory, &changes.memory)
        && (changed.limit, changed.swap) == (Some(-1), None)
    {
        // Without a limit of memory there is none of both together.
        all.swap = all.swap.map(|_| -1);
    }
    Ok(all)
}

fn merge(old: &mut Value, new: Value) {
    match (old, new) {
        (_, Value::Null) => {}
        (Value::Object(old), Value::Object(new)) => {
            for (name, value) in new {
                match old.get_mut(&name) {
                    // Rules depend on each other.
                    Some(_) if name == "devices" && value.as_array().is_some_and(Vec::is_empty) => {
                    }
                    Some(own) if name == "devices" => *own = value,
                    Some(own) => merge(own, value),
                    None => drop(old.insert(name, value)),
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            old.retain(|one| !new.iter().any(|other| subject(other) == subject(one)));
            old.extend(new);
        }
        (old, new) => *old = new,
    }
}

/// An entry of a list without its limit: the disk, the page size, the link.
fn subject(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Value::Object(fields) = &mut entry {
        let limits = ["rate", "limit", "weight", "leafWeight", "priority"];
        fields.retain(|name, _| !limits.contains(&name.as_str()));
    }
    entry
}

fn read(path: &Path) -> Result<Resources> {
    let mut text = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_end(&mut text).map_err(file("read", "standard input"))?;
    } else {
        text = fs::read(path).map_err(file("read", path))?;
    }
    serde_json::from_slice(&text)
        .map_err(|error| Error::Invalid { path: path.to_owned(), why: error.to_string() })
}

fn of_options(options: &Update) -> Result<Resources> {
    if options.kernel_memory.is_some_and(|bytes| bytes != 0) {
        let why =
            "the kernel counts it as memory, and limits it no longer alone (since Linux 5.16)";
        return Err(property("--kernel-memory", why));
    }
    let mut resources = Resources::default();
    let memory = resources.memory.get_or_insert_default();
    memory.limit = options.memory;
    memory.swap = options.memory_swap;
    memory.reservation = options.memory_reservation;
    memory.kernel_tcp = options.kernel_memory_tcp;
    let cpu = resources.cpu.get_or_insert_default();
    cpu.quota = options.cpu_quota;
    cpu.period = options.cpu_period;
    cpu.burst = options.cpu_burst;
    cpu.shares = options.cpu_share;
    cpu.idle = options.cpu_idle;
    cpu.realtime_period = options.cpu_rt_period;
    cpu.realtime_runtime = options.cpu_rt_runtime;
    cpu.cpus.clone_from(&options.cpuset_cpus);
    cpu.mems.clone_from(&options.cpuset_mems);
    resources.pids.get_or_insert_default().limit = options.pids_limit;
    resources.block_io.get_or_insert_default().weight = options.blkio_weight;
    Ok(resources)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_changed_stays() {
        let of = |value| serde_json::from_value::<Resources>(value).unwrap();
        let old = of(json!({
            "devices": [{ "allow": false }],
            "memory": { "limit": 1, "swap": 2 },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 1 }, { "pageSize": "1GB", "limit": 2 }],
            "unified": { "a.b": "1" },
        }));
        let changes = of(json!({
            "memory": { "limit": 5 },
            "pids": { "limit": 7 },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 9 }],
            "unified": { "c.d": "2" },
        }));
        let all = merged(&old, &changes).unwrap();
        let memory = all.memory.as_ref().unwrap();
        assert_eq!((memory.limit, memory.swap), (Some(5), Some(2)));
        assert_eq!(all.pids.unwrap().limit, Some(7));
        assert_eq!(all.devices, old.devices);
        let pages: Vec<_> =
            all.hugepage_limits.iter().map(|it| (&*it.page_size, it.limit)).collect();
        assert_eq!(pages, [("1GB", 2), ("2MB", 9)]);
        assert_eq!(all.unified.len(), 2);
        let changes = of(json!({ "devices": [{ "allow": true }] }));
        assert_eq!(merged(&old, &changes).unwrap().devices, changes.devices);
    }
}
