//! The files of cgroup version 2 (Documentation/admin-guide/cgroup-v2.rst).

use container::cgroup::CgroupFile;

use super::{or_max, required};
use crate::{
    config::{Memory, Resources},
    error::{Result, property},
};

pub(super) fn files(resources: &Resources) -> Result<Vec<CgroupFile>> {
    let mut files = Vec::new();
    if let Some(memory) = &resources.memory {
        files.extend(of_memory(memory)?);
    }
    if let Some(cpu) = &resources.cpu {
        files.extend(cpu.shares.filter(|it| *it != 0).map(|it| required("cpu.weight", weight(it))));
        files.extend(cpu.idle.map(|it| required("cpu.idle", it)));
        let (quota, period) = (cpu.quota.filter(|it| *it != 0), cpu.period.filter(|it| *it != 0));
        if quota.is_some() || period.is_some() {
            let quota = quota.map_or("max".into(), or_max);
            files.push(required("cpu.max", format!("{quota} {}", period.unwrap_or(100_000))));
        }
        files.extend(cpu.burst.map(|it| required("cpu.max.burst", it)));
        let lists = [("cpuset.cpus", &cpu.cpus), ("cpuset.mems", &cpu.mems)];
        for (name, list) in lists {
            files.extend(list.iter().filter(|it| !it.is_empty()).map(|it| required(name, it)));
        }
        if cpu.realtime_period.is_some() || cpu.realtime_runtime.is_some() {
            let why = "cgroup version 2, which this host has, limits no real-time programs";
            return Err(property("linux.resources.cpu.realtimeRuntime", why));
        }
    }
    let pids = resources.pids.as_ref().and_then(|pids| pids.limit).filter(|it| *it != 0);
    files.extend(pids.map(|it| required("pids.max", or_max(it))));
    if let Some(io) = &resources.block_io {
        let given = io.weight.filter(|it| *it != 0);
        let optional = |file| CgroupFile { is_optional: true, ..file };
        files.extend(given.map(|it| optional(required("io.bfq.weight", it))));
        // 10 to 1000 there, 1 to 10000 here, as in crun and runc.
        let scaled = |it: u16| 1 + (u64::from(it.clamp(10, 1000)) - 10) * 9999 / 990;
        files.extend(given.map(|it| optional(required("io.weight", scaled(it)))));
        let throttles = [
            ("rbps", &io.throttle_read_bps_device),
            ("wbps", &io.throttle_write_bps_device),
            ("riops", &io.throttle_read_iops_device),
            ("wiops", &io.throttle_write_iops_device),
        ];
        for (name, devices) in throttles {
            files.extend(devices.iter().map(|one| {
                required("io.max", format!("{}:{} {name}={}", one.major, one.minor, one.rate))
            }));
        }
    }
    for limit in &resources.hugepage_limits {
        files.push(required(format!("hugetlb.{}.max", limit.page_size), limit.limit));
    }
    if resources
        .network
        .as_ref()
        .is_some_and(|it| it.class_id.is_some() || !it.priorities.is_empty())
    {
        let why = "cgroup version 2, which this host has, has no net_cls and net_prio";
        return Err(property("linux.resources.network", why));
    }
    files.extend(rdma(resources));
    // Last: the specification has them take effect over the others.
    for (name, value) in &resources.unified {
        if name.contains('/') {
            return Err(property(
                "linux.resources.unified",
                format!("{name:?} is not a file's name"),
            ));
        }
        files.push(required(name, value));
    }
    Ok(files)
}

fn of_memory(memory: &Memory) -> Result<Vec<CgroupFile>> {
    let limit = memory.limit.filter(|it| *it != 0);
    let mut files: Vec<CgroupFile> =
        limit.map(|it| required("memory.max", or_max(it))).into_iter().collect();
    if let Some(swap) = memory.swap.filter(|it| *it != 0) {
        // Version 1 counts both together, version 2 swap alone.
        let alone = match (swap, limit) {
            (-1, _) => -1,
            (_, None | Some(-1)) => {
                return Err(property("linux.resources.memory.swap", "it needs a limit beside it"));
            }
            (swap, Some(limit)) if swap < limit => {
                return Err(property("linux.resources.memory.swap", "it is less than the limit"));
            }
            (swap, Some(limit)) => swap - limit,
        };
        files.push(CgroupFile { is_optional: true, ..required("memory.swap.max", or_max(alone)) });
    }
    let reservation = memory.reservation.filter(|it| *it != 0);
    files.extend(reservation.map(|it| required("memory.low", or_max(it))));
    Ok(files)
}

/// From 2..262144 to 1..10000, as in Kubernetes, crun and runc.
fn weight(shares: u64) -> u64 {
    1 + (shares.clamp(2, 262_144) - 2) * 9999 / 262_142
}

/// The same file in both versions.
pub(super) fn rdma(resources: &Resources) -> impl Iterator<Item = CgroupFile> + '_ {
    resources.rdma.iter().map(|(device, limits)| {
        let mut value = device.clone();
        let given = [("hca_handle", limits.hca_handles), ("hca_object", limits.hca_objects)];
        for (name, number) in given {
            value += &number.map_or(String::new(), |number| format!(" {name}={number}"));
        }
        required("rdma.max", value)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_weights_have_the_same_ends() {
        for (shares, expected) in [(0, 1), (2, 1), (1024, 39), (262_144, 10_000), (1 << 40, 10_000)]
        {
            assert_eq!(weight(shares), expected);
        }
    }

    #[test]
    fn swap_is_what_is_beyond_memory() {
        let memory = Memory { limit: Some(100), swap: Some(150), ..Memory::default() };
        let files = of_memory(&memory).unwrap();
        let values: Vec<_> = files.iter().map(|file| (&*file.name, &*file.value)).collect();
        assert_eq!(values, [("memory.max", "100"), ("memory.swap.max", "50")]);
        assert!(of_memory(&Memory { swap: Some(1), ..Memory::default() }).is_err());
    }
}
