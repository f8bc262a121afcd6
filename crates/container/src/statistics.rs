//! Question 2, from outside: everything that the kernel counts of a container, as `docker stats` shows
//! it. [`observe`] has the few figures that most callers want.

use std::{collections::BTreeMap, fs, path::Path, time::Duration};

use sandbox::LedgerEntry;

use crate::observe;

/// What the kernel has counted of a container since its start. What no controller counts is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Statistics {
    /// CPU time in user mode.
    pub user_time: Duration,
    /// CPU time in the kernel.
    pub kernel_time: Duration,
    /// Periods of the CPU quota in which it wanted to run.
    pub periods: u64,
    /// Those in which it used up its quota.
    pub throttled_periods: u64,
    /// How long it had to wait because of that.
    pub throttled_time: Duration,
    /// Memory in use, in bytes, with the pages of files, if a controller counts it.
    pub memory_bytes: Option<u64>,
    /// The most that it was at any time, if the kernel remembers it (not before Linux 5.19 on cgroup
    /// version 2).
    pub most_memory_bytes: Option<u64>,
    /// What that memory is, by the names of the file `memory.stat`.
    pub memory: BTreeMap<String, u64>,
    /// Bytes and requests by block device and direction.
    pub disks: Vec<DiskCount>,
    /// Its network links without the loopback link, by name.
    pub links: BTreeMap<String, LinkCount>,
}

/// What went to or came from a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskCount {
    /// The device's number.
    pub major: u64,
    /// Its second part.
    pub minor: u64,
    /// Whether this is what was written.
    pub is_write: bool,
    /// Bytes.
    pub bytes: u64,
    /// Requests.
    pub requests: u64,
}

/// What went through a network link, in the container's direction (proc_pid_net(5): `dev`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkCount {
    /// Bytes, packets, errors and dropped packets that came in.
    pub received: [u64; 4],
    /// Those that went out.
    pub sent: [u64; 4],
}

/// What has been counted of a run until now.
pub fn statistics(entry: &LedgerEntry) -> Statistics {
    let first = entry.first.as_ref().filter(|first| first.is_alive());
    statistics_in(&observe::cgroups(entry).collect::<Vec<_>>(), first.map(|first| first.pid))
}

/// The same of these directories of a cgroup, and of the network links of its process `first`.
pub fn statistics_in(cgroups: &[&Path], first: Option<u32>) -> Statistics {
    let read = |name: &str| {
        let mut paths = cgroups.iter().map(|path| path.join(name));
        paths.find_map(|path| fs::read_to_string(path).ok())
    };
    let number = |name: &str| read(name).and_then(|text| text.trim().parse::<u64>().ok());
    let cpu = fields(&read("cpu.stat").unwrap_or_default());
    let memory = fields(&read("memory.stat").unwrap_or_default());
    let of_cpu = |name: &str| cpu.get(name).copied();
    // Version 2 counts in microseconds, version 1 in nanoseconds.
    let time = |v2: &str, v1: Option<u64>| {
        let v2 = of_cpu(v2).map(Duration::from_micros);
        v2.or(v1.map(Duration::from_nanos)).unwrap_or_default()
    };
    let v2_disks = read("io.stat").map(|text| disks(&text));
    let v1_disks = || {
        let bytes = read("blkio.throttle.io_service_bytes")?;
        Some(disks_of_v1(&bytes, &read("blkio.throttle.io_serviced").unwrap_or_default()))
    };
    Statistics {
        user_time: time("user_usec", number("cpuacct.usage_user")),
        kernel_time: time("system_usec", number("cpuacct.usage_sys")),
        periods: of_cpu("nr_periods").unwrap_or(0),
        throttled_periods: of_cpu("nr_throttled").unwrap_or(0),
        throttled_time: time("throttled_usec", of_cpu("throttled_time")),
        memory_bytes: number("memory.current").or_else(|| number("memory.usage_in_bytes")),
        most_memory_bytes: number("memory.peak").or_else(|| number("memory.max_usage_in_bytes")),
        memory,
        disks: v2_disks.or_else(v1_disks).unwrap_or_default(),
        links: first.map_or_else(BTreeMap::new, links_of),
    }
}

