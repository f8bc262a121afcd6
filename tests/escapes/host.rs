//! The host as it must stay: what an attempt could have changed, looked at before and after.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    unistd::Uid,
};
use tempfile::TempDir;

/// The first word of the command line of a process that lives until its standard input ends.
pub const CANARY: &str = "--canary";

pub fn play_canary() -> ! {
    let _ = io::stdin().read(&mut [0]);
    std::process::exit(0)
}

/// The tests see mounts that nobody else changes: those of the host, copied, and shared among
/// themselves as the host's are. Only root may; else a mount that another makes meanwhile is seen.
pub fn have_mounts_of_our_own() {
    if Uid::effective().is_root() && unshare(CloneFlags::CLONE_NEWNS).is_ok() {
        for propagation in [MsFlags::MS_PRIVATE, MsFlags::MS_SHARED] {
            let none = None::<&str>;
            mount(none, "/", none, propagation | MsFlags::MS_REC, none)
                .expect("who makes a mount namespace may change its propagation");
        }
    }
}

/// A folder of one test, and what it must not change.
pub struct Host {
    folder: TempDir,
    program: Arc<TempDir>,
    canary: Child,
    names: BTreeSet<String>,
    before: Vec<(&'static str, String)>,
}

impl Host {
    /// Looks at the host, before an attempt.
    pub fn watched() -> Self {
        let folder = tempfile::Builder::new().prefix("escapes-").tempdir_in("/var/tmp").unwrap();
        set_mode(folder.path(), 0o755);
        let secrets = folder.path().join("canary/secrets");
        fs::create_dir_all(&secrets).unwrap();
        fs::write(secrets.join("key"), "the host's own\n").unwrap();
        fs::write(folder.path().join("canary/file"), "as it was\n").unwrap();
        set_mode(&secrets.join("key"), 0o600);
        set_mode(&folder.path().join("canary/file"), 0o666);
        let mut canary = Command::new(std::env::current_exe().unwrap());
        let canary = canary.arg(CANARY).stdin(Stdio::piped()).spawn().unwrap();
        let program = program();
        let names = names_in_the_root();
        let before = look(&folder.path().join("canary"), &names);
        Self { folder, program, canary, names, before }
    }

    /// Fails if the host is not what it was.
    pub fn is_unchanged(&mut self, by: &str) {
        let after = look(&self.canary(), &self.names);
        for ((what, before), (_, after)) in self.before.iter().zip(&after) {
            assert_eq!(before, after, "{by} has changed {what}");
        }
        let ended = self.canary.try_wait().unwrap();
        assert!(ended.is_none(), "{by} has ended a process of the host: {ended:?}");
    }

    /// A folder of the host's that nobody may change.
    pub fn canary(&self) -> PathBuf {
        self.folder.path().join("canary")
    }

    /// A file of the host's that nobody inside may read.
    pub fn secret(&self) -> String {
        self.canary().join("secrets/key").display().to_string()
    }

    /// A process of the host's that must live.
    pub fn process(&self) -> u32 {
        self.canary.id()
    }

    /// Where the test may make what it likes.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The path of this program on the host, in reach of every user.
    pub fn program(&self) -> PathBuf {
        self.program.path().join("attempt")
    }

    /// A directory to be a root, with this program as `/attempt`.
    pub fn new_root(&self, name: &str) -> PathBuf {
        let root = self.folder.path().join(name);
        for directory in ["", "tmp", "etc", "dev", "proc", "sys", "volume"] {
            fs::create_dir_all(root.join(directory)).unwrap();
        }
        set_mode(&root.join("tmp"), 0o1777);
        fs::hard_link(self.program(), root.join("attempt")).unwrap();
        root
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.canary.kill(); // one that has ended is to be reaped all the same
        let _ = self.canary.wait();
    }
}

/// This program where everybody may execute it, once for all tests that run at a time.
fn program() -> Arc<TempDir> {
    static SHARED: Mutex<Weak<TempDir>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = shared.upgrade() {
        return program;
    }
    let folder = tempfile::Builder::new().prefix("escapes-").tempdir_in("/var/tmp").unwrap();
    set_mode(folder.path(), 0o755);
    let copy = folder.path().join("attempt");
    // By a process of its own: a descriptor that this one writes to would be inherited by the
    // children of other threads, and a file that is written to cannot be executed (ETXTBSY).
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&copy).status();
    assert!(copied.unwrap().success(), "cp of this program");
    set_mode(&copy, 0o755);
    let program = Arc::new(folder);
    *shared = Arc::downgrade(&program);
    program
}

pub fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What of the host is looked at.
fn look(canary: &Path, names: &BTreeSet<String>) -> Vec<(&'static str, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
    let settings = [
        "kernel/core_pattern",
        "kernel/hostname",
        "kernel/domainname",
        "kernel/modprobe",
        "kernel/printk",
        "kernel/sysrq",
        "net/ipv4/ip_forward",
        "vm/overcommit_memory",
    ];
    let settings = settings.map(|name| read(&format!("/proc/sys/{name}")));
    let root = names.iter().map(|name| match describe(&Path::new("/").join(name)) {
        Ok(description) => description,
        Err(error) => format!("/{name}: {error}"),
    });
    let root: Vec<String> = root.collect();
    vec![
        ("the mounts of the host", read("/proc/self/mountinfo")),
        ("the settings of the kernel", settings.join("\n")),
        ("what the kernel executes for events", read("/sys/kernel/uevent_helper")),
        ("the root directory of the host", root.join("\n")),
        ("a folder of the host", tree(canary).join("\n")),
    ]
}

fn describe(path: &Path) -> io::Result<String> {
    let about = fs::symlink_metadata(path)?;
    let (mode, owner) = (about.mode(), about.uid());
    let device = about.rdev();
    Ok(format!("{} {mode:o} {owner} {device}", path.display()))
}

/// What is in `/`, and what is not but would be if a container filled it in the place of its own root
/// or `/dev`. That others make something else there meanwhile is their business.
fn names_in_the_root() -> BTreeSet<String> {
    let there = fs::read_dir("/").unwrap().map(|entry| entry.unwrap().file_name());
    let there = there.map(|name| name.to_string_lossy().into_owned());
    let devices = ["null", "zero", "full", "random", "urandom", "tty", "console", "ptmx"];
    let others = ["fd", "stdin", "stdout", "stderr", "pts", "shm", "mqueue"];
    let ours = ["volume", "place", "work", "evil", "upper", "new", "core"];
    let made = devices.into_iter().chain(others).chain(ours).map(str::to_owned);
    there.chain(made).collect()
}

/// All that is in a directory: names, kinds, owners, times, contents.
fn tree(path: &Path) -> Vec<String> {
    let about = fs::symlink_metadata(path).unwrap();
    let time = (about.mtime(), about.mtime_nsec());
    let content = if about.is_file() { fs::read(path).unwrap() } else { Vec::new() };
    let mut all = vec![format!("{} {time:?} {}", describe(path).unwrap(), content.escape_ascii())];
    if about.is_dir() {
        let mut entries: Vec<PathBuf> =
            fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        all.extend(entries.iter().flat_map(|entry| tree(entry)));
    }
    all
}
