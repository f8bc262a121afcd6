//! What the kernel's out-of-memory killer killed in a cgroup.

use std::{
    fs,
    io::{Read as _, Seek as _},
    os::fd::OwnedFd,
    path::Path,
};

use nix::{
    fcntl::{OFlag, openat},
    sys::stat::Mode,
};
use sandbox::OutOfMemory;

/// Counts kills in a cgroup.
#[derive(Debug)]
pub(crate) struct MemoryWatch {
    events: fs::File,
    before: u64,
    /// The cgroup, for its limit.
    directory: OwnedFd,
}

/// The files that count kills: `memory.events` of version 2, `memory.oom_control` of version 1
/// (Linux, Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst).
const EVENTS: [&str; 2] = ["memory.events", "memory.oom_control"];
/// The files with the limit.
const LIMITS: [&str; 2] = ["memory.max", "memory.limit_in_bytes"];

impl MemoryWatch {
    /// Counts from now on, in an existing cgroup; `None` without a memory controller.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let mut watch = Self::of_new(path)?;
        watch.before = watch.kills();
        Some(watch)
    }

    /// Counts from the creation of the cgroup on.
    pub(crate) fn of_new(path: &Path) -> Option<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = nix::fcntl::open(path, flags, Mode::empty()).ok()?;
        let events = EVENTS.iter().find_map(|name| open(&directory, name))?;
        Some(Self { events, before: 0, directory })
    }

    /// What has been killed since then.
    pub(crate) fn killed(&mut self) -> Option<OutOfMemory> {
        let kills = self.kills().saturating_sub(self.before);
        let limit = || {
            let text = LIMITS.iter().find_map(|name| read(&mut open(&self.directory, name)?));
            limit_in(text?.trim())
        };
        (kills > 0).then(|| OutOfMemory { kills, limit_bytes: limit() })
    }

    fn kills(&mut self) -> u64 {
        let text = read(&mut self.events).unwrap_or_default();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }
}

/// `max`, and on version 1 the largest number of pages, mean no limit.
fn limit_in(text: &str) -> Option<u64> {
    const LARGEST: u64 = i64::MAX as u64 & !0xfff; // PAGE_COUNTER_MAX
    text.parse().ok().filter(|bytes| *bytes < LARGEST)
}

fn open(directory: &OwnedFd, name: &str) -> Option<fs::File> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    openat(directory, name, flags, Mode::empty()).ok().map(fs::File::from)
}

/// The whole file from its beginning; the kernel generates it anew for each such read.
fn read(file: &mut fs::File) -> Option<String> {
    const MOST: u64 = 4096;
    let mut text = String::new();
    file.rewind().ok()?;
    file.take(MOST).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_told_from_one() {
        assert_eq!(limit_in("67108864"), Some(64 << 20));
        assert_eq!((limit_in("max"), limit_in("9223372036854771712")), (None, None));
    }
}
