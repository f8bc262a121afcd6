//! Lab 06: what of a virtual machine is QEMU, and what is KVM. The part that makes a boot sector
//! and starts it in three monitors.
//!
//! ```text
//!   this program
//!     |- tcg      QEMU, which translates the guest's instructions itself
//!     |- kvm      QEMU, which lets KVM run them
//!     |- isolab   this program again, as a monitor of its own: see monitor.rs
//!     |- empty    this program again; it has a machine, and no virtual CPU in it
//!     `- decoy    this program again; it has /dev/kvm open and no machine
//! ```

mod monitor;
mod sector;

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
};

use lab::program::{Host, Trouble, run};

/// Who runs a guest's instructions for QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    /// QEMU's own translator, the Tiny Code Generator: an emulated processor.
    Tcg,
    /// KVM: the real processor.
    Kvm,
}

/// Whether a process has a virtual machine of KVM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runs {
    /// It has one.
    WithKvm,
    /// It has none: it is no monitor, or one that does all by itself.
    WithoutKvm,
}

/// A part of a PC that runs in QEMU with KVM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Runs the guest's instructions.
    Processor,
    /// Finds the host's page for each of the guest's addresses.
    Memory,
    /// Plays the interrupt controllers (PIC, IO-APIC and local APICs), hundreds of times a second.
    Interrupts,
    /// Decides which devices there are, and at which addresses; loads the firmware.
    Board,
    /// Plays the serial port.
    Serial,
    /// Reads the guest's disk from a file.
    Disk,
}

/// Whose part it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// A program of the host.
    Qemu,
    /// The host's kernel, and the processor through it.
    Kvm,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Processor, Self::Memory, Self::Interrupts, Self::Board, Self::Serial, Self::Disk];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processor => "processor",
            Self::Memory => "memory",
            Self::Interrupts => "interrupts",
            Self::Board => "board",
            Self::Serial => "serial",
            Self::Disk => "disk",
        }
    }
}

/// The student's functions.
pub struct Answer {
    /// What QEMU is told: by whom, from which disk, and where the serial port leads.
    pub qemu_args: fn(Accel, &Path, &Path) -> Vec<String>,
    /// Whether the process with that number has a machine of KVM's.
    pub classify: fn(u32) -> io::Result<Runs>,
    /// Whose part it is.
    pub whose: fn(Part) -> Whose,
}

/// What every QEMU of this lab is told: the smallest PC, two megabytes, nothing that is not asked
/// for, and no window.
const SMALLEST: [&str; 8] =
    ["-machine", "isapc", "-m", "2", "-nodefaults", "-display", "none", "-no-reboot"];

/// The program: starts the machines, asks the student who is who, and ends them.
pub fn program(answer: &Answer) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match &words[..] {
        [role, image, serial] if role == "monitor" => {
            monitor::main(Path::new(image), Path::new(serial))
        }
        [role] if role == "decoy" => decoy(),
        [role] if role == "empty" => empty(),
        _ => run(|host| compare(host, answer)),
    }
}

fn compare(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let folder = host.step("make a folder", Folder::new)?;
    let token = match host.argument("token") {
        "" => "hello from the guest",
        token => token,
    };
    host.say("folder", folder.0.display());
    let qemu = match host.argument("qemu") {
        "" => "/usr/bin/qemu-system-x86_64",
        path => path,
    };
    // A disk for each, with the same sector: QEMU locks the file that it may write to.
    let disk = |name: &str| {
        let path = folder.0.join(format!("disk-{name}"));
        let written = || fs::write(&path, sector::printing(token)).map(|()| path.clone());
        host.step("write the boot sector", written)
    };
    let serial = |name: &str| folder.0.join(format!("serial-{name}"));
    let start = |name: &'static str, command: &mut Command| {
        let process = host.step(&format!("start {name}"), || Started::new(name, command))?;
        host.say(&format!("pid-{name}"), process.child.id());
        Ok::<Started, Trouble>(process)
    };
    let with_qemu = |name: &'static str, accel: Accel| {
        let arguments = (answer.qemu_args)(accel, &disk(name)?, &serial(name));
        start(name, Command::new(qemu).args(SMALLEST).args(arguments))
    };

    let mut machines = vec![with_qemu("tcg", Accel::Tcg)?];
    if host.argument("kvm") != "no" {
        let own = host.step("find this program", std::env::current_exe)?;
        machines.push(start("decoy", Command::new(&own).arg("decoy"))?);
        machines.push(start("empty", Command::new(&own).arg("empty"))?);
        machines.push(with_qemu("kvm", Accel::Kvm)?);
        let words = [Path::new("monitor"), &disk("isolab")?, &serial("isolab")];
        machines.push(start("isolab", Command::new(&own).args(words))?);
    }
    host.meet("started");

    for machine in &machines {
        let runs = host.step("classify", || (answer.classify)(machine.child.id()))?;
        host.say(&format!("runs-{}", machine.name), format!("{runs:?}"));
    }
    for part in Part::ALL {
        host.say(&format!("whose-{}", part.name()), format!("{:?}", (answer.whose)(part)));
    }
    host.meet("told");
    Ok(())
}

/// A folder that goes when it is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("lab06-{}", std::process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is seen by whoever looks into /tmp.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is ended when it is dropped.
struct Started {
    name: &'static str,
    child: Child,
}

impl Started {
    fn new(name: &'static str, command: &mut Command) -> io::Result<Self> {
        // The end of its input is how this program's own children learn that it is gone.
        let child = command.stdin(Stdio::piped()).spawn()?;
        Ok(Self { name, child })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Opens KVM's device, and makes nothing with it.
fn decoy() -> ExitCode {
    let Ok(_device) = fs::File::options().read(true).write(true).open("/dev/kvm") else {
        return ExitCode::FAILURE;
    };
    until_alone();
    ExitCode::SUCCESS
}

/// Makes a machine, and nothing in it.
fn empty() -> ExitCode {
    let made = kvm_ioctls::Kvm::new().and_then(|kvm| kvm.create_vm());
    let Ok(_machine) = made else { return ExitCode::FAILURE };
    until_alone();
    ExitCode::SUCCESS
}

/// Sleeps until the program that has started this one is gone.
fn until_alone() {
    // Nobody writes: this returns at the end of the input, or not at all.
    let _ = io::copy(&mut io::stdin(), &mut io::sink());
}
