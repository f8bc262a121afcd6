//! Containers over whatever tree of files, described in whatever way: the host's mounts, its root
//! directory and a folder beside the tree stay as they were, and no container hangs.
//!
//! It needs root, which alone can lose something here.
#![no_main]

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::{Path, PathBuf},
    process::exit,
    time::Duration,
};

use arbitrary::Arbitrary;
use container::{Container, Mount, Namespace, Root, Upper};
use libfuzzer_sys::fuzz_target;
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::stat::Mode,
    unistd::{Uid, mkfifo},
};
use sandbox::{Builtin, Error, Sandbox as _, Workload};
use tempfile::TempDir;

/// A part of a path: from so few that paths meet. Two are the names that an overlay's own folder has.
#[derive(Debug, Clone, Copy, Arbitrary)]
enum Part {
    Upper,
    Work,
    Up,
    Here,
    Top,
    Canary,
    Proc,
    Process,
    Descriptor,
    Link,
    Namespace,
    Sys,
    Dev,
    Null,
    Terminals,
    Memory,
    Long,
}

#[derive(Debug, Clone, Arbitrary)]
struct Name(Vec<Part>);

impl Name {
    fn path(&self, canary: &Path) -> PathBuf {
        let long = "x".repeat(255);
        let parts = self.0.iter().take(8).map(|part| match part {
            Part::Upper => Path::new("upper"),
            Part::Work => Path::new("work"),
            Part::Up => Path::new(".."),
            Part::Here => Path::new("."),
            Part::Top => Path::new("/"),
            Part::Canary => canary,
            Part::Proc => Path::new("proc"),
            Part::Process => Path::new("self"),
            Part::Descriptor => Path::new("fd/8"),
            Part::Link => Path::new("cwd"),
            Part::Namespace => Path::new("ns/mnt"),
            Part::Sys => Path::new("sys"),
            Part::Dev => Path::new("dev"),
            Part::Null => Path::new("null"),
            Part::Terminals => Path::new("pts"),
            Part::Memory => Path::new("shm"),
            Part::Long => Path::new(&long),
        });
        parts.collect()
    }

    fn inside(&self, canary: &Path) -> PathBuf {
        Path::new("/").join(self.path(canary))
    }
}

