//! Root inside is to be root outside: the kernel gives away no id but one's own.

use std::{
    fs,
    io::{self, Read, Write},
    process::ExitCode,
};

use nix::unistd::Pid;
use own_user::{Answer, Gate};

fn wait_at_gate(mut gate: Gate) -> io::Result<()> {
    drop(gate.open);
    gate.wait.read_exact(&mut [0])
}

fn write_maps(child: Pid) -> io::Result<()> {
    fs::write(format!("/proc/{child}/uid_map"), "0 0 1")?;
    fs::write(format!("/proc/{child}/setgroups"), "deny")?;
    fs::write(format!("/proc/{child}/gid_map"), "0 0 1")
}

fn open_gate(mut gate: Gate) -> io::Result<()> {
    gate.open.write_all(&[1])
}

fn main() -> ExitCode {
    own_user::program(&Answer { wait_at_gate, write_maps, open_gate })
}
