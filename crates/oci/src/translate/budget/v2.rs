//! The files of cgroup version 2 (Documentation/admin-guide/cgroup-v2.rst).

use container::cgroup::CgroupFile;

use super::{at_device, given, optional, or_max, required};
use crate::{
    config::{BlockIo, Cpu, Memory, Resources, ThrottleDevice},
    error::{Result, property},
};

/// The files for `changes`, in the order of writing. Some hold two values, of which the one that is not
/// changed is that of `all`.
pub(super) fn files(changes: &Resources, all: &Resources) -> Result<Vec<CgroupFile>> {
    let mut files = Vec::new();
    if let (Some(changed), Some(memory)) = (&changes.memory, &all.memory) {
        files.extend(of_memory(changed, memory)?);
    }
    if let (Some(changed), Some(cpu)) = (&changes.cpu, &all.cpu) {
        files.extend(of_cpu(changed, cpu)?);
    }
    let pids = changes.pids.as_ref().and_then(|pids| given(pids.limit));
    files.extend(pids.map(|it| required("pids.max", or_max(it))));
    if let Some(io) = &changes.block_io {
        files.extend(of_disks(io)?);
    }
    files.extend(super::hugepages(changes, "max"));
    let network = changes.network.as_ref();
    if network.is_some_and(|it| it.class_id.is_some() || !it.priorities.is_empty()) {
        let why = "cgroup version 2, which this host has, has no net_cls and net_prio";
        return Err(property("linux.resources.network", why));
    }
    files.extend(super::rdma(changes));
    // Last: the specification has them take effect over the others.
    for (name, value) in &changes.unified {
        if name.contains('/') || name.is_empty() {
            let why = format!("{name:?} is not a file's name");
            return Err(property("linux.resources.unified", why));
        }
        files.push(required(name, value));
    }
    Ok(files)
}

fn of_memory(changed: &Memory, all: &Memory) -> Result<Vec<CgroupFile>> {
    let lacking = [
        ("swappiness", changed.swappiness.is_some()),
        ("kernelTCP", given(changed.kernel_tcp).is_some_and(|it| it > 0)),
        ("disableOOMKiller", changed.disable_oom_killer == Some(true)),
    ];
    if let Some((name, _)) = lacking.iter().find(|(_, is_given)| *is_given) {
        let why = "cgroup version 2, which this host has, does not have it";
        return Err(property(format!("linux.resources.memory.{name}"), why));
    }
    let mut files = Vec::new();
    let limit = given(changed.limit);
    files.extend(limit.map(|it| required("memory.max", or_max(it))));
    if limit.is_some() || given(changed.swap).is_some() {
        let alone = swap_alone(given(all.swap), given(all.limit))?;
        // A kernel that does not count swap has none of the file; one without swap gives none.
        files.extend(alone.map(|it| match it {
            -1 | 0 => optional("memory.swap.max", or_max(it)),
            _ => required("memory.swap.max", it),
        }));
    }
    let reservation = given(changed.reservation);
    files.extend(reservation.map(|it| required("memory.low", or_max(it))));
    Ok(files)
}

/// Version 1 counts both together, version 2 swap alone.
pub(super) fn swap_alone(swap: Option<i64>, limit: Option<i64>) -> Result<Option<i64>> {
    let refused = |why: &str| Err(property("linux.resources.memory.swap", why));
    match (swap, limit) {
        (None, Some(-1)) => Ok(Some(-1)),
        (None, _) => Ok(None),
        (Some(-1), _) => Ok(Some(-1)),
        (_, None | Some(-1)) => refused("it needs a limit beside it"),
        (Some(swap), Some(limit)) => Ok(Some(swap.saturating_sub(limit).max(0))),
    }
}

fn of_cpu(changed: &Cpu, all: &Cpu) -> Result<Vec<CgroupFile>> {
    let (period, runtime) = (changed.realtime_period, changed.realtime_runtime);
    if period.is_some_and(|it| it != 0) || given(runtime).is_some() {
        let why = "cgroup version 2, which this host has, limits no real-time programs";
        return Err(property("linux.resources.cpu.realtimeRuntime", why));
    }
    let mut files = Vec::new();
    let shares = changed.shares.filter(|it| *it != 0);
    files.extend(shares.map(|it| required("cpu.weight", weight(it))));
    files.extend(changed.idle.map(|it| required("cpu.idle", it)));
    // Less than the quota, old and new.
    files.extend(changed.burst.map(|it| required("cpu.max.burst", it)));
    let positive = |it: &u64| *it != 0;
    if given(changed.quota).is_some() || changed.period.filter(positive).is_some() {
        let quota = given(all.quota).map_or("max".into(), or_max);
        let period = all.period.filter(positive).map_or(String::new(), |it| format!(" {it}"));
        files.push(required("cpu.max", quota + &period));
    }
    files.extend(super::cpusets(changed));
    Ok(files)
}

