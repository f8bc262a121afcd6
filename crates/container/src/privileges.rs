//! Question 4: with what power does it start? The container's answer: root in name, with few of
//! root's capabilities. The microVM's answer is `microvm::vcpu`.
//!
//! Four walls, each for what the one before lets through: id maps (root inside is nobody outside;
//! with a user namespace only), capabilities (what root may do), `no_new_privs` (no program gives
//! more), and the [`seccomp`] filter (which doors of the kernel exist at all).

use nix::{
    errno::Errno,
    unistd::{Gid, Uid},
};
use sandbox::Question::Power;
use std::sync::OnceLock;

use crate::{Error, namespaces::write_whole, plan::Plan, seccomp};

/// What is left of root's power: handling files and processes of the container's own. Not among
/// them: CAP_SYS_CHROOT and CAP_MKNOD, with which a process could leave its root or open the
/// host's disk; CAP_NET_RAW, with which it could forge packets; CAP_SYS_ADMIN, which is nearly all.
const KEPT: [(&str, u32); 8] = [
    ("chown", 0),
    ("dac_override", 1),
    ("fowner", 3),
    ("fsetid", 4),
    ("kill", 5),
    ("setgid", 6),
    ("setuid", 7),
    ("net_bind_service", 10),
];

const fn kept_mask() -> u64 {
    let mut mask = 0;
    let mut index = 0;
    while index < KEPT.len() {
        mask |= 1 << KEPT[index].1;
        index += 1;
    }
    mask
}

/// The bits of the kept capabilities, as `/proc/PID/status` shows them.
pub(crate) const KEPT_MASK: u64 = kept_mask();

/// The number of the last capability that this kernel knows.
fn last_capability() -> u32 {
    static LAST: OnceLock<u32> = OnceLock::new();
    *LAST.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
        text.trim().parse().unwrap_or(40)
    })
}

/// The child's steps down, in an order in which each is still allowed.
pub(crate) fn drop_all(plan: &mut Plan) -> Result<(), Error> {
    const DROP_BOUNDING: usize = libc::PR_CAPBSET_DROP as usize;
    for capability in (0..=last_capability()).filter(|number| KEPT_MASK >> number & 1 == 0) {
        let words = format!("drop capability {capability} from the bounding set");
        plan.step(Power, words, libc::SYS_prctl, [DROP_BOUNDING, capability as usize]);
    }
    let clear = [libc::PR_CAP_AMBIENT as usize, libc::PR_CAP_AMBIENT_CLEAR_ALL as usize];
    plan.step(Power, "clear the ambient capabilities", libc::SYS_prctl, clear);
    // capset(2): version 3 for the calling thread; then effective, permitted and inheritable, the
    // low halves before the high ones.
    const VERSION_3: u32 = 0x2008_0522;
    let header = plan.keep([VERSION_3, 0].map(u32::to_ne_bytes).concat());
    let low = KEPT_MASK as u32;
    let data = plan.keep([low, low, 0, 0, 0, 0].map(u32::to_ne_bytes).concat());
    let names = KEPT.map(|(name, _)| name).join(" ");
    plan.step(Power, format!("capset {names}"), libc::SYS_capset, [header, data]);
    let no_new_privileges = [libc::PR_SET_NO_NEW_PRIVS as usize, 1];
    plan.step(Power, "prctl no_new_privs", libc::SYS_prctl, no_new_privileges);
    for (words, program) in seccomp::filters()? {
        const SET_MODE_FILTER: usize = libc::SECCOMP_SET_MODE_FILTER as usize;
        plan.step(Power, words, libc::SYS_seccomp, [SET_MODE_FILTER, 0, program]);
    }
    Ok(())
}

/// The child becomes root of its user namespace, once the maps are written.
pub(crate) fn become_root(plan: &mut Plan) {
    // An unprivileged map comes with `setgroups` denied; the groups stay then as they are.
    plan.step(Power, "setgroups none", libc::SYS_setgroups, [0, 0]).forgive(&[Errno::EPERM]);
    plan.step(Power, "setresgid 0", libc::SYS_setresgid, [0, 0, 0]);
    plan.step(Power, "setresuid 0", libc::SYS_setresuid, [0, 0, 0]);
}

/// The first id outside and the number of ids, of a container that root makes: none is a user's.
const ROOTS_MAP: (u32, u32) = (100_000, 65_536);

/// Writes the maps of a child's user namespace: root gives it a range of ids of its own, any other
/// caller only its own id, as root inside. So does root of a user namespace that lacks that range.
///
/// # Errors
///
/// When the kernel refuses one of them; the error names the file.
pub fn write_maps(pid: i32) -> Result<(), Error> {
    let (user, group) = (Uid::effective(), Gid::effective());
    if has_range() {
        let (first, count) = ROOTS_MAP;
        let map = format!("0 {first} {count}");
        write_whole(&format!("/proc/{pid}/uid_map"), &map)?;
        write_whole(&format!("/proc/{pid}/gid_map"), &map)
    } else {
        write_whole(&format!("/proc/{pid}/uid_map"), &format!("0 {user} 1"))?;
        // Else it could drop a group that denies it something (user_namespaces(7)).
        write_whole(&format!("/proc/{pid}/setgroups"), "deny")?;
        write_whole(&format!("/proc/{pid}/gid_map"), &format!("0 {group} 1"))
    }
}

/// The id that root inside has outside, by the maps that [`write_maps`] writes.
pub fn root_outside() -> u32 {
    if has_range() { ROOTS_MAP.0 } else { Uid::effective().as_raw() }
}

/// Whether the caller is root and has the range of ids that it would give.
fn has_range() -> bool {
    let covered = |map: &str| {
        let text = std::fs::read_to_string(format!("/proc/self/{map}")).unwrap_or_default();
        covers(&text, ROOTS_MAP)
    };
    Uid::effective().is_root() && ["uid_map", "gid_map"].into_iter().all(covered)
}

/// Whether this process is in a user namespace below the first one, as root of a container without
/// the host's power is: the first one maps every id to itself.
pub(crate) fn in_user_namespace() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    !map.is_empty() && !covers(&map, (0, u32::MAX))
}

/// Whether an id map (user_namespaces(7): inside, outside, count) has all of a range inside.
fn covers(map: &str, (first, count): (u32, u32)) -> bool {
    let (first, end) = (u64::from(first), u64::from(first) + u64::from(count));
    map.lines().any(|line| {
        let mut numbers = line.split_whitespace().filter_map(|word| word.parse::<u64>().ok());
        match (numbers.next(), numbers.nth(1)) {
            (Some(inside), Some(count)) => inside <= first && end <= inside + count,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_given_only_by_who_has_it() {
        assert!(covers("         0          0 4294967295\n", ROOTS_MAP));
        assert!(!covers("0 100000 65536\n", ROOTS_MAP));
        assert!(!covers("0 1000 1\n", ROOTS_MAP));
        assert!(!covers("", ROOTS_MAP));
    }
}
