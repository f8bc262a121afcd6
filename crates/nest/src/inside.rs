//! What is found inside: the initramfs, and the plan of its first process.
//!
//! The kernel's first file system cannot be exchanged by `pivot_root`, and that is how a container
//! gets its root. So the first steps bind it onto a directory of its own and move that over it: the
//! same files, on a mount that is the kernel's second.

use std::path::{Path, PathBuf};

use guest::plan::{self, InitPlan, ShutdownMethod, Sink, Stream};
use host::terminal_size;
use microvm::{
    initramfs::{Archive, Root},
    kernels::Module,
};
use sandbox::{Stdio, environment};

use crate::{
    Error, ICOUNT, Nest, OUT, OUT_VARIABLE, Result,
    disks::{self, Disks},
    error::call,
    machine::{CONSOLE, END_PORT, ERRORS_PORT, OUTPUT_PORT, REPORT_PORT},
    program,
};

/// What isolab needs of the kernel: KVM for a processor with SVM, a container's root, its links and
/// the rules of its network, the disks. Much of it is built in, or not.
const MODULES: [&str; 13] = [
    "kvm_amd",
    "overlay",
    "veth",
    "bridge",
    "tun",
    "nf_tables",
    "nft_chain_nat",
    "nft_ct",
    "nft_fib_ipv4",
    "nft_masq",
    "nft_nat",
    "nvme",
    "ext4",
];
/// Where programs are inside.
const PROGRAMS: &str = "/usr/bin";
/// A shell of the host's busybox.
const SHELL: &str = "/bin/sh";
const USERS: &str = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUPS: &str = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";

/// The plan of the first process.
pub(crate) fn plan(nest: &Nest, modules: &[Module], disks: &Disks, stdio: Stdio) -> InitPlan {
    let mut plan = InitPlan::new()
        .report(&Sink::Port(REPORT_PORT))
        .end(ShutdownMethod::Port(END_PORT))
        .mount("none", "/", "/mnt", "", &["bind"])
        .root("/mnt")
        .mount("proc", "proc", "/proc", "", &["nosuid", "nodev", "noexec"])
        .mount("sysfs", "sysfs", "/sys", "", &["nosuid", "nodev", "noexec"])
        .mount("devtmpfs", "dev", "/dev", "", &["nosuid"])
        .mount("devpts", "devpts", "/dev/pts", "gid=5,mode=620,ptmxmode=666", &["nosuid", "noexec"])
        .mount("tmpfs", "shm", "/dev/shm", "mode=1777", &["nosuid", "nodev"])
        .mount("cgroup2", "cgroup", "/sys/fs/cgroup", "", &["nosuid", "nodev", "noexec"])
        // What systemd does on other hosts: without it no group below the root has a limit.
        .write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +memory +pids")
        .write("/proc/sys/kernel/hostname", "nest")
        .link("/proc/self/fd", "/dev/fd")
        .up("lo");
    for module in modules {
        plan = plan.module(&file_of(module), "");
    }
    for index in 0..disks.files().count() {
        let number = disks::namespace(index).to_string();
        plan = plan.disk("nsid", &number, &disks::device(index));
    }
    for (number, disk) in disks.read_only.iter().enumerate() {
        let (device, flags) = (disks::device(number), ["ro", "nosuid", "nodev"]);
        plan = plan.mount("ext4", &device, &disk.inside, "", &flags);
    }
    plan = plan
        .variable("PATH", environment::PATH)
        .variable("HOME", "/root")
        .variable(OUT_VARIABLE, OUT)
        .directory("/root");
    if nest.icount {
        plan = plan.variable(ICOUNT, "1");
    }
    for (name, value) in &nest.environment {
        plan = plan.variable(name, value);
    }
    plan = match stdio {
        Stdio::Terminal => {
            let (rows, columns) = terminal_size();
            let kind = std::env::var_os("TERM").unwrap_or("vt100".into());
            let plan = plan.variable("TERM", kind).variable("PS1", r"nest:\w\$ ");
            plan.terminal(CONSOLE, rows, columns)
        }
        Stdio::Capture | Stdio::CaptureOutput | Stdio::Inherit => plan
            .stream(Stream::Input, &Sink::Device("/dev/null".into()))
            .stream(Stream::Output, &Sink::Port(OUTPUT_PORT))
            .stream(Stream::Errors, &Sink::Port(ERRORS_PORT)),
    };
    let program = if nest.shell { SHELL.into() } else { path_inside(&nest.program) };
    let words = std::iter::once(program.as_os_str());
    let words = words.chain(nest.arguments.iter().map(AsRef::as_ref));
    let plan = plan.ready().run(&program, words);
    match &disks.out {
        // The last of the disks.
        Some(_) => plan.pack(OUT, &disks::device(disks.read_only.len())),
        None => plan,
    }
}

/// The initramfs: what the caller adds, and over it what the nest needs.
pub(crate) fn initramfs(
    nest: &Nest,
    modules: &[Module],
    disks: &Disks,
    plan: &InitPlan,
) -> Result<Vec<u8>> {
    let mut added = Archive::new(Vec::new());
    for path in nest.add.iter().filter(|path| !disks.have(path)) {
        let read = |source| Error::Read { path: path.clone(), source };
        let real = path.canonicalize().map_err(read)?;
        added.tree(path, &real).map_err(read)?;
    }
    // Of two archives in a row the kernel unpacks the second over the first.
    let bytes = added.finish().map_err(call("write the initramfs"))?;
    Ok(root(nest, modules, disks, plan)?.write(bytes)?)
}

fn root(nest: &Nest, modules: &[Module], disks: &Disks, plan: &InitPlan) -> Result<Root> {
    let mut root = Root::new();
    for directory in ["tmp", "var/tmp"] {
        root.directory(directory, 0o1777)?;
    }
    for directory in ["dev", "etc", "proc", "sys", "run", "mnt", "root", PROGRAMS, OUT] {
        root.directory(directory, 0o755)?;
    }
    for disk in &disks.read_only {
        root.directory(&disk.inside, 0o755)?;
    }
    root.file("init", 0o755, guest::INIT)?;
    root.file(plan::PATH, 0o600, plan.text())?;
    root.file("etc/passwd", 0o644, USERS)?;
    root.file("etc/group", 0o644, GROUPS)?;
    root.file("etc/hosts", 0o644, "127.0.0.1 localhost nest\n")?;
    for module in modules {
        root.file(file_of(module), 0o644, module.unsigned())?;
    }
    root.file(path_inside(&nest.program), 0o755, program::read(&nest.program)?)?;
    if !root.add_busybox()? && nest.shell {
        return Err(Error::NoShell);
    }
    Ok(root)
}

/// The modules that the kernel needs, unpacked.
///
/// # Errors
///
/// When one is lacking or damaged, or the kernel is a real-time one.
pub(crate) fn modules(nest: &Nest) -> Result<Vec<Module>> {
    let more = nest.modules.iter().map(String::as_str);
    let names: Vec<&str> = MODULES.into_iter().chain(more).collect();
    let modules = nest.kernel.modules_for(&names, nest.memory_bytes)?;
    if nest.kernel.is_real_time() || modules.iter().any(Module::is_real_time) {
        return Err(Error::RealTime { kernel: nest.kernel.name.clone() });
    }
    Ok(modules)
}

/// Where a module is inside.
fn file_of(module: &Module) -> String {
    format!("/lib/modules/{}.ko", module.name)
}

/// Where a program of the host is inside.
fn path_inside(program: &Path) -> PathBuf {
    Path::new(PROGRAMS).join(program.file_name().unwrap_or_default())
}
