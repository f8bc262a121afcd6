//! Question 2: what a container may consume, by the numbers of the kernel and of another library.

mod common;

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
    time::{Duration, Instant},
};

use cgroups_rs::{
    Controller, MaxValue, cpu::CpuController, memory::MemController, pid::PidController,
};
use common::{Need, limited, ready_with, run, skip};
use container::{Container, Namespace, privileges::CapabilitySet};
use nix::sys::stat::{major, minor};
use sandbox::{Builtin, CpuQuota, Limits, Milestone, Resource, Sandbox as _, Workload};

#[test]
fn too_much_memory_ends_in_137() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    if has_swap_without_limit() {
        return skip("this kernel limits no swap, and there is some to go on in");
    }
    let container = Container::default().limits(limited());
    let outcome = container.run(&Workload::builtin(Builtin::Touch, &[20_000])).unwrap();
    assert_eq!(outcome.status.code(), 137);
}

/// Whether a group that has no more memory may go on in swap: there is some, and the kernel does
/// not count whose it is.
fn has_swap_without_limit() -> bool {
    let name = format!("swap-{}", std::process::id());
    let container = Container::default().named(&*name).limits(limited());
    let instance = container.spawn(&Workload::builtin(Builtin::Idle, &[])).unwrap();
    let has_limit = container::find(&name).unwrap().resources.iter().any(|resource| {
        let files = ["memory.swap.max", "memory.memsw.limit_in_bytes"];
        matches!(resource, Resource::Cgroup(path) if files.iter().any(|it| path.join(it).exists()))
    });
    drop(instance);
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    !has_limit && swaps.lines().count() > 1
}

#[test]
fn more_processes_than_the_limit_are_refused() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let container = Container::default().limits(limited());
    let outcome = run(&container, "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 1 & done; wait");
    let errors = String::from_utf8_lossy(&outcome.errors);
    assert!(errors.contains("fork"), "{errors}");
}

#[test]
fn half_a_processor_is_half_of_the_time() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let container = Container::default().limits(limited());
    let instance = container.spawn(&Workload::builtin(Builtin::Spin, &[u64::MAX])).unwrap();
    std::thread::sleep(Duration::from_secs(1));
    instance.control().kill();
    let outcome = instance.wait().unwrap();
    let running = outcome.timeline.since_start(Milestone::Exited).unwrap();
    let used = outcome.usage.cpu_time.unwrap();
    // The quota is given out by the period of 100 ms: one of them may have been spent just before
    // the end, and what the start took is not held back.
    assert!(used < running.mul_f64(0.5) + Duration::from_millis(100), "{used:?} of {running:?}");
}

#[test]
fn the_kernel_counts_how_often_a_quota_held_a_container_back() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let name = format!("throttled-{}", std::process::id());
    let limits = Limits { cpu_quota: Some(CpuQuota::cpus(0.1).unwrap()), ..Limits::default() };
    let container = Container::default().named(&*name).limits(limits);
    let instance = container.spawn(&Workload::builtin(Builtin::Spin, &[u64::MAX])).unwrap();
    let resources = container::find(&name).unwrap().resources;
    let statistics = |resource: &Resource| match resource {
        Resource::Cgroup(path) => fs::read_to_string(path.join("cpu.stat")).ok(),
        _ => None,
    };
    let throttled = || {
        let text = resources.iter().find_map(statistics).expect("cpu.stat is where a quota is");
        let count = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        count.expect("the kernel counts").parse::<u64>().unwrap()
    };
    let give_up = Instant::now() + Duration::from_secs(20);
    while throttled() < 2 {
        assert!(Instant::now() < give_up, "a tenth of a CPU, and never held back");
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(instance);
}

#[test]
fn a_limit_too_small_to_start_in_fails_a_step_and_not_the_launcher() {
    if !ready_with(&[Need::Limits, Need::UserNamespace]) {
        return;
    }
    for user in [false, true] {
        let limits = Limits { memory_bytes: Some(4096), ..Limits::default() };
        let mut container = Container::default().limits(limits);
        container.spec.boundary.namespaces.user = Namespace::new_if(user);
        let error = container.run(&Workload::builtin(Builtin::Hello, &[])).unwrap_err();
        assert!(error.fix().is_some_and(|fix| fix.contains("--memory")), "{error:?}");
    }
}

