//! Question 3: what does a Linux guest find inside? Its root, and a plan for its first process.
//!
//! ```text
//!   initramfs                              after the plan's step `root`
//!     init                                   (hidden)
//!     isolab/plan, isolab/modules/*.ko       (hidden)
//!     isolab/root/...                        /...        the same as a container's root
//! ```
//!
//! A small root is packed into the initramfs. A large one would lie twice in the guest's memory
//! while the kernel unpacks it; it comes on a disk instead, an ext4 image that is made for this one
//! run, as mke2fs(8) makes it from a directory without mounting anything.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    slice,
};

use guest::{
    abi::{MAILBOX_AT_VARIABLE, MAILBOX_VARIABLE},
    plan::{InitPlan, ShutdownMethod, Sink, Stream},
};
use host::terminal_size;
use sandbox::{Program, Stdio, Workload, environment};

use crate::{
    devices::{
        freeze, page, report,
        reset::ExitPort,
        virtio::disk::{Disk, DiskFile},
    },
    error::{Error, Result},
    initramfs::{InitramfsError, Root},
    kernels,
    layout::PAGE,
    linux::{
        GuestUser, LinuxVm, OutputWay, boot, disk_image, layout::MAILBOX, names, share,
        source::Source,
    },
};

/// What a guest has for its root file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum GuestRoot {
    /// The command with the libraries that it needs, and busybox where the host has it.
    #[default]
    Command,
    /// All that is in this directory of the host.
    Directory(PathBuf),
    /// What is in these directories, the first one uppermost: the layers of an image, with whiteouts
    /// as overlayfs has them.
    Layers(Vec<PathBuf>),
    /// What is in these files, each unpacked over the one before, and nothing of isolab's: the
    /// command is the guest's first process itself.
    Initramfs(Vec<PathBuf>),
}

/// What the guest is given, checked before there is a machine.
pub struct System {
    /// The first file system, in pieces.
    pub initramfs: Vec<Source>,
    /// The disk with its root, if that is too large for memory.
    pub root_disk: Option<Disk>,
    /// What the first process is to do; none if it is not isolab's.
    pub plan: Option<InitPlan>,
    /// The program that the kernel starts, with its arguments.
    pub init: Program,
}

/// Where the command's root is until it becomes the root.
const ROOT: &str = "/isolab/root";
const MODULES: &str = "/isolab/modules";
/// The disk with the root, if there is one.
const ROOT_DISK: &str = "/isolab/disk";
/// Where a built-in program is, if the root is on a disk: in the initramfs, and in the root.
const BUILTINS: &str = "/isolab/programs";
const BUILTINS_INSIDE: &str = ".isolab";
const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";
/// A root of more than a fourth of the memory goes onto a disk.
const SMALL: u64 = 4;
/// What lies beside the root in an initramfs: the first process and the modules, at most.
const BESIDE_ROOT: u64 = 4 << 20;

/// From the first group to the last that the kernel takes.
const EVERY_GROUP: &str = "0 2147483647";
/// The serial port.
const SERIAL: &str = "/dev/ttyS0";
/// The terminal.
const TERMINAL: &str = "/dev/hvc0";

impl System {
    /// What `machine` gives to `workload`, in so much memory beside a kernel that ends there.
    ///
    /// # Errors
    ///
    /// When the command, a file of the root, or a module of the kernel is not there.
    pub fn new(
        machine: &LinuxVm,
        workload: &Workload,
        kernel_end: u64,
        memory_bytes: u64,
    ) -> Result<Self> {
        if let GuestRoot::Initramfs(files) = &machine.root {
            let initramfs = files.iter().map(|path| Source::open(path)).collect::<Result<_>>()?;
            share::check(&machine.shares, false)?;
            let init = workload.program.clone();
            return Ok(Self { initramfs, root_disk: None, plan: None, init });
        }
        machine.command_line.check(&drivers(machine))?;
        let (root, command) = root(machine, workload)?;
        let (program, words) = command.find(&root, workload)?;
        let mut archive = Root::new();
        let is_large = root.bytes() > small(kernel_end, memory_bytes);
        let root_disk = match trees(&machine.root) {
            Some(trees) if is_large => {
                let enough = enough_memory(kernel_end, root.bytes());
                Some(disk_image::of(trees, root.bytes(), enough)?)
            }
            _ => {
                archive.put_below(ROOT, root)?;
                None
            }
        };
        let program = match (&workload.program, &root_disk) {
            // The disk has what is in the directory and no more.
            (Program::Builtin(builtin, _), Some(_)) => {
                let file = Path::new(BUILTINS).join(builtin.name());
                archive.file(file, 0o755, builtin.linux_elf())?;
                Path::new("/").join(BUILTINS_INSIDE).join(builtin.name())
            }
            _ => program,
        };
        let modules = modules(machine, root_disk.is_some(), memory_bytes)?;
        for module in &modules {
            let file = format!("{MODULES}/{}.ko", module.name);
            archive.file(file, 0o644, module.unsigned())?;
        }
        // The kernel's own first descriptors, on which a plan that cannot be read is reported.
        archive.character_device("/dev/console", 0o600, (5, 1))?;
        archive.file("/init", 0o755, guest::INIT)?;
        let names = modules.iter().map(|module| module.name.as_str());
        let plan = steps(machine, workload, names, root_disk.is_some())
            .freeze(freeze::PORT)
            .run(program, words);
        archive.file(guest::plan::PATH, 0o644, plan.text())?;
        let init = Program::Command(vec!["/init".into()]);
        Ok(Self { initramfs: vec![Source::Root(archive)], root_disk, plan: Some(plan), init })
    }
}

