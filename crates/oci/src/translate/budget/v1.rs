//! The files of cgroup version 1 (Documentation/admin-guide/cgroup-v1).

use container::cgroup::CgroupFile;

use super::{or_max, required};
use crate::{
    config::{Memory, Resources},
    error::{Result, property},
};

pub(super) fn files(resources: &Resources) -> Result<Vec<CgroupFile>> {
    if !resources.unified.is_empty() {
        return Err(property("linux.resources.unified", "this host has cgroup version 1"));
    }
    let mut files = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        files.extend(value.map(|value| required(name, value)));
    };
    if let Some(memory) = &resources.memory {
        of_memory(memory, &mut add);
    }
    if let Some(cpu) = &resources.cpu {
        add("cpu.shares", cpu.shares.map(|it| it.to_string()));
        add("cpu.rt_period_us", cpu.realtime_period.map(|it| it.to_string()));
        add("cpu.rt_runtime_us", cpu.realtime_runtime.map(|it| it.to_string()));
        add("cpu.cfs_period_us", cpu.period.filter(|it| *it > 0).map(|it| it.to_string()));
        add("cpu.cfs_quota_us", cpu.quota.filter(|it| *it != 0).map(|it| it.to_string()));
        add("cpu.cfs_burst_us", cpu.burst.map(|it| it.to_string()));
        add("cpu.idle", cpu.idle.map(|it| it.to_string()));
        add("cpuset.cpus", cpu.cpus.clone().filter(|it| !it.is_empty()));
        add("cpuset.mems", cpu.mems.clone().filter(|it| !it.is_empty()));
    }
    let pids = resources.pids.as_ref().and_then(|pids| pids.limit);
    add("pids.max", pids.filter(|it| *it != 0).map(or_max));
    if let Some(io) = &resources.block_io {
        let weight = io.weight.filter(|it| *it != 0);
        files.extend(
            weight.map(|it| CgroupFile { is_optional: true, ..required("blkio.weight", it) }),
        );
        files.extend(
            weight.map(|it| CgroupFile { is_optional: true, ..required("blkio.bfq.weight", it) }),
        );
        for device in &io.weight_device {
            let value = device.weight.unwrap_or_default();
            let value = format!("{}:{} {value}", device.major, device.minor);
            files.push(required("blkio.weight_device", value));
        }
        let throttles = [
            ("blkio.throttle.read_bps_device", &io.throttle_read_bps_device),
            ("blkio.throttle.write_bps_device", &io.throttle_write_bps_device),
            ("blkio.throttle.read_iops_device", &io.throttle_read_iops_device),
            ("blkio.throttle.write_iops_device", &io.throttle_write_iops_device),
        ];
        for (name, devices) in throttles {
            files.extend(devices.iter().map(|device| {
                required(name, format!("{}:{} {}", device.major, device.minor, device.rate))
            }));
        }
    }
    for limit in &resources.hugepage_limits {
        files.push(required(format!("hugetlb.{}.limit_in_bytes", limit.page_size), limit.limit));
    }
    if let Some(network) = &resources.network {
        files.extend(network.class_id.map(|id| required("net_cls.classid", id)));
        files.extend(
            network.priorities.iter().map(|one| {
                required("net_prio.ifpriomap", format!("{} {}", one.name, one.priority))
            }),
        );
    }
    files.extend(super::v2::rdma(resources));
    Ok(files)
}

/// Memory before memory and swap: the sum may not be less than its part.
fn of_memory(memory: &Memory, add: &mut dyn FnMut(&str, Option<String>)) {
    let given = |value: Option<i64>| value.filter(|it| *it != 0).map(|it| it.to_string());
    add("memory.limit_in_bytes", given(memory.limit));
    add("memory.memsw.limit_in_bytes", given(memory.swap));
    add("memory.soft_limit_in_bytes", given(memory.reservation));
    add("memory.kmem.tcp.limit_in_bytes", given(memory.kernel_tcp));
    add("memory.swappiness", memory.swappiness.map(|it| it.to_string()));
    let disabled = memory.disable_oom_killer.filter(|it| *it);
    add("memory.oom_control", disabled.map(|_| "1".into()));
}
