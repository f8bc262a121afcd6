//! Lab 12: give processes a share of the CPU, and no more.
//!
//! Write the functions. `isolab lab check 12` tells you how far you are. There are two versions of
//! cgroups; start with the one that your host has (`parents.version`), add the other afterwards.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{fs, io, process::ExitCode, time::Duration};

use cpu_quota::{Answer, CgroupParents, Group, Stats};
use nix::unistd::Pid;

/// Creates the group `name` and returns its directories.
///
/// Creating a directory creates a group. Version 1 has a hierarchy for each controller: one
/// directory below `parents.cpu` and one below `parents.cpuacct`, unless both are the same path.
/// Version 2 has one below `parents.cpu`, which `parents.cpuacct` is too; the kernel puts the files of
/// the CPU controller into it only if the file `cgroup.subtree_control` of `parents.cpu` names that
/// controller: write `+cpu` into it.
fn create(parents: &CgroupParents, name: &str) -> io::Result<Group> {
    todo!("lab 12, step 1: fs::create_dir, and what version 2 needs before it")
}

/// Puts the process `pid` into the group: write its PID into `cgroup.procs` of each directory.
fn attach(group: &Group, pid: Pid) -> io::Result<()> {
    todo!("lab 12, step 2: write the PID, on version 1 into two files")
}

/// Lets the group's processes run for `quota` in every `period`, all together, and then stops them
/// until the next one begins.
///
/// Version 1: `cpu.cfs_period_us` and `cpu.cfs_quota_us`. Version 2: both numbers in `cpu.max`,
/// quota first. All are in microseconds.
fn set_quota(group: &Group, quota: Duration, period: Duration) -> io::Result<()> {
    todo!("lab 12, step 3: one file or two")
}

/// Sets how much the group gets of a contended CPU; the default weight is 100.
///
/// Version 2: that number in `cpu.weight`. Version 1: `cpu.shares`, where the default is
/// 1024.
fn set_weight(group: &Group, weight: u32) -> io::Result<()> {
    todo!("lab 12, step 4: one file, and on version 1 a product")
}

/// What the kernel has counted since the group was created.
///
/// Version 1: `cpuacct.usage` is a number of nanoseconds; `cpu.stat` has a line `nr_throttled`.
/// Version 2: `cpu.stat` has lines `usage_usec`, in microseconds, and `nr_throttled`.
fn stats(group: &Group) -> io::Result<Stats> {
    todo!("lab 12, step 5: find a line by its first word")
}

/// The share of one CPU that the group used between the readings `before` and `after`, `wall` apart:
/// 0 to 1, or more on several CPUs.
fn share(before: &Stats, after: &Stats, wall: Duration) -> f64 {
    todo!("lab 12, step 6: one line")
}

/// Removes the group from each hierarchy. No process is in it any more.
fn remove(group: &Group) -> io::Result<()> {
    todo!("lab 12, step 7: fs::remove_dir")
}

fn main() -> ExitCode {
    cpu_quota::program(&Answer { create, attach, set_quota, set_weight, stats, share, remove })
}