/// The directories of a root, the uppermost first; none if it is made of something else.
fn trees(root: &GuestRoot) -> Option<&[PathBuf]> {
    match root {
        GuestRoot::Directory(tree) => Some(slice::from_ref(tree)),
        GuestRoot::Layers(trees) => Some(trees),
        GuestRoot::Command | GuestRoot::Initramfs(_) => None,
    }
}

/// A root of so many bytes at most is packed into the initramfs.
fn small(kernel_end: u64, memory_bytes: u64) -> u64 {
    let room = boot::initramfs_room(kernel_end, memory_bytes).saturating_sub(BESIDE_ROOT);
    room.min(memory_bytes / SMALL)
}

/// The memory with which a root of so many bytes needs no disk; nothing if none is enough.
fn enough_memory(kernel_end: u64, root: u64) -> Option<u64> {
    let needed = boot::memory_needed(kernel_end, root.saturating_add(BESIDE_ROOT));
    let needed = needed.max(root.saturating_mul(SMALL)).checked_next_multiple_of(PAGE)?;
    Some(needed).filter(|needed| root <= small(kernel_end, *needed))
}

/// How the command is named inside.
enum Command {
    /// By its path.
    Known(PathBuf),
    /// As it was given; to be looked for in the root.
    Sought,
}

/// The root without what every guest gets, and the command in it.
fn root(machine: &LinuxVm, workload: &Workload) -> Result<(Root, Command)> {
    let mut root = Root::new();
    let command = match (&workload.program, &machine.root) {
        (Program::Builtin(builtin, _), _) => {
            let path = PathBuf::from("/bin").join(builtin.name());
            root.file(&path, 0o755, builtin.linux_elf())?;
            Command::Known(path)
        }
        (Program::Command(words), GuestRoot::Command) => Command::Known(root.add_command(words)?),
        (Program::Command(_), _) => Command::Sought,
    };
    match &machine.root {
        GuestRoot::Directory(tree) => root.add_tree(tree)?,
        GuestRoot::Layers(trees) => trees.iter().try_for_each(|tree| root.add_tree(tree))?,
        _ => {
            root.add_busybox()?;
            root.directory("/root", 0o700)?;
            root.directory("/tmp", 0o1777)?;
            root.file("/etc/passwd", 0o644, PASSWD)?;
            root.file("/etc/group", 0o644, GROUP)?;
        }
    }
    Ok((root, command))
}

impl Command {
    /// The command's path, and its words as they were given.
    fn find(self, root: &Root, workload: &Workload) -> Result<(PathBuf, Vec<OsString>)> {
        let words: Vec<OsString> = match &workload.program {
            Program::Command(words) => words.clone(),
            Program::Builtin(..) => workload.words().into_iter().map(Into::into).collect(),
        };
        let path = match self {
            Self::Known(path) => path,
            Self::Sought => {
                let word = words.first().map_or(OsStr::new(""), |word| word);
                let path = environment::path(&workload.environment);
                let none = || InitramfsError::NoProgram { program: word.into() };
                root.program(word, path).ok_or_else(none)?
            }
        };
        Ok((path, words))
    }
}

/// The drivers of the devices that the guest has in any case.
fn drivers(machine: &LinuxVm) -> Vec<&'static str> {
    let mut names = vec!["virtio_mmio", "virtio_console"];
    let mut wanted = |wanted: bool, name| names.extend(wanted.then_some(name));
    wanted(!machine.disks.is_empty(), "virtio_blk");
    wanted(machine.network.is_some(), "virtio_net");
    wanted(!machine.shares.is_empty(), "virtiofs");
    wanted(machine.rng, "virtio_rng");
    wanted(machine.balloon_bytes.is_some(), "virtio_balloon");
    names
}

/// The drivers of the guest's devices, with all that they need.
fn modules(machine: &LinuxVm, root_disk: bool, room: u64) -> Result<Vec<kernels::Module>> {
    let mut names = drivers(machine);
    if root_disk && !names.contains(&"virtio_blk") {
        names.push("virtio_blk");
    }
    let folder = machine.modules.as_deref();
    folder.map_or(Ok(Vec::new()), |folder| kernels::modules_for(folder, &names, room))
}

