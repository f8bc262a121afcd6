//! The same number inside as outside: allowed, but nobody is root then.

use std::{
    fs,
    io::{self, Read, Write},
    process::ExitCode,
};

use nix::unistd::{Gid, Pid, Uid};
use own_user::{Answer, Gate};

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    drop(gate.open);
    gate.wait.read_exact(&mut [0])
}

fn write_maps(child: Pid) -> io::Result<()> {
    let (user, group) = (Uid::effective(), Gid::effective());
    fs::write(format!("/proc/{child}/uid_map"), format!("{user} {user} 1"))?;
    fs::write(format!("/proc/{child}/setgroups"), "deny")?;
    fs::write(format!("/proc/{child}/gid_map"), format!("{group} {group} 1"))
}

fn open_gate(mut gate: Gate) -> io::Result<()> {
    gate.open.write_all(&[1])
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, write_maps, open_gate })
}
