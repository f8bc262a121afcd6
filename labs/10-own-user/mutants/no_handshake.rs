//! The child does not wait: it executes its program before it is anybody, and loses all capabilities.

use std::{
    fs,
    io::{self, Write},
    process::ExitCode,
};

use nix::unistd::{Gid, Pid, Uid};
use own_user::{Answer, Gate};

fn wait_at_gate(_gate: Gate) -> io::Result<()> {
    Ok(())
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