/// The cgroup of a container as cgroups-rs finds it; the reason where it cannot.
fn by_cgroups_rs(name: &str) -> Result<cgroups_rs::Cgroup, String> {
    let hierarchy = cgroups_rs::hierarchies::auto();
    let folder = format!("isolab-{name}");
    let found = if hierarchy.v2() {
        // Version 2 has one directory for all; the ledger knows below which other one.
        let resources = container::find(name).unwrap().resources;
        let relative = |resource: &Resource| match resource {
            Resource::Cgroup(path) => path.strip_prefix(hierarchy.root()).ok().map(Path::to_owned),
            _ => None,
        };
        let path = resources.iter().find_map(relative).ok_or("it is mounted somewhere else")?;
        cgroups_rs::Cgroup::load(hierarchy, path)
    } else {
        let own = cgroups_rs::cgroup::get_cgroups_relative_paths().unwrap();
        cgroups_rs::Cgroup::load_with_relative_paths(hierarchy, folder, own)
    };
    let there = |of: &dyn Controller| Path::new(of.path()).join("cgroup.procs").exists();
    let all = found.controller_of::<CpuController>().is_some_and(|it| there(it))
        && found.controller_of::<MemController>().is_some_and(|it| there(it))
        && found.controller_of::<PidController>().is_some_and(|it| there(it));
    all.then_some(found).ok_or("it knows either version, and not this mixture of both".into())
}

#[test]
fn another_library_reads_the_same_limits() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let name = format!("read-{}", std::process::id());
    let limits = Limits {
        cpu_quota: Some(CpuQuota {
            quota: Duration::from_millis(30),
            period: Duration::from_millis(50),
        }),
        ..limited()
    };
    let container = Container::default().named(&*name).limits(limits);
    let instance = container.spawn(&Workload::builtin(Builtin::Idle, &[])).unwrap();
    let cgroup = match by_cgroups_rs(&name) {
        Ok(cgroup) => cgroup,
        Err(reason) => return println!("skipped: cgroups-rs does not find it: {reason}"),
    };
    let memory: &MemController = cgroup.controller_of().unwrap();
    assert_eq!(memory.memory_stat().limit_in_bytes, 32 << 20);
    // Version 1 counts memory and swap together, version 2 swap alone; a kernel may count neither.
    let (file, bytes) = match cgroup.v2() {
        true => ("memory.swap.max", 0),
        false => ("memory.memsw.limit_in_bytes", 32 << 20),
    };
    if Path::new(memory.path()).join(file).exists() {
        assert_eq!(memory.memswap().limit_in_bytes, bytes);
    }
    let cpu: &CpuController = cgroup.controller_of().unwrap();
    assert_eq!((cpu.cfs_quota().unwrap(), cpu.cfs_period().unwrap()), (30_000, 50_000));
    assert_eq!(cpu.shares().unwrap(), if cgroup.v2() { 50 } else { 512 });
    let pids: &PidController = cgroup.controller_of().unwrap();
    assert_eq!(pids.get_pid_max().unwrap(), MaxValue::Value(8));
    assert_eq!(pids.get_pid_current().unwrap(), 1);
    drop(instance);
}

#[test]
fn a_device_that_a_container_has_no_business_with_cannot_be_opened() {
    if !ready_with(&[Need::Limits]) {
        return;
    }
    let Some((kind, number)) = foreign_device() else {
        return skip("this host has no device that root can open and no container should");
    };
    // With the power to make any device, in a file system that shows devices: only its cgroup is
    // left to refuse it.
    let mut container = Container::default();
    let capabilities = &mut container.spec.power.capabilities;
    let mknod = CapabilitySet::of(["mknod"]).unwrap();
    for set in
        [&mut capabilities.bounding, &mut capabilities.effective, &mut capabilities.permitted]
    {
        set.0 |= mknod.0;
    }
    let script = format!(
        "mknod /dev/nothing c 1 5 && head -c 1 /dev/nothing | wc -c && \
         mknod /dev/foreign {kind} {number} && : < /dev/foreign && echo opened"
    );
    let outcome = run(&container, &script);
    let errors = String::from_utf8_lossy(&outcome.errors).into_owned();
    assert_eq!(common::text(&outcome), "1", "{errors}");
    assert!(errors.contains("Operation not permitted"), "{errors}");
    container.spec.budget.devices = Vec::new();
    let outcome = run(&container, &script);
    assert_eq!(common::text(&outcome), "1\nopened", "{outcome:?}");
}

/// A block device of this host's which root can open, and no container should: its kind and numbers
/// as mknod(1) has them.
fn foreign_device() -> Option<(char, String)> {
    fs::read_dir("/dev").unwrap().flatten().find_map(|entry| {
        let found = fs::metadata(entry.path()).ok()?;
        let (major, minor) = (major(found.rdev()), minor(found.rdev()));
        // Character devices may have a say of their own in who opens them, or do something then.
        let fits = found.file_type().is_block_device() && fs::File::open(entry.path()).is_ok();
        fits.then(|| ('b', format!("{major} {minor}")))
    })
}
