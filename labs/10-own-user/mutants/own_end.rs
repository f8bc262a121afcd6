//! The child keeps its copy of the end that is written to: if the parent dies, it waits for ever.

use std::{
    fs,
    io::{self, Read, Write},
    process::ExitCode,
};

use nix::unistd::{Gid, Pid, Uid};
use own_user::{Answer, Gate};

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    gate.wait.read_exact(&mut [0])
}

fn write_maps(child: Pid) -> io::Result<()> {
    fs::write(format!("/proc/{child}/uid_map"), format!("0 {} 1", Uid::effective()))?;
    fs::write(format!("/proc/{child}/setgroups"), "deny")?;
    fs::write(format!("/proc/{child}/gid_map"), format!("0 {} 1", Gid::effective()))
}

fn open_gate(mut gate: Gate) -> io::Result<()> {
    gate.open.write_all(&[1])
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, write_maps, open_gate })
}
