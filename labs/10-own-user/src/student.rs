//! Lab 10: be root without being root.
//!
//! Write the three functions. `isolab lab check 10` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{
    fs,
    io::{self, Read, Write},
    process::ExitCode,
};

use nix::unistd::{Gid, Pid, Uid};
use own_user::{Answer, Gate};

/// Waits until the parent has written a byte into the pipe. The new process calls it. It is blocked
/// in a read from the pipe meanwhile; after a byte it returns.
///
/// It must not wait forever if the parent dies. A pipe is at end of file when *no process* has its
/// write end open any more, and this process has a copy of it. End of file without a byte is an
/// error.
fn wait_at_gate(gate: Gate) -> io::Result<()> {
    todo!("lab 10, step 1: close one end, read from the other")
}

/// Maps the IDs of the process `child`: root, UID 0, inside its user namespace is *you* outside. The
/// same for its group. The parent calls it.
///
/// Three files of `/proc/PID`: `uid_map`, `gid_map`, and before `gid_map` `deny` in `setgroups`
/// (user_namespaces(7), "Defining user and group ID mappings"). Each map takes one write, once.
fn write_maps(child: Pid) -> io::Result<()> {
    todo!("lab 10, step 2: \"INSIDE OUTSIDE COUNT\" into uid_map; deny setgroups; then gid_map")
}

/// Lets the new process continue. The parent calls it once the maps are written.
fn open_gate(gate: Gate) -> io::Result<()> {
    todo!("lab 10, step 3: one byte")
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, write_maps, open_gate })
}
