//! Question 3: what does it find inside? The container's answer: a root file system of its own.
//! The microVM's answer is `microvm::loader`.
//!
//! ```text
//!   1. make all mounts private          nothing mounted here shows up outside
//!   2. build the new root               tmpfs, directory or overlay, and enter it
//!   3. mount proc, dev, sys in it       while the host's are still in reach (user namespaces)
//!   4. pivot_root(".", ".")             the new root on top, the old one under it
//!   5. umount2(".", MNT_DETACH)         the old one is gone, with all that was mounted there
//! ```
//!
//! `chroot(2)` would leave the old root mounted, and a process that keeps a directory open outside
//! could walk out; after step 5 there is nothing to walk to.

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use sandbox::Question::Inside;

use crate::{
    Error, error, mounts, overlay,
    plan::{LAST, Plan},
};

/// The root file system of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Root {
    /// For a command a throw-away overlay over the host's own `/`: everything can be read, and
    /// what is written is gone afterwards. For a built-in program an empty tmpfs: it is executed
    /// from memory (`memfd_create(2)`) and needs no file.
    #[default]
    Host,
    /// A directory, as it is: what is written there stays.
    Directory(PathBuf),
    /// Directories on top of each other, the first one uppermost.
    Overlay {
        /// The layers that are only read.
        lowers: Vec<PathBuf>,
        /// The layer that is written to.
        upper: Upper,
    },
}

/// The layer of an overlay that takes what is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Upper {
    /// In memory, gone with the container.
    #[default]
    ThrowAway,
    /// In this directory: `upper` holds what was written, `work` is overlayfs's own.
    Kept(PathBuf),
}

/// How much of a usual system is around the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Furniture {
    /// `/proc` and an empty `/dev`: what a built-in program gets.
    Bare,
    /// Devices, pseudo-terminals, shared memory, `/sys`; with parts of `/proc` and `/sys` masked.
    Full,
}

/// What the steps need to know besides the root itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    pub(crate) furniture: Furniture,
    /// In a user namespace some mounts are refused, and others must be made otherwise.
    pub(crate) user_namespace: bool,
    pub(crate) pid_namespace: bool,
    /// The slave of a pseudo-terminal of the host's, to become `/dev/console`.
    pub(crate) terminal: Option<&'a Path>,
}

/// A directory that every Linux system has, to mount on: the mount is seen by the child only.
pub(crate) const STAGE: &str = "/tmp";

const NOSUID: u64 = libc::MS_NOSUID;
const NODEV: u64 = libc::MS_NODEV;
const NOEXEC: u64 = libc::MS_NOEXEC;
const RDONLY: u64 = libc::MS_RDONLY;
const BIND: u64 = libc::MS_BIND;
const REC: u64 = libc::MS_REC;

/// Looks whether the directories of `root` are there, before anything is made.
pub(crate) fn check(root: &Root) -> Result<(), Error> {
    let all: Vec<&PathBuf> = match root {
        Root::Host => Vec::new(),
        Root::Directory(path) => vec![path],
        Root::Overlay { lowers, .. } => lowers.iter().collect(),
    };
    for path in all {
        std::fs::read_dir(path).map_err(|source| Error::NoRoot { path: path.clone(), source })?;
    }
    if let Root::Overlay { upper: Upper::Kept(kept), .. } = root {
        for layer in ["upper", "work"] {
            let path = kept.join(layer);
            std::fs::create_dir_all(&path).map_err(error::file("create", &path))?;
        }
    }
    Ok(())
}

/// The child's steps into its own root.
pub(crate) fn enter(plan: &mut Plan, root: &Root, around: Surroundings<'_>) -> Result<(), Error> {
    mount(plan, "", Path::new("/"), "", REC | libc::MS_PRIVATE, "")?;
    match root {
        Root::Host if around.furniture == Furniture::Bare => empty(plan)?,
        Root::Host if around.user_namespace => overlay::host_by_folders(plan, &mounts::all()?)?,
        Root::Host => overlay::host(plan, &mounts::all()?)?,
        Root::Directory(path) => {
            let path = path.canonicalize().map_err(error::file("find", path))?;
            mount(plan, &path, &path, "", BIND | REC, "")?;
            change_directory(plan, &path)?;
        }
        Root::Overlay { lowers, upper } => overlay::layers(plan, lowers, upper, around)?,
    }
    match around.furniture {
        Furniture::Bare => bare(plan, around)?,
        Furniture::Full => full(plan, around)?,
    }
    let here = plan.text(".")?;
    plan.step(Inside, "pivot_root . .", libc::SYS_pivot_root, [here, here]);
    let detach = libc::MNT_DETACH as usize;
    plan.step(Inside, "umount2 the old root", libc::SYS_umount2, [here, detach]);
    change_directory(plan, Path::new("/"))
}

