//! Lab 06: start the same disk with QEMU alone and with QEMU and KVM, and find out what each does.
//!
//! Write the three functions. `isolab lab check 06` tells you how far you are.
#![allow(unused, clippy::needless_pass_by_value, reason = "until all steps are written")]

use std::{fs, io, path::Path, process::ExitCode};

use qemu_and_kvm::{Accel, Answer, Part, Runs, Whose};

/// The rest of QEMU's command line; the machine, its two megabytes and "no window" are there.
///
/// It specifies three things (qemu-system-x86_64(1)): what runs the guest, `-accel tcg` or
/// `-accel kvm`; which file is the first disk, and that its bytes are the disk's,
/// `-drive file=...,format=raw`; and where the first serial port leads, `-serial file:...`. Each
/// argument is a separate element.
fn qemu_args(accel: Accel, image: &Path, serial: &Path) -> Vec<String> {
    todo!("lab 6, step 1: six arguments")
}

/// Whether process `pid` has a KVM virtual machine.
///
/// The kernel shows it without asking the process: `/proc/PID/fd` has a link for each descriptor
/// (proc_pid_fd(5)). Those that KVM gives out lead to `anon_inode:kvm-...`. Which of them is a
/// machine? And is every process that has `/dev/kvm` open a monitor?
fn classify(pid: u32) -> io::Result<Runs> {
    todo!("lab 6, step 2: fs::read_dir, fs::read_link, one comparison")
}

/// What implements a part when QEMU runs a PC with KVM: the program or the kernel.
fn whose(part: Part) -> Whose {
    match part {
        Part::Processor => todo!("lab 6, step 3: who runs the guest's instructions?"),
        Part::Memory => todo!("lab 6, step 3: who finds the host's page for a guest's address?"),
        Part::Interrupts => todo!("lab 6, step 3: who emulates the interrupt controllers?"),
        Part::Board => todo!("lab 6, step 3: who decides which devices there are?"),
        Part::Serial => todo!("lab 6, step 3: who emulates the serial port?"),
        Part::Disk => todo!("lab 6, step 3: who reads the guest's disk from its file?"),
    }
}

fn main() -> ExitCode {
    qemu_and_kvm::program(&Answer { qemu_args, classify, whose })
}