/// What is in the tree, in this order; what cannot be made is left out.
#[derive(Debug, Clone, Arbitrary)]
enum TreeEntry {
    Directory(Name),
    File(Name),
    Link(Name, Name),
    Fifo(Name),
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Kind {
    Folder,
    File,
    Tmpfs,
    Proc,
    Sysfs,
}

#[derive(Debug, Arbitrary)]
struct Wish {
    tree: Vec<TreeEntry>,
    mounts: Vec<(Name, Kind)>,
    directory: Option<Name>,
    masked: Vec<Name>,
    read_only_paths: Vec<Name>,
    overlay: bool,
    kept: bool,
    read_only: bool,
    share_pids: bool,
    user_namespace: bool,
}

/// The folders of one run.
struct ScratchRoot {
    folder: TempDir,
}

impl ScratchRoot {
    fn new() -> Self {
        let folder = TempDir::new().expect("memory for files");
        for name in ["root", "canary/inner", "volume"] {
            fs::create_dir_all(folder.path().join(name)).expect("memory for files");
        }
        for name in ["canary/file", "volume/file"] {
            fs::write(folder.path().join(name), name).expect("memory for files");
        }
        // It is that of the root of a new user namespace: else nothing could be made in it.
        let owner = Some(100_000);
        chown(folder.path().join("root"), owner, owner).expect("root may");
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes the tree. Only what lies in the root itself is made: a name that leads out, or through a
    /// link, is not.
    fn plant(&self, tree: &[TreeEntry]) {
        let (root, canary) = (self.path("root"), self.path("canary"));
        let place = |name: &Name| {
            let path = name.path(&canary);
            let path = root.join(path.strip_prefix("/").unwrap_or(&path));
            let parent = path.parent()?.canonicalize().ok()?;
            let is_inside = parent.starts_with(&root) && path.file_name().is_some();
            is_inside.then(|| parent.join(path.file_name().unwrap_or_default()))
        };
        for entry in tree.iter().take(24) {
            // What is there already stays.
            let _ = match entry {
                TreeEntry::Directory(name) => place(name).map(|path| fs::create_dir(path).is_ok()),
                TreeEntry::File(name) => place(name).map(|path| fs::File::create_new(path).is_ok()),
                TreeEntry::Link(name, target) => {
                    place(name).map(|path| symlink(target.path(&canary), path).is_ok())
                }
                TreeEntry::Fifo(name) => {
                    place(name).map(|path| mkfifo(&path, Mode::S_IRWXU).is_ok())
                }
            };
        }
    }

    fn mount(&self, name: &Name, kind: Kind) -> Mount {
        let (kind, source) = match kind {
            Kind::Folder => ("bind", self.path("volume")),
            Kind::File => ("bind", self.path("volume/file")),
            Kind::Tmpfs => ("tmpfs", "tmpfs".into()),
            Kind::Proc => ("proc", "proc".into()),
            Kind::Sysfs => ("sysfs", "sysfs".into()),
        };
        let destination = name.inside(&self.path("canary"));
        Mount { destination, kind: kind.into(), source, options: Vec::new() }
    }

    fn container(&self, wish: &Wish) -> Container {
        let root = self.path("root");
        let upper = match wish.kept {
            true => Upper::Kept(root.clone()), // with links in the place of upper and work, perhaps
            false => Upper::ThrowAway,
        };
        let root = match wish.overlay {
            true if wish.kept => Root::Overlay { lowers: vec![self.path("volume")], upper },
            true => Root::Overlay { lowers: vec![root], upper },
            false => Root::Directory(root),
        };
        let mut container = Container::default().root(root);
        let canary = self.path("canary");
        let spec = &mut container.spec;
        spec.budget.usual_pids = None;
        spec.boundary.namespaces.pid = Namespace::new_if(!wish.share_pids);
        spec.boundary.namespaces.user = match wish.user_namespace {
            true => Namespace::New,
            false => Namespace::Shared,
        };
        // The making of one takes most of a start, and it has no part in this.
        spec.boundary.namespaces.net = Namespace::Shared;
        spec.way_out.network = container::Network::Host;
        let mounts = wish.mounts.iter().take(6).map(|(name, kind)| self.mount(name, *kind));
        spec.inside.mounts.extend(mounts);
        let paths = |names: &[Name]| -> Vec<PathBuf> {
            names.iter().take(6).map(|name| name.inside(&canary)).collect()
        };
        spec.inside.masked_paths.extend(paths(&wish.masked));
        spec.inside.read_only_paths.extend(paths(&wish.read_only_paths));
        spec.inside.read_only = wish.read_only;
        container
    }
}

/// What must stay as it is.
#[derive(Debug, PartialEq, Eq)]
struct Host {
    mounts: String,
    root: Vec<PathBuf>,
    canary: Vec<String>,
}

impl Host {
    fn look(place: &ScratchRoot) -> Self {
        let mounts = fs::read_to_string("/proc/self/mountinfo").expect("a mounted /proc");
        let mut root: Vec<PathBuf> = entries(Path::new("/"));
        // Others may make what they like there meanwhile.
        root.retain(|path| {
            ["upper", "work", "null", "fd", "pts", "shm"].iter().any(|name| path.ends_with(name))
        });
        Self { mounts, root, canary: tree(&place.path("canary")) }
    }
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(path).expect("a directory that is there");
    let mut all: Vec<PathBuf> = listed.flatten().map(|entry| entry.path()).collect();
    all.sort();
    all
}

fn tree(path: &Path) -> Vec<String> {
    let about = fs::symlink_metadata(path).expect("it was there before");
    let content = if about.is_file() { fs::read(path).expect("root reads all") } else { vec![] };
    let (mode, time) = (about.permissions(), about.modified());
    let message = format!("{} {mode:?} {time:?} {}", path.display(), content.escape_ascii());
    let below = if about.is_dir() { entries(path) } else { vec![] };
    std::iter::once(message).chain(below.iter().flat_map(|path| tree(path))).collect()
}

/// Mounts that nobody else changes, shared among themselves as the host's are.
fn begin() {
    if !Uid::effective().is_root() {
        eprintln!("roots: this target needs root: only root can lose something here");
        exit(1);
    }
    unshare(CloneFlags::CLONE_NEWNS).expect("root may");
    for propagation in [MsFlags::MS_PRIVATE, MsFlags::MS_SHARED] {
        let none = None::<&str>;
        mount(none, "/", none, propagation | MsFlags::MS_REC, none).expect("root may");
    }
}

fuzz_target!(init: begin(), |wish: Wish| {
    let place = ScratchRoot::new();
    place.plant(&wish.tree);
    let container = place.container(&wish);
    let before = Host::look(&place);
    let hello = Workload::builtin(Builtin::Hello, &[]).deadline(Duration::from_secs(5));
    let directory = wish.directory.as_ref().map(|name| name.inside(&place.path("canary")));
    match container.run(&Workload { directory, ..hello }) {
        Ok(outcome) => assert_eq!(outcome.output, b"hello\n", "{outcome:?}"),
        Err(Error::Deadline { .. }) => panic!("it hangs"),
        Err(error) => {
            let message = sandbox::chain(&error);
            for ours in ["EFAULT", "EBADF", "EBUSY"] {
                assert!(!message.contains(ours), "a fault of isolab's own: {message}");
            }
        }
    }
    assert_eq!(Host::look(&place), before, "the host has changed");
});