fn of_disks(io: &BlockIo) -> Result<Vec<CgroupFile>> {
    super::check_weights(io)?;
    let mut files = Vec::new();
    // The file of the I/O scheduler bfq, or that of the controller: 10 to 1000 there, 1 to 10000 here, as
    // in crun and runc.
    let scaled = |it: u16| 1 + (u64::from(it.clamp(10, 1000)) - 10) * 9999 / 990;
    let instead = |value: String, other: String| CgroupFile {
        instead: Some(("io.weight".into(), other)),
        ..required("io.bfq.weight", value)
    };
    let given = io.weight.filter(|it| *it != 0);
    files.extend(given.map(|it| instead(it.to_string(), scaled(it).to_string())));
    for device in &io.weight_device {
        let weight = device.weight.unwrap_or_default();
        let line = |value: u64| at_device(device.major, device.minor, value);
        files.push(instead(line(weight.into()), line(scaled(weight))));
    }
    let throttles = [
        ("rbps", &io.throttle_read_bps_device),
        ("wbps", &io.throttle_write_bps_device),
        ("riops", &io.throttle_read_iops_device),
        ("wiops", &io.throttle_write_iops_device),
    ];
    for (name, devices) in throttles {
        let line = |one: &ThrottleDevice| {
            // None is 0 on version 1.
            let rate = if one.rate == 0 { "max".into() } else { one.rate.to_string() };
            at_device(one.major, one.minor, format!("{name}={rate}"))
        };
        files.extend(devices.iter().map(|one| required("io.max", line(one))));
    }
    Ok(files)
}

/// From 2..262144 to 1..10000, as in Kubernetes, crun and runc.
pub(super) fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn resources(value: Value) -> Resources {
        serde_json::from_value(value).unwrap()
    }

    fn lines(changes: Value, all: Value) -> Vec<String> {
        let line = |file: &CgroupFile| format!("{}={}", file.name, file.value);
        files(&resources(changes), &resources(all)).unwrap().iter().map(line).collect()
    }

    #[test]
    fn shares_and_weights_have_the_same_ends() {
        for (shares, expected) in [(0, 1), (2, 1), (1024, 39), (262_144, 10_000), (1 << 40, 10_000)]
        {
            assert_eq!(weight(shares), expected);
        }
    }

    #[test]
    fn swap_is_what_is_beyond_memory() {
        let memory = json!({ "memory": { "limit": 100, "swap": 150 } });
        assert_eq!(lines(memory.clone(), memory), ["memory.max=100", "memory.swap.max=50"]);
        assert!(swap_alone(Some(1), None).is_err());
        assert_eq!(swap_alone(None, Some(-1)).unwrap(), Some(-1));
        // The limit alone is changed: both together stay what they were.
        let (changes, all) = (
            json!({ "memory": { "limit": 120 } }),
            json!({ "memory": { "limit": 120, "swap": 150 } }),
        );
        assert_eq!(lines(changes, all), ["memory.max=120", "memory.swap.max=30"]);
    }

    #[test]
    fn a_period_keeps_its_quota_and_a_quota_its_period() {
        let all = || json!({ "cpu": { "quota": 500, "period": 1000 } });
        assert_eq!(lines(json!({ "cpu": { "period": 1000 } }), all()), ["cpu.max=500 1000"]);
        let quota = || json!({ "cpu": { "quota": 500 } });
        assert_eq!(lines(quota(), quota()), ["cpu.max=500"]);
        assert_eq!(lines(json!({ "cpu": { "shares": 2 } }), all()), ["cpu.weight=1"]);
    }

    #[test]
    fn what_is_unified_comes_last() {
        let given = || json!({ "unified": { "memory.oom.group": "1", "pids.max": "7" }, "pids": { "limit": 9 } });
        let expected = ["pids.max=9", "memory.oom.group=1", "pids.max=7"];
        assert_eq!(lines(given(), given()), expected);
    }

    #[test]
    fn what_version_2_lacks_is_refused_by_its_property() {
        for (given, name) in [
            (json!({ "memory": { "swappiness": 1 } }), "memory.swappiness"),
            (json!({ "memory": { "disableOOMKiller": true } }), "memory.disableOOMKiller"),
            (json!({ "cpu": { "realtimeRuntime": 5 } }), "cpu.realtimeRuntime"),
            (json!({ "network": { "classID": 5 } }), "network"),
            (json!({ "unified": { "../x": "5" } }), "unified"),
        ] {
            let all = resources(given);
            let error = files(&all, &all).unwrap_err().to_string();
            assert!(error.contains(&format!("linux.resources.{name}")), "{error}");
        }
    }
}
