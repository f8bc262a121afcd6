//! Lab 19: what does one instance hold of the host's memory and disk, and how many fit?
//!
//! Write the four functions. `isolab lab check 19` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{collections::HashSet, fs, io, os::unix::fs::MetadataExt, path::Path, process::ExitCode};

use footprint::{Answer, Hall};

/// The memory of process `pid` in bytes, such that the sum over all processes is their total:
/// its proportional set size, in which every page is divided by the number of processes
/// that have it.
///
/// `/proc/PID/smaps_rollup` has it in a line `Pss:    123 kB` (proc_pid_smaps(5); kB is 1024).
fn pss(pid: u32) -> io::Result<u64> {
    todo!("lab 19, step 1: the line that starts with `Pss:`, times 1024")
}

/// The host memory that one instance uses, in bytes: that of `launcher`, which is the container's
/// runner or the virtual machine's monitor, and of the processes `inside`.
///
/// A virtual machine has no process inside. Where is its memory?
fn footprint(launcher: u32, inside: &[u32]) -> io::Result<u64> {
    todo!("lab 19, step 2: a sum")
}

/// The bytes of disk that the files below `tree` use, however deep they are.
///
/// Count blocks, not lengths (stat(2): st_blocks, in units of 512 bytes). Each file counts once and in
/// full, however many names it has, and wherever they are (st_dev and st_ino identify a file). Symbolic
/// links are not followed.
fn unique_disk_bytes(tree: &Path) -> io::Result<u64> {
    todo!("lab 19, step 3: walk the tree, with a HashSet of what was counted")
}

/// Starts instances in `hall` until those alive, with their launcher, use `budget` bytes more than the
/// launcher did before the first, and no more after that. Returns how many are alive then.
///
/// Some instances end as soon as they have started. They were started, but they no longer exist.
fn how_many(hall: &mut Hall, budget: u64) -> io::Result<usize> {
    todo!("lab 19, step 4: start, measure with `footprint`, until it is enough")
}

fn main() -> ExitCode {
    footprint::program(&Answer { pss, footprint, unique_disk_bytes, how_many })
}