/// All that the first process does before the command.
fn steps<'a>(
    machine: &LinuxVm,
    workload: &Workload,
    modules: impl Iterator<Item = &'a str>,
    root_disk: bool,
) -> InitPlan {
    let mut plan = InitPlan::new()
        .report(&Sink::Port(report::PORT))
        .end(ShutdownMethod::Port(ExitPort::PORT as u16));
    for module in modules {
        plan = plan.module(&format!("{MODULES}/{module}.ko"), "");
    }
    plan = match root_disk {
        false => plan.mount("", ROOT, ROOT, "", &["bind"]),
        true => {
            // The disks of the user's come first.
            let name = names::disk_name(machine.disks.len());
            let plan = plan
                .mount("sysfs", "sysfs", "/sys", "", &[])
                .mount("devtmpfs", "dev", "/dev", "", &[])
                .disk("serial", &name, ROOT_DISK)
                .mount("ext4", ROOT_DISK, ROOT, "", &[]);
            match workload.program {
                Program::Command(_) => plan,
                Program::Builtin(..) => {
                    plan.mount("", BUILTINS, format!("{ROOT}/{BUILTINS_INSIDE}"), "", &["bind"])
                }
            }
        }
    };
    plan = plan.root(ROOT);
    for (name, text) in &machine.etc {
        // A word of the plan has no zero in it, and no line that a resolver reads needs one.
        plan = plan.file(&format!("/etc/{name}"), &text.replace('\0', ""));
    }
    plan = plan
        .mount("proc", "proc", "/proc", "", &["nosuid", "nodev", "noexec"])
        .mount("sysfs", "sysfs", "/sys", "", &["nosuid", "nodev", "noexec"])
        .mount("devtmpfs", "dev", "/dev", "", &["nosuid"])
        .mount("devpts", "devpts", "/dev/pts", "gid=5,mode=620", &["nosuid", "noexec"])
        .mount("tmpfs", "shm", "/dev/shm", "mode=1777", &["nosuid", "nodev"])
        .write("/proc/sys/kernel/hostname", &machine.hostname)
        .up("lo");
    if let Some(card) = &machine.network {
        // As in a container: `ping` needs no power (icmp(7)).
        plan = plan.write("/proc/sys/net/ipv4/ping_group_range", EVERY_GROUP);
        plan = match &card.address {
            Some(address) => plan.address("eth0", address.inside, address.prefix, address.gateway),
            None => plan.up("eth0"),
        };
    }
    plan = with_streams(plan, workload, machine.output_way);
    plan = share::mount(&machine.shares, plan);
    if let Some(directory) = &workload.directory {
        plan = plan.directory(directory);
    }
    if machine.user != GuestUser::default() {
        let GuestUser { uid, gid, groups } = &machine.user;
        plan = plan.user(*uid, *gid, groups);
    }
    plan.ready()
}

/// The environment and the streams of the command.
fn with_streams(mut plan: InitPlan, workload: &Workload, way: OutputWay) -> InitPlan {
    let mut environment = match workload.program {
        Program::Command(_) => environment::usual(),
        Program::Builtin(..) => vec![
            (MAILBOX_VARIABLE.into(), "/dev/mem".into()),
            (MAILBOX_AT_VARIABLE.into(), MAILBOX.to_string().into()),
        ],
    };
    environment::add(&mut environment, &workload.environment);
    for (name, value) in &environment {
        plan = plan.variable(name, value);
    }
    if workload.stdio == Stdio::Terminal {
        let (rows, columns) = terminal_size();
        return plan.terminal(TERMINAL, rows, columns).control("/dev/vport1p0");
    }
    let port = |number: usize| Sink::Device(format!("/dev/vport0p{number}"));
    plan = plan.control("/dev/vport0p3");
    let output = match way {
        OutputWay::Virtio => port(1),
        OutputWay::Serial => {
            plan = plan.plain(SERIAL);
            Sink::Device(SERIAL.into())
        }
        OutputWay::Page => Sink::Page { address: page::ADDRESS, bytes: page::BYTES as u64 },
    };
    plan.stream(Stream::Input, &port(0))
        .stream(Stream::Output, &output)
        .stream(Stream::Errors, &port(2))
}

/// The disks of the user's, opened and locked.
///
/// # Errors
///
/// When one of them is no disk, or another guest has it.
pub fn open_disks(disks: &[DiskFile]) -> Result<Vec<Disk>> {
    const MOST: usize = 8;
    if disks.len() > MOST {
        return Err(Error::Unsupported {
            what: format!("have {} disks", disks.len()),
            fix: format!("give it {MOST} at most"),
        });
    }
    disks.iter().map(DiskFile::open).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_goes_onto_a_disk_before_it_fills_the_memory() {
        const KERNEL_END: u64 = 62 << 20;
        for memory in [100, 106, 256, 1024, 16 << 10].map(|mebibytes: u64| mebibytes << 20) {
            let largest = small(KERNEL_END, memory);
            assert!(largest <= memory / SMALL);
            assert!(boot::memory_needed(KERNEL_END, largest) <= memory, "{memory}");
        }
        for root in [0, 1 << 20, 80 << 20, 700 << 20] {
            let enough = enough_memory(KERNEL_END, root).unwrap();
            assert!(root <= small(KERNEL_END, enough), "{root} bytes in {enough}");
        }
        assert_eq!(enough_memory(KERNEL_END, 3 << 30), None, "it lies below the devices");
    }
}