/// An empty root: a tmpfs with two directories to mount on.
fn empty(plan: &mut Plan) -> Result<(), Error> {
    mount(plan, "tmpfs", Path::new(STAGE), "tmpfs", NOSUID | NODEV, "mode=755,size=64k")?;
    change_directory(plan, Path::new(STAGE))?;
    make_directory(plan, "proc", 0o555)?;
    make_directory(plan, "dev", 0o755)
}

fn proc(plan: &mut Plan, around: Surroundings<'_>) -> Result<(), Error> {
    if around.pid_namespace {
        mount(plan, "proc", Path::new("proc"), "proc", NOSUID | NODEV | NOEXEC, "")
    } else {
        // A fresh one would show the same processes, and a user namespace may not mount it.
        mount(plan, "/proc", Path::new("proc"), "", BIND | REC, "")
    }
}

fn dev(plan: &mut Plan) -> Result<(), Error> {
    let options = "mode=755,size=65536k";
    mount(plan, "tmpfs", Path::new("dev"), "tmpfs", NOSUID | libc::MS_STRICTATIME, options)
}

fn bare(plan: &mut Plan, around: Surroundings<'_>) -> Result<(), Error> {
    proc(plan, around)?;
    dev(plan)
}

/// Parts of /proc and /sys that tell of the host or change it; as other runtimes mask them.
const MASKED_FILES: [&str; 4] =
    ["proc/kcore", "proc/keys", "proc/timer_list", "proc/latency_stats"];
const MASKED_DIRECTORIES: [&str; 3] = ["proc/scsi", "proc/acpi", "sys/firmware"];
const READ_ONLY: [&str; 5] = ["proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger"];

fn full(plan: &mut Plan, around: Surroundings<'_>) -> Result<(), Error> {
    for (name, mode) in [("proc", 0o555), ("dev", 0o755), ("sys", 0o555)] {
        make_directory(plan, name, mode)?;
    }
    proc(plan, around)?;
    dev(plan)?;
    devices(plan, around)?;
    // In a user namespace only the owner of the network namespace may mount it: then it stays empty.
    mount(plan, "sysfs", Path::new("sys"), "sysfs", NOSUID | NODEV | NOEXEC | RDONLY, "")?;
    if around.user_namespace {
        plan.forgive(&[Errno::EPERM]);
    }
    for name in MASKED_FILES {
        mount(plan, "dev/null", Path::new(name), "", BIND, "")?;
        plan.forgive(&[Errno::ENOENT]);
    }
    for name in MASKED_DIRECTORIES {
        mount(plan, "tmpfs", Path::new(name), "tmpfs", RDONLY | NOSUID | NODEV, "size=0")?;
        plan.forgive(&[Errno::ENOENT]);
    }
    for name in READ_ONLY {
        mount(plan, name, Path::new(name), "", BIND | REC, "")?;
        plan.forgive(&[Errno::ENOENT]);
        let flags = BIND | libc::MS_REMOUNT | RDONLY | NOSUID | NODEV | NOEXEC;
        mount(plan, "", Path::new(name), "", flags, "")?;
        // EINVAL: it is no mount, because the line before found nothing.
        plan.forgive(&[Errno::ENOENT, Errno::EINVAL]);
    }
    Ok(())
}

/// The devices that every program may count on, with their numbers (admin-guide/devices.txt).
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];
const LINKS: [(&str, &str); 5] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
    ("pts/ptmx", "dev/ptmx"),
];