/// Lines of a name and a number.
fn fields(text: &str) -> BTreeMap<String, u64> {
    let field = |line: &str| {
        let (name, number) = line.split_once(' ')?;
        Some((name.to_owned(), number.trim().parse().ok()?))
    };
    text.lines().filter_map(field).collect()
}

/// `8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..` (cgroup-v2.rst: `io.stat`).
fn disks(text: &str) -> Vec<DiskCount> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let Some((major, minor)) = words.next().and_then(device) else { continue };
        let counts: BTreeMap<&str, u64> = words
            .filter_map(|word| word.split_once('='))
            .filter_map(|(name, number)| Some((name, number.parse().ok()?)))
            .collect();
        let count = |name: &str| counts.get(name).copied().unwrap_or(0);
        for (is_write, bytes, requests) in
            [(false, count("rbytes"), count("rios")), (true, count("wbytes"), count("wios"))]
        {
            found.push(DiskCount { major, minor, is_write, bytes, requests });
        }
    }
    found
}

/// `8:0 Read 1` and `8:0 Write 2` in a file for bytes and one for requests
/// (cgroup-v1/blkio-controller.rst).
fn disks_of_v1(bytes: &str, requests: &str) -> Vec<DiskCount> {
    fn parse(line: &str) -> Option<((u64, u64), bool, u64)> {
        let mut words = line.split_whitespace();
        let device = device(words.next()?)?;
        let is_write = match words.next()? {
            "Read" => false,
            "Write" => true,
            _ => return None,
        };
        Some((device, is_write, words.next()?.parse().ok()?))
    }
    let requests: Vec<_> = requests.lines().filter_map(parse).collect();
    let count = |((major, minor), is_write, bytes)| {
        let same = requests.iter().find(|it| (it.0, it.1) == ((major, minor), is_write));
        DiskCount { major, minor, is_write, bytes, requests: same.map_or(0, |it| it.2) }
    };
    bytes.lines().filter_map(parse).map(count).collect()
}

fn device(text: &str) -> Option<(u64, u64)> {
    let (major, minor) = text.split_once(':')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// The links in the network namespace of a process, if it has one of its own.
fn links_of(pid: u32) -> BTreeMap<String, LinkCount> {
    let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
    if namespace(&pid.to_string()) == namespace("self") {
        return BTreeMap::new();
    }
    let path = Path::new("/proc").join(pid.to_string()).join("net/dev");
    links(&fs::read_to_string(path).unwrap_or_default())
}

fn links(text: &str) -> BTreeMap<String, LinkCount> {
    let link = |line: &str| {
        let (name, numbers) = line.split_once(':')?;
        let numbers: Vec<u64> =
            numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
        let four = |from: usize| numbers.get(from..from + 4)?.try_into().ok();
        Some((name.trim().to_owned(), LinkCount { received: four(0)?, sent: four(8)? }))
    };
    text.lines().filter_map(link).filter(|(name, _)| name != "lo").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_the_disk_files_say_the_same() {
        let expected = [
            DiskCount { major: 8, minor: 0, is_write: false, bytes: 10, requests: 1 },
            DiskCount { major: 8, minor: 0, is_write: true, bytes: 20, requests: 2 },
        ];
        assert_eq!(disks("8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n"), expected);
        let bytes = "8:0 Read 10\n8:0 Write 20\n8:0 Sync 30\n8:0 Total 30\nTotal 30\n";
        assert_eq!(disks_of_v1(bytes, "8:0 Read 1\n8:0 Write 2\nTotal 3\n"), expected);
    }

    #[test]
    fn links_are_read_without_the_loopback_link() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes ..\n    lo: 1 1 0 0 0 0 0 0 1 1 0 0 0 0 0 0\n  \
                    eth0: 90 2 0 1 0 0 0 0 70 3 0 0 0 0 0 0\n";
        let found = links(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found["eth0"], LinkCount { received: [90, 2, 0, 1], sent: [70, 3, 0, 0] });
    }

    #[test]
    fn garbage_counts_nothing() {
        for text in ["", "x", "8:0", "a:b Read 1", "eth0: 1 2", "8:0 rbytes=x"] {
            let _ = (disks(text), disks_of_v1(text, text), links(text), fields(text));
        }
        assert!(links("eth0: 1 2").is_empty() && disks_of_v1("a:b Read 1", "").is_empty());
    }
}
