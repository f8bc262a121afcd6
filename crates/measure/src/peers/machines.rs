//! Monitors of virtual machines: the kernel of isolab's Linux guests, and a first process that
//! starts the program and restarts the machine, which ends the monitor.

use std::{fs, path::Path, time::Duration};

use microvm::kernels::{self, Kernel};
use serde_json::json;

use super::{
    containers::plain,
    definition::{Definition, ProgramFrom, Recipe, line, text},
    workshop::Workshop,
};
use crate::{Error, clock::tick_rate, command_time::Expected};

pub(super) const QEMU_KVM: Definition = qemu("qemu-kvm", no_kvm, |program, workshop| {
    emulator(program, workshop, "microvm", Accelerator::Kvm)
});

pub(super) const QEMU_TCG: Definition = qemu("qemu-tcg", no_kernel, |program, workshop| {
    emulator(program, workshop, "microvm", Accelerator::Tcg)
});

pub(super) const QEMU_KVM_Q35: Definition = qemu("qemu-kvm-q35", no_kvm, |program, workshop| {
    emulator(program, workshop, "q35", Accelerator::Kvm)
});

pub(super) const QEMU_TCG_Q35: Definition = qemu("qemu-tcg-q35", no_kernel, |program, workshop| {
    emulator(program, workshop, "q35", Accelerator::Tcg)
});

pub(super) const FIRECRACKER: Definition = Definition {
    name: "firecracker",
    programs: &["firecracker"],
    version: &["--version"],
    get: "put a release on the PATH: https://github.com/firecracker-microvm/firecracker/releases",
    boots: None,
    obstacle: no_kvm,
    prepare: firecracker,
};

pub(super) const CLOUD_HYPERVISOR: Definition = Definition {
    name: "cloud-hypervisor",
    programs: &["cloud-hypervisor"],
    version: &["--version"],
    get: "put a release on the PATH: \
          https://github.com/cloud-hypervisor/cloud-hypervisor/releases",
    boots: None,
    obstacle: no_kvm,
    prepare: cloud_hypervisor,
};

pub(super) const KVMTOOL: Definition = Definition {
    name: "kvmtool",
    programs: &["lkvm", "kvmtool"],
    version: &["version"],
    get: "sudo apt install kvmtool",
    boots: None,
    obstacle: no_kvm,
    prepare: kvmtool,
};

/// An emulated machine takes seconds on a busy host.
const DEADLINE: Duration = Duration::from_secs(30);
/// As much memory as isolab's Linux guests have, in MiB.
const MEMORY: u32 = 256;
/// A triple fault, which ends the monitor, is the restart that every machine has.
const COMMAND_LINE: &str = "console=ttyS0 quiet reboot=t panic=-1";
/// What the guest's console shows of `hello`, whatever else its kernel writes.
const TEXT: &[u8] = b"hello";

pub(super) const fn qemu(
    name: &'static str,
    obstacle: fn() -> Option<Error>,
    prepare: fn(&Path, &Workshop) -> Result<Recipe, Error>,
) -> Definition {
    Definition {
        name,
        programs: &["qemu-system-x86_64"],
        version: &["--version"],
        get: "sudo apt install qemu-system-x86",
        boots: None,
        obstacle,
        prepare,
    }
}

/// Why this host's KVM cannot boot a guest's kernel.
pub(super) fn no_kvm() -> Option<Error> {
    microvm::linux::available().err().map(Error::from)
}

/// Why there is no kernel for a guest.
fn no_kernel() -> Option<Error> {
    kernel().err()
}

/// The kernel of isolab's guests, unpacked.
fn kernel() -> Result<Kernel, Error> {
    Ok(kernels::chosen().map_err(sandbox::Error::from)?)
}

fn machine(command: Vec<String>) -> Recipe {
    let program_from = ProgramFrom::FirstProcess;
    Recipe { command, program_from, expected: Expected::Among(TEXT), deadline: DEADLINE, ..plain() }
}

