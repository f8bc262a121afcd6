//! What holds isolab itself: a container around it, found by what the kernel says of this process
//! and not by the name of whoever made it.

use std::{fs, thread};

use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
};

use super::{Finding, State};

/// What is lacking because of a container around isolab, and how to start that one instead.
const FIXES: [(&str, &str); 7] = [
    (
        "user namespaces",
        "start the outer container with `--privileged`, or with a system-call filter \
      that allows them: `--security-opt seccomp=FILE`",
    ),
    (
        "cgroups",
        "start the outer container with `--privileged` and with a limit, such as `--memory 1G`: \
      then it has a cgroup of its own to divide",
    ),
    ("cgroup cpu", "see cgroups"),
    ("cgroup memory", "see cgroups"),
    ("cgroup pids", "see cgroups"),
    ("/dev/kvm", "start the outer container with `--device /dev/kvm`"),
    ("--network veth", "start the outer container with `--cap-add NET_ADMIN --cap-add SYS_ADMIN`"),
];

/// The walls of an outer container, in words; empty if there are none.
pub(super) fn walls() -> Vec<String> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let maps = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let last = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
    walls_of(&status, &maps, last.trim().parse().unwrap_or(40))
}

fn walls_of(status: &str, uid_map: &str, last_capability: u32) -> Vec<String> {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().to_owned())
    };
    let mut walls = Vec::new();
    if field("Seccomp:").is_some_and(|mode| mode == "2") {
        walls.push("a filter of system calls".to_owned());
    }
    let bounding = field("CapBnd:").and_then(|set| u64::from_str_radix(&set, 16).ok());
    const SYS_ADMIN: u64 = 1 << 21; // linux/capability.h
    if let Some(bounding) = bounding.filter(|set| set & SYS_ADMIN == 0) {
        let (held, all) = (bounding.count_ones(), last_capability + 1);
        walls.push(format!("{held} of {all} capabilities, CAP_SYS_ADMIN not among them"));
    }
    let is_first = |line: &str| {
        let numbers: Vec<&str> = line.split_whitespace().collect();
        numbers == ["0", "0", "4294967295"]
    };
    if !uid_map.lines().any(is_first) {
        walls.push("a user namespace".to_owned());
    }
    walls
}

/// Says so, and puts right what to do about what is lacking: it is to be done outside.
pub(super) fn tell(findings: &mut Vec<Finding>) {
    let walls = walls();
    if walls.is_empty() {
        return;
    }
    if let Some(errno) = user_namespaces_refused() {
        let about = "user namespaces";
        findings.retain(|finding| finding.about != about);
        let found = format!("none can be made in this container: unshare(2) says {errno}");
        findings.push(Finding::lacks(about, found, ""));
    }
    for finding in findings.iter_mut().filter(|finding| finding.state == State::Lacks) {
        if let Some((_, fix)) = FIXES.iter().find(|(about, _)| *about == finding.about) {
            finding.fix = Some((*fix).to_owned());
        }
    }
    let found = format!("isolab itself is in one, with {}", walls.join(", "));
    findings.insert(0, Finding::note("outer container", found));
}

/// Why this process may make no user namespace. A thread asks, which may not be given one: the
/// kernel's answer to who might is that (unshare(2), EINVAL).
fn user_namespaces_refused() -> Option<Errno> {
    let asked = thread::spawn(|| unshare(CloneFlags::CLONE_NEWUSER)).join().ok()?;
    asked.err().filter(|errno| *errno != Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS_MAP: &str = "         0          0 4294967295\n";

    #[test]
    fn a_host_has_no_walls_around_it() {
        let status = "CapBnd:\t000001ffffffffff\nSeccomp:\t0\nSeccomp_filters:\t0\n";
        assert!(walls_of(status, HOSTS_MAP, 40).is_empty());
    }

    #[test]
    fn each_wall_is_seen() {
        let docker = "CapBnd:\t00000000a80425fb\nSeccomp:\t2\n";
        assert_eq!(walls_of(docker, HOSTS_MAP, 40).len(), 2);
        let rootless = "CapBnd:\t000001ffffffffff\nSeccomp:\t0\n";
        assert_eq!(walls_of(rootless, "0 1000 1\n", 40), ["a user namespace"]);
        let privileged = "CapBnd:\t000001ffffffffff\nSeccomp:\t0\n";
        assert!(walls_of(privileged, HOSTS_MAP, 40).is_empty());
    }
}
