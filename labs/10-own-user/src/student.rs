//! Lab 10: be root without being root.
//!
//! Write the three functions. `isolab lab check 10` tells how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{
    fs,
    io::{self, Read, Write},
    process::ExitCode,
};

use nix::unistd::{Gid, Pid, Uid};
use own_user::{Answer, Gate};

/// Waits until the parent has written a byte into the pipe. The new process calls it.
///
/// It must not wait for ever if the parent dies. A pipe is at its end when *nobody* has the end that
/// is written to any more, and this process has a copy of it. At the end of the file without a byte
/// it gives an error.
fn wait_at_gate(gate: Gate) -> io::Result<()> {
    todo!("lab 10, step 1: give up one end, read from the other")
}

/// Says who the process `child` is: root, number 0, inside of its user namespace, and *you*, whoever
/// you are, outside. The same for its group. The parent calls it.
///
/// Three files of `/proc/PID`, in this order: `uid_map`, `setgroups`, `gid_map`
/// (user_namespaces(7), "Defining user and group ID mappings"). Each takes one write, once.
fn write_maps(child: Pid) -> io::Result<()> {
    todo!("lab 10, step 2: \"INSIDE OUTSIDE COUNT\" into uid_map; deny setgroups; then gid_map")
}

/// Lets the new process go on. The parent calls it, when the maps are written.
fn open_gate(gate: Gate) -> io::Result<()> {
    todo!("lab 10, step 3: one byte")
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, write_maps, open_gate })
}
