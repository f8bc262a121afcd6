//! The files of cgroup version 1 (Documentation/admin-guide/cgroup-v1).

use container::cgroup::CgroupFile;

use super::{at_device, given, optional, or_max, required};
use crate::{
    config::{BlockIo, Cpu, Memory, Resources},
    error::{Result, property},
};

/// The files for `changes`, in the order of writing.
pub(super) fn files(changes: &Resources) -> Result<Vec<CgroupFile>> {
    if !changes.unified.is_empty() {
        return Err(property("linux.resources.unified", "this host has cgroup version 1"));
    }
    let mut files = Vec::new();
    if let Some(memory) = &changes.memory {
        of_memory(memory, &mut files)?;
    }
    if let Some(cpu) = &changes.cpu {
        files.extend(of_cpu(cpu));
    }
    let pids = changes.pids.as_ref().and_then(|pids| given(pids.limit));
    files.extend(pids.map(|it| required("pids.max", or_max(it))));
    if let Some(io) = &changes.block_io {
        files.extend(of_disks(io)?);
    }
    files.extend(super::hugepages(changes, "limit_in_bytes"));
    if let Some(network) = &changes.network {
        files.extend(network.class_id.map(|id| required("net_cls.classid", id)));
        files.extend(
            network.priorities.iter().map(|one| {
                required("net_prio.ifpriomap", format!("{} {}", one.name, one.priority))
            }),
        );
    }
    files.extend(super::rdma(changes));
    Ok(files)
}

/// Memory before memory and swap: the sum may not be less than its part.
fn of_memory(memory: &Memory, files: &mut Vec<CgroupFile>) -> Result<()> {
    let (limit, swap) = (given(memory.limit), given(memory.swap));
    files.extend(limit.map(|it| required("memory.limit_in_bytes", it)));
    match swap {
        // Nor may memory have no limit while the sum has one; a kernel that does not count swap has none.
        Some(-1) => files.push(optional("memory.memsw.limit_in_bytes", -1)),
        None if limit == Some(-1) => files.push(optional("memory.memsw.limit_in_bytes", -1)),
        swap => files.extend(swap.map(|it| required("memory.memsw.limit_in_bytes", it))),
    }
    let reservation = given(memory.reservation);
    files.extend(reservation.map(|it| required("memory.soft_limit_in_bytes", it)));
    let tcp = given(memory.kernel_tcp);
    files.extend(tcp.map(|it| required("memory.kmem.tcp.limit_in_bytes", it)));
    if let Some(swappiness) = memory.swappiness {
        if swappiness > 100 {
            let why = format!("{swappiness} is not from 0 to 100");
            return Err(property("linux.resources.memory.swappiness", why));
        }
        files.push(required("memory.swappiness", swappiness));
    }
    let waits = memory.disable_oom_killer;
    files.extend(waits.map(|waits| required("memory.oom_control", u8::from(waits))));
    Ok(())
}

fn of_cpu(cpu: &Cpu) -> Vec<CgroupFile> {
    let mut files = Vec::new();
    files.extend(cpu.shares.filter(|it| *it != 0).map(|it| required("cpu.shares", it)));
    files.extend(cpu.idle.map(|it| required("cpu.idle", it)));
    let period = cpu.realtime_period.filter(|it| *it != 0);
    files.extend(period.map(|it| required("cpu.rt_period_us", it)));
    let runtime = given(cpu.realtime_runtime);
    files.extend(runtime.map(|it| required("cpu.rt_runtime_us", it)));
    let period = cpu.period.filter(|it| *it != 0);
    files.extend(period.map(|it| required("cpu.cfs_period_us", it)));
    // Less than the quota, old and new.
    files.extend(cpu.burst.map(|it| required("cpu.cfs_burst_us", it)));
    files.extend(given(cpu.quota).map(|it| required("cpu.cfs_quota_us", it)));
    files.extend(super::cpusets(cpu));
    files
}

fn of_disks(io: &BlockIo) -> Result<Vec<CgroupFile>> {
    super::check_weights(io)?;
    let mut files = Vec::new();
    // The file of the I/O scheduler bfq, or that of older kernels' cfq.
    let instead = |name: &str, other: &str, value: String| CgroupFile {
        instead: Some((other.into(), value.clone())),
        ..required(name, value)
    };
    let weight = io.weight.filter(|it| *it != 0);
    files.extend(weight.map(|it| instead("blkio.bfq.weight", "blkio.weight", it.to_string())));
    for device in &io.weight_device {
        let weight = device.weight.unwrap_or_default();
        let value = at_device(device.major, device.minor, weight);
        files.push(instead("blkio.bfq.weight_device", "blkio.weight_device", value));
    }
    let throttles = [
        ("blkio.throttle.read_bps_device", &io.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", &io.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", &io.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", &io.throttle_write_iops_device),
    ];
    for (name, devices) in throttles {
        let line = |one: &crate::config::ThrottleDevice| at_device(one.major, one.minor, one.rate);
        files.extend(devices.iter().map(|one| required(name, line(one))));
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn lines(value: Value) -> Vec<String> {
        let resources = serde_json::from_value(value).unwrap();
        let line = |file: &CgroupFile| format!("{}={}", file.name, file.value);
        files(&resources).unwrap().iter().map(line).collect()
    }

    #[test]
    fn zero_is_nothing_given_and_minus_one_no_limit() {
        let zero = json!({ "memory": { "limit": 0, "swap": 0, "reservation": 0 },
            "cpu": { "shares": 0, "quota": 0, "period": 0 }, "pids": { "limit": 0 } });
        assert_eq!(lines(zero), Vec::<String>::new());
        let none =
            json!({ "memory": { "limit": -1 }, "cpu": { "quota": -1 }, "pids": { "limit": -1 } });
        let expected = [
            "memory.limit_in_bytes=-1",
            "memory.memsw.limit_in_bytes=-1",
            "cpu.cfs_quota_us=-1",
            "pids.max=max",
        ];
        assert_eq!(lines(none), expected);
    }

    #[test]
    fn disks_and_pages_have_a_line_each() {
        let given = json!({
            "blockIO": {
                "weight": 100,
                "weightDevice": [{ "major": 8, "minor": 0, "weight": 200 }],
                "throttleReadIOPSDevice": [{ "major": 8, "minor": 0, "rate": 5 }],
            },
            "hugepageLimits": [{ "pageSize": "2MB", "limit": 4096 }],
            "rdma": { "mlx": { "hcaHandles": 3 }, "empty": {} },
        });
        let expected = [
            "blkio.bfq.weight=100",
            "blkio.bfq.weight_device=8:0 200",
            "blkio.throttle.read_iops_device=8:0 5",
            "hugetlb.2MB.limit_in_bytes=4096",
            "hugetlb.2MB.rsvd.limit_in_bytes=4096",
            "rdma.max=mlx hca_handle=3",
        ];
        assert_eq!(lines(given), expected);
    }
}
