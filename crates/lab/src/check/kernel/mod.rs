//! What the kernel says of a process, seen from outside.

mod load;
mod mount;
mod tree;

use std::{
    fs, io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use host::ProcessStat;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

pub use load::Load;
pub use mount::Mount;
pub use tree::{Node, tree};

use super::finding::{Checked, cannot_tell, ensure};

/// Looks whether this kernel counts how long threads run and wait.
///
/// # Errors
///
/// `lacking` where it does not (`CONFIG_SCHED_INFO`): `schedstat` is absent then, or all zeros.
pub fn counts_run_time() -> Checked<()> {
    // The time up to now is added when the thread gives up the processor.
    thread::sleep(Duration::from_millis(1));
    let (ran, _) = Process { pid: std::process::id() }.schedstat().unwrap_or_default();
    ensure(!ran.is_zero(), || {
        cannot_tell("lacking").fact("error", "/proc/PID/schedstat, CONFIG_SCHED_INFO")
    })
}

/// A process, by its number on the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// The number.
    pub pid: u32,
}

impl Process {
    /// The path of a file of this process in `/proc`.
    pub fn path(self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid))
    }

    /// The content of a file in `/proc/PID`.
    ///
    /// # Errors
    ///
    /// When the process is gone, or may not be looked at.
    pub fn read(self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.path(name)).map_err(|error| named(&self.path(name), &error))
    }

    /// Where a link in `/proc/PID` leads.
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn link(self, name: &str) -> io::Result<String> {
        let target = fs::read_link(self.path(name));
        let target = target.map_err(|error| named(&self.path(name), &error))?;
        Ok(target.to_string_lossy().into_owned())
    }

    /// A namespace of it, by its inode: `uts:[4026531838]` (namespaces(7)). `kind` is a file name
    /// in `/proc/PID/ns`.
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn namespace(self, kind: &str) -> io::Result<String> {
        self.link(&format!("ns/{kind}"))
    }

    /// A field of `/proc/PID/status`: `NSpid`, `CapEff` (proc_pid_status(5)).
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`]; and when there is no such field.
    pub fn status(self, field: &str) -> io::Result<String> {
        let status = self.read("status")?;
        let found = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let none = || named(&self.path("status"), &io::Error::other(format!("no field {field}")));
        found.map(|value| value.trim().to_owned()).ok_or_else(none)
    }

    /// A field of `/proc/PID/stat` by its number in proc_pid_stat(5), from 3 on: 39 is the
    /// processor, 41 the scheduling policy.
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`]; and when it is not a number.
    pub fn stat(self, field: usize) -> io::Result<u64> {
        let stat = ProcessStat::parse(&self.read("stat")?);
        let none = || named(&self.path("stat"), &io::Error::other(format!("no number {field}")));
        stat.and_then(|stat| stat.field(field)).ok_or_else(none)
    }

    /// How long it ran and how long it waited for a processor, by `/proc/PID/schedstat`.
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn schedstat(self) -> io::Result<(Duration, Duration)> {
        let text = self.read("schedstat")?;
        let mut numbers = text.split_whitespace().map_while(|word| word.parse().ok());
        let mut next = || numbers.next().map(Duration::from_nanos).unwrap_or_default();
        Ok((next(), next()))
    }

    /// The mounts that it sees.
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn mounts(self) -> io::Result<Vec<Mount>> {
        Ok(self.read("mountinfo")?.lines().filter_map(Mount::parse).collect())
    }

    /// The path of its cgroup in the hierarchy with this controller, from that hierarchy's root;
    /// that of version 2 where version 1 has none with it (cgroups(7), `/proc/PID/cgroup`).
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn cgroup(self, controller: &str) -> io::Result<String> {
        let text = self.read("cgroup")?;
        let lines = text.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
        let lines: Vec<(&str, &str)> = lines.collect();
        let with = |name: &str| {
            let found = lines.iter().find(|(of, _)| of.split(',').any(|of| of == name));
            found.map(|(_, path)| (*path).to_owned())
        };
        let none = || named(&self.path("cgroup"), &io::Error::other("no such hierarchy"));
        with(controller).or_else(|| with("")).ok_or_else(none)
    }

    /// Its open descriptors: number, and what it refers to (`anon_inode:kvm-vm`).
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn descriptors(self) -> io::Result<Vec<(i32, String)>> {
        let listing = fs::read_dir(self.path("fd")).map_err(|e| named(&self.path("fd"), &e))?;
        let mut descriptors: Vec<(i32, String)> = listing
            .filter_map(|entry| {
                let number: i32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
                Some((number, self.link(&format!("fd/{number}")).ok()?))
            })
            .collect();
        descriptors.sort_unstable();
        Ok(descriptors)
    }

    /// A copy of one of its descriptors (pidfd_getfd(2)).
    ///
    /// # Errors
    ///
    /// When there is none with that number, or the process may not be looked into.
    pub fn descriptor(self, number: i32) -> io::Result<OwnedFd> {
        let pid = Pid::from_raw(self.pid.cast_signed()).ok_or(io::ErrorKind::InvalidInput)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
        Ok(pidfd_getfd(pidfd, number, PidfdGetfdFlags::empty())?)
    }

    /// What is in its memory at `address` (proc_pid_mem(5)).
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`]; and when there is no memory.
    pub fn memory(self, address: u64, bytes: usize) -> io::Result<Vec<u8>> {
        use std::os::unix::fs::FileExt;
        let path = self.path("mem");
        let mut content = vec![0; bytes];
        let read = fs::File::open(&path).and_then(|file| file.read_exact_at(&mut content, address));
        read.map(|()| content).map_err(|error| named(&path, &error))
    }

    /// Its threads, as processes of which `/proc` tells too.
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn threads(self) -> io::Result<Vec<Self>> {
        let listing = fs::read_dir(self.path("task")).map_err(|e| named(&self.path("task"), &e))?;
        Ok(numbers(listing))
    }

    /// Its number as it is in its own pid namespace: the last of `NSpid`.
    ///
    /// # Errors
    ///
    /// Those of [`Process::read`].
    pub fn inner_pid(self) -> io::Result<u32> {
        let chain = self.status("NSpid")?;
        chain
            .split_whitespace()
            .last()
            .and_then(|pid| pid.parse().ok())
            .ok_or_else(|| named(&self.path("status"), &io::Error::other("NSpid has no number")))
    }

    /// Whether it lives; one that only waits to be reaped does not.
    pub fn is_alive(self) -> bool {
        sandbox::Process::of(self.pid).is_some_and(|process| process.is_alive())
    }

    /// The processes that it has started, and those that they have, in the order of their numbers.
    pub fn descendants(self) -> Vec<Self> {
        let Ok(listing) = fs::read_dir("/proc") else { return Vec::new() };
        let all: Vec<(Self, u32)> = numbers(listing)
            .into_iter()
            .filter_map(|process| Some((process, process.status("PPid").ok()?.parse().ok()?)))
            .collect();
        let mut found = vec![self];
        // A child may have a smaller number than its parent, so until nothing is added.
        loop {
            let known = found.len();
            for (process, parent) in &all {
                let child = found.iter().any(|known| known.pid == *parent);
                if child && !found.contains(process) {
                    found.push(*process);
                }
            }
            if found.len() == known {
                break;
            }
        }
        found.remove(0);
        found.retain(|process| process.is_alive());
        found.sort_unstable();
        found
    }
}

/// A number in a file of the kernel's: that of the line which begins with the word `field`, or with
/// no field the first one.
///
/// # Errors
///
/// When the file is not readable or has no such number.
pub fn number(path: &Path, field: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path).map_err(|error| named(path, &error))?;
    let of_line = |line: &str| {
        let rest = line.strip_prefix(field)?;
        let apart = field.is_empty() || rest.starts_with(' ');
        apart.then(|| rest.split_whitespace().next()?.parse().ok()).flatten()
    };
    let none = || named(path, &io::Error::other(format!("no number {field}")));
    text.lines().find_map(of_line).ok_or_else(none)
}

fn numbers(listing: fs::ReadDir) -> Vec<Process> {
    let names = listing.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut found: Vec<Process> = names.map(|pid| Process { pid }).collect();
    found.sort_unstable();
    found
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_looked_at() {
        let own = Process { pid: std::process::id() };
        assert!(own.is_alive());
        assert!(own.namespace("uts").unwrap().starts_with("uts:["));
        assert_eq!(own.inner_pid().unwrap(), std::process::id());
        assert!(own.mounts().unwrap().iter().any(|mount| mount.point == "/"));
        assert!(own.stat(39).unwrap() < 4096);
        assert!(own.cgroup("memory").unwrap().starts_with('/'));
        assert!(number(&own.path("stat"), "").is_ok_and(|pid| pid == u64::from(own.pid)));
        assert!(number(&own.path("io"), "rchar:").is_ok());
        let word = *b"here";
        assert_eq!(own.memory(word.as_ptr() as u64, 4).unwrap(), word);
    }
}