/// QEMU with nothing in its machine but a serial port.
fn emulator(
    program: &Path,
    workshop: &Workshop,
    board: &str,
    accelerator: Accelerator,
) -> Result<Recipe, Error> {
    let (kernel, initramfs) = (text(&kernel()?.vmlinux)?, text(&workshop.initramfs()?)?);
    let command_line = accelerator.command_line(COMMAND_LINE)?;
    let guest = ["-kernel", &kernel, "-initrd", &initramfs, "-append", &command_line];
    let mut command = bare_machine(program, board, accelerator)?;
    command.extend(line(&[&guest[..], &["-serial", "stdio"]].concat()));
    Ok(Recipe { caveat: accelerator.caveat().map(str::to_owned), ..machine(command) })
}

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accelerator {
    Kvm,
    Tcg,
}

impl Accelerator {
    /// A guest's command line with what this needs.
    pub(super) fn command_line(self, base: &str) -> Result<String, Error> {
        match self {
            Self::Kvm => Ok(base.to_owned()),
            Self::Tcg => Ok(format!("{base} {}", counter()?)),
        }
    }

    /// What the reader must know of it.
    pub(super) fn caveat(self) -> Option<&'static str> {
        let caveat = "QEMU translates every instruction of the guest in software";
        (self == Self::Tcg).then_some(caveat)
    }
}

/// The command line of QEMU for a machine with nothing in it.
pub(super) fn bare_machine(
    program: &Path,
    board: &str,
    accelerator: Accelerator,
) -> Result<Vec<String>, Error> {
    let (accelerator, processor) = match accelerator {
        Accelerator::Kvm => ("kvm", "host"),
        // QEMU 7.2 emulates cmpxchg16b wrongly: kernels that use it crash at random.
        Accelerator::Tcg => ("tcg", "qemu64,-cx16"),
    };
    let memory = format!("{MEMORY}M");
    let options = ["-M", board, "-accel", accelerator, "-cpu", processor, "-m", &memory];
    let nothing = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
    Ok(line(&[&[&*text(program)?], &options[..], &nothing].concat()))
}

/// The rate of the time stamp counter, which QEMU passes through. A kernel that measures it against
/// an emulated timer on a busy host finds none, and waits for ever.
fn counter() -> Result<String, Error> {
    Ok(format!("tsc_early_khz={:.0}", tick_rate()? / 1e3))
}

fn firecracker(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    let (kernel, initramfs) = (text(&kernel()?.vmlinux)?, text(&workshop.initramfs()?)?);
    let config = json!({
        "boot-source": {
            "kernel_image_path": kernel, "initrd_path": initramfs, "boot_args": COMMAND_LINE,
        },
        "drives": [],
        "machine-config": { "vcpu_count": 1, "mem_size_mib": MEMORY },
    });
    let path = workshop.path("machine.json");
    fs::write(&path, config.to_string())?;
    Ok(machine(line(&[&text(program)?, "--no-api", "--config-file", &text(&path)?])))
}

fn cloud_hypervisor(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    let (kernel, initramfs) = (text(&kernel()?.vmlinux)?, text(&workshop.initramfs()?)?);
    let memory = format!("size={MEMORY}M");
    Ok(machine(line(&[
        &text(program)?,
        "--kernel",
        &kernel,
        "--initramfs",
        &initramfs,
        "--cmdline",
        COMMAND_LINE,
        "--cpus",
        "boot=1",
        "--memory",
        &memory,
        "--serial",
        "tty",
        "--console",
        "off",
    ])))
}

fn kvmtool(program: &Path, workshop: &Workshop) -> Result<Recipe, Error> {
    let (kernel, initramfs) = (text(&kernel()?.image)?, text(&workshop.initramfs()?)?);
    let memory = MEMORY.to_string();
    Ok(machine(line(&[
        &text(program)?,
        "run",
        "--kernel",
        &kernel,
        "--initrd",
        &initramfs,
        "--params",
        COMMAND_LINE,
        "--cpus",
        "1",
        "--mem",
        &memory,
        "--console",
        "serial",
        "--network",
        "mode=none",
    ])))
}