fn devices(plan: &mut Plan, around: Surroundings<'_>) -> Result<(), Error> {
    // The modes below are meant as they are written.
    plan.step(Inside, "umask 0", libc::SYS_umask, [0]);
    for (name, major, minor) in DEVICES {
        let target = format!("dev/{name}");
        if around.user_namespace {
            // A user namespace may not make devices: those of the host are bound.
            make_file(plan, &target)?;
            mount(plan, format!("/dev/{name}"), Path::new(&target), "", BIND, "")?;
        } else {
            let path = plan.text(&target)?;
            let (mode, device) = (libc::S_IFCHR | 0o666, libc::makedev(major, minor));
            let words = format!("mknod /{target} c {major} {minor}");
            plan.step(Inside, words, libc::SYS_mknod, [path, mode as usize, device as usize]);
        }
    }
    plan.step(Inside, "umask 022", libc::SYS_umask, [0o022]);
    for (to, name) in LINKS {
        let (to_text, path) = (plan.text(to)?, plan.text(name)?);
        let words = format!("symlink /{name} -> {to}");
        plan.step(Inside, words, libc::SYS_symlink, [to_text, path]);
    }
    for name in ["dev/pts", "dev/shm", "dev/mqueue"] {
        make_directory(plan, name, 0o755)?;
    }
    // The group tty need not have an id in a user namespace.
    let group = if around.user_namespace { "" } else { ",gid=5" };
    let options = format!("newinstance,ptmxmode=0666,mode=0620{group}");
    mount(plan, "devpts", Path::new("dev/pts"), "devpts", NOSUID | NOEXEC, &options)?;
    let flags = NOSUID | NODEV | NOEXEC;
    mount(plan, "shm", Path::new("dev/shm"), "tmpfs", flags, "mode=1777,size=65536k")?;
    mount(plan, "mqueue", Path::new("dev/mqueue"), "mqueue", flags, "")?;
    // Its owner is the namespace of IPC, which may be the host's; a kernel may lack it.
    plan.forgive(&[Errno::EPERM, Errno::ENODEV]);
    if let Some(terminal) = around.terminal {
        make_file(plan, "dev/console")?;
        mount(plan, terminal, Path::new("dev/console"), "", BIND, "")?;
    }
    Ok(())
}

/// `mount(2)`; empty texts are null.
pub(crate) fn mount(
    plan: &mut Plan,
    source: impl AsRef<Path>,
    target: &Path,
    kind: &str,
    flags: u64,
    options: &str,
) -> Result<(), Error> {
    let source = source.as_ref();
    let words = match (kind, flags) {
        (_, flags) if flags & libc::MS_PRIVATE != 0 => "make all mounts private".to_owned(),
        ("", flags) if flags & libc::MS_REMOUNT != 0 => {
            format!("mount {} read-only", target.display())
        }
        ("", _) => format!("mount --bind {} on {}", source.display(), target.display()),
        (kind, _) if options.is_empty() => format!("mount {kind} on {}", target.display()),
        (kind, _) => format!("mount {kind} on {} ({options})", target.display()),
    };
    let mut operand = |text: &Path| match text.as_os_str().is_empty() {
        true => Ok(0),
        false => plan.text(text),
    };
    let operands = [
        operand(source)?,
        operand(target)?,
        operand(Path::new(kind))?,
        flags as usize,
        operand(Path::new(options))?,
    ];
    plan.step(Inside, words, libc::SYS_mount, operands);
    Ok(())
}

/// `mkdir(2)`; one that is there already is as good, and on a read-only root there must be one.
pub(crate) fn make_directory(plan: &mut Plan, path: &str, mode: usize) -> Result<(), Error> {
    let operand = plan.text(path)?;
    plan.step(Inside, format!("mkdir {path}"), libc::SYS_mkdir, [operand, mode]);
    plan.forgive(&[Errno::EEXIST, Errno::EROFS]);
    Ok(())
}

/// An empty file, to bind another one to.
fn make_file(plan: &mut Plan, path: &str) -> Result<(), Error> {
    let operand = plan.text(path)?;
    let flags = (libc::O_CREAT | libc::O_CLOEXEC | libc::O_WRONLY) as usize;
    plan.step(Inside, format!("create /{path}"), libc::SYS_open, [operand, flags, 0o644]);
    plan.step(Inside, "close it", libc::SYS_close, [LAST]);
    Ok(())
}

/// `chdir(2)`.
pub(crate) fn change_directory(plan: &mut Plan, path: &Path) -> Result<(), Error> {
    let operand = plan.text(path)?;
    plan.step(Inside, format!("chdir {}", path.display()), libc::SYS_chdir, [operand]);
    Ok(())
}
