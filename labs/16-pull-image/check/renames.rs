//! Under which events a blob got its final name: what inotify(7) tells of the store.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::Path,
};

use lab::check::{Bench, Checked, Process, ensure, fail};
use rustix::fs::{
    Mode, OFlags, ResolveFlags,
    inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags},
    open, openat2,
};

/// A watch of the directory of whole blobs.
pub struct Renames(OwnedFd);

/// What has become of a name.
#[derive(Default)]
struct Arrivals {
    /// How often a file was renamed to it.
    moved: usize,
    /// How often it was created there, by open(2), link(2) or symlink(2).
    created: usize,
}

impl Renames {
    /// Begins to watch a directory of the process; whatever is at its place is only watched.
    pub fn watch(process: Process, directory: &Path) -> io::Result<Self> {
        let flags = OFlags::DIRECTORY | OFlags::PATH | OFlags::CLOEXEC;
        let root = open(process.path("root"), flags, Mode::empty())?;
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS;
        let directory = openat2(root, directory, flags, Mode::empty(), resolve)?;
        let watch = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let path = format!("/proc/self/fd/{}", directory.as_raw_fd());
        inotify::add_watch(
            &watch,
            path,
            WatchFlags::MOVED_TO | WatchFlags::CREATE | WatchFlags::DELETE,
        )?;
        Ok(Self(watch))
    }

    /// Whether every name came to be by one rename.
    pub fn ensure_each_once(self, bench: &mut Bench) -> Checked<()> {
        let mut names = BTreeMap::<String, Arrivals>::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut events = Reader::new(&self.0, &mut buffer);
        // It would block: that was all.
        while let Ok(event) = events.next() {
            let name = event.file_name().map_or(&b""[..], |name| name.to_bytes());
            let name = OsStr::from_bytes(name).display().to_string();
            let arrivals = names.entry(name).or_default();
            // A removal keeps the kernel from making one event of two renames.
            if event.events().contains(ReadFlags::MOVED_TO) {
                arrivals.moved += 1;
            } else if event.events().contains(ReadFlags::CREATE) {
                arrivals.created += 1;
            }
        }
        let count = names.values().map(|it| it.moved).sum::<usize>();
        bench
            .saw("inotify(7) of blobs/sha256", format!("{count} renames to {} names", names.len()));
        for (name, Arrivals { moved, created }) in &names {
            let about = |id: &str| fail(id).fact("digest", name).fact("times", moved);
            ensure(*created == 0, || about("L16-not-renamed"))?;
            ensure(*moved == 1, || about("L16-renamed-first"))?;
        }
        Ok(())
    }
}
