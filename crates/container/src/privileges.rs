//! Question 4: with what power does it start? The container's answer: root in name, with few of
//! root's capabilities. The microVM's answer is `microvm::vcpu`.
//!
//! Four barriers, each of which stops what the previous one lets through: id maps (root inside is
//! an unprivileged id outside; only with a user namespace), capabilities (what root may do),
//! `no_new_privs` (no program gives more power), and the [`seccomp`] filter (which system calls are
//! allowed at all).

use std::{fs::File, io::Write as _, path::Path, sync::OnceLock};

use host::read_proc;
use nix::{
    errno::Errno,
    unistd::{Gid, Uid},
};
use sandbox::Question::Power;

use crate::{
    Error,
    child_descriptors::LISTENER,
    error, inherited, keyring,
    plan::{Slot, SyscallPlan},
    scheduling, seccomp, spec,
};

pub use crate::{
    capabilities::{Capabilities, CapabilitySet},
    spec::power::{IdMap, IdMaps, Rlimit, User},
};

impl Rlimit {
    /// Whether the kernel has a limit of that name.
    pub fn is_known(&self) -> bool {
        inherited::number_of(&self.kind).is_some()
    }

    fn number(&self) -> Result<usize, Error> {
        let number = inherited::number_of(&self.kind);
        number.ok_or_else(|| Error::UnknownRlimit { name: self.kind.clone() })
    }
}

/// The child's steps that drop privileges, in an order in which each is still allowed. Returns where the
/// listener of its filter will be, if it has one.
pub(crate) fn drop_all(
    plan: &mut SyscallPlan,
    power: &spec::Power,
    new_user_namespace: bool,
) -> Result<Option<Slot>, Error> {
    let nothing_new = power.no_new_privileges;
    let capabilities = power.capabilities.available(new_user_namespace);
    keyring::join(plan, power.keyring.as_deref())?;
    scheduling::set(plan, power);
    if let Some(persona) = power.personality {
        let words = format!("personality {persona:#x}");
        plan.step(Power, words, libc::SYS_personality, [persona as usize]);
    }
    for limit in &power.rlimits {
        let values = plan.keep([limit.soft, limit.hard].map(u64::to_ne_bytes).concat());
        let words = format!("prlimit {} {} {}", limit.kind, limit.soft, limit.hard);
        plan.step(Power, words, libc::SYS_prlimit64, [0, limit.number()?, values, 0]);
    }
    capabilities.bound(plan, nothing_new);
    let mut listener = None;
    if !nothing_new {
        // Without no_new_privs it takes CAP_SYS_ADMIN, which goes below (seccomp(2)).
        listener = filter(plan, power)?;
    }
    become_user(plan, &power.user, capabilities.permitted != CapabilitySet::NONE);
    capabilities.set(plan)?;
    if nothing_new {
        let arguments = [libc::PR_SET_NO_NEW_PRIVS as usize, 1];
        plan.step(Power, "prctl no_new_privs", libc::SYS_prctl, arguments);
        listener = filter(plan, power)?;
    }
    Ok(listener)
}

fn filter(plan: &mut SyscallPlan, power: &spec::Power) -> Result<Option<Slot>, Error> {
    const SET_MODE_FILTER: usize = libc::SECCOMP_SET_MODE_FILTER as usize;
    let bounding = power.capabilities.bounding;
    let Some(program) = seccomp::program(&power.seccomp, bounding.0)? else { return Ok(None) };
    let program = program.keep(plan);
    let words = "seccomp: a list of allowed calls";
    let flags = power.filter.flags as usize;
    if power.filter.listener.is_none() {
        plan.step(Power, words, libc::SYS_seccomp, [SET_MODE_FILTER, flags, program]);
        return Ok(None);
    }
    // A child has one thread: there is none to synchronize with, which excludes a listener.
    let flags = flags & !(libc::SECCOMP_FILTER_FLAG_TSYNC as usize)
        | libc::SECCOMP_FILTER_FLAG_NEW_LISTENER as usize;
    plan.step(Power, words, libc::SYS_seccomp, [SET_MODE_FILTER, flags, program]);
    let listener = plan.result();
    let room = plan.keep([0]);
    let words = "wait until the listener of the filter is passed on";
    plan.step(Power, words, libc::SYS_read, [LISTENER, room, 1]);
    Ok(Some(listener))
}

/// The child's steps that change to the user of its program.
fn become_user(plan: &mut SyscallPlan, user: &User, keep_capabilities: bool) {
    if user.uid != 0 && keep_capabilities {
        let arguments = [libc::PR_SET_KEEPCAPS as usize, 1];
        plan.step(Power, "prctl PR_SET_KEEPCAPS", libc::SYS_prctl, arguments);
    }
    let (uid, gid) = (user.uid as usize, user.gid as usize);
    let groups =
        plan.keep(user.additional_gids.iter().flat_map(|id| id.to_ne_bytes()).collect::<Vec<u8>>());
    let count = user.additional_gids.len();
    // In an unprivileged user namespace `setgroups` is denied; the groups stay unchanged.
    plan.step(Power, "setgroups", libc::SYS_setgroups, [count, groups]).forgive(&[Errno::EPERM]);
    plan.step(Power, format!("setresgid {gid}"), libc::SYS_setresgid, [gid; 3]);
    plan.step(Power, format!("setresuid {uid}"), libc::SYS_setresuid, [uid; 3]);
    if let Some(umask) = user.umask {
        plan.step(Power, format!("umask {umask:03o}"), libc::SYS_umask, [umask as usize]);
    }
}

/// The child becomes root of its user namespace once the maps are written, or the first mapped user
/// if root is not mapped. It has full power over the namespace in either case.
pub(crate) fn become_first(plan: &mut SyscallPlan, power: &spec::Power) {
    let first = |maps: &[IdMap]| maps.iter().map(|map| map.container_id).min().unwrap_or(0);
    let user = power.id_maps.as_ref().map_or_else(User::default, |maps| User {
        uid: first(&maps.uid),
        gid: first(&maps.gid),
        ..User::default()
    });
    become_user(plan, &user, true);
}

/// The first id outside and the number of ids, for a container that root makes: no user has any of
/// them.
const ROOTS_MAP: (u32, u32) = (100_000, 65_536);

/// Writes the maps of a child's user namespace. Root gives it a range of unused ids; any other
/// caller maps only its own id to root inside, and so does root of a user namespace without that
/// range.
///
/// # Errors
///
/// When the kernel refuses one of them; the error names the file.
pub fn write_maps(pid: i32) -> Result<(), Error> {
    write_id_maps(pid, None)
}

/// The same with the maps that are `given`.
pub(crate) fn write_id_maps(pid: i32, given: Option<&IdMaps>) -> Result<(), Error> {
    let map = |host_id: u32, size| vec![IdMap { container_id: 0, host_id, size }];
    let (user, group) = (Uid::effective(), Gid::effective());
    let maps = match given {
        Some(maps) => maps.clone(),
        None if has_range() => {
            let (first, count) = ROOTS_MAP;
            IdMaps { uid: map(first, count), gid: map(first, count) }
        }
        None => IdMaps { uid: map(user.as_raw(), 1), gid: map(group.as_raw(), 1) },
    };
    if !user.is_root() || (given.is_none() && !has_range()) {
        // Otherwise the child could drop a group that denies it something (user_namespaces(7)).
        write_whole(&format!("/proc/{pid}/setgroups"), "deny")?;
    }
    for (file, maps) in [("uid_map", &maps.uid), ("gid_map", &maps.gid)] {
        let line = |IdMap { container_id, host_id, size }: &IdMap| {
            format!("{container_id} {host_id} {size}\n")
        };
        let text: String = maps.iter().map(line).collect();
        write_whole(&format!("/proc/{pid}/{file}"), &text)?;
    }
    Ok(())
}

/// Writes `text` to a file in a single write, as an id map requires.
fn write_whole(path: &str, text: &str) -> Result<(), Error> {
    let opened = File::options().write(true).open(path);
    opened.and_then(|mut file| file.write_all(text.as_bytes())).map_err(error::file("write", path))
}

/// The id outside of root inside, with the maps that [`write_maps`] writes.
pub fn root_outside() -> u32 {
    if has_range() { ROOTS_MAP.0 } else { Uid::effective().as_raw() }
}

/// The last of the consecutive group ids from 0 on that exist in a container: by the maps that are
/// `given`, or the default ones of a new user namespace, or the caller's own.
pub(crate) fn last_group(given: Option<&IdMaps>, new_user_namespace: bool) -> u32 {
    const LAST: u32 = i32::MAX as u32; // the kernel's own limit for such ranges
    let count = match (given, new_user_namespace) {
        (Some(maps), true) => {
            maps.gid.iter().find(|map| map.container_id == 0).map(|map| u64::from(map.size))
        }
        (None, true) if has_range() => Some(u64::from(ROOTS_MAP.1)),
        (None, true) => Some(1),
        (_, false) => id_map("gid_map").lines().find_map(|line| {
            let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
            (numbers.next()? == Some(0)).then(|| numbers.nth(1).flatten()).flatten()
        }),
    };
    let last = count.unwrap_or(1).saturating_sub(1);
    u32::try_from(last).unwrap_or(LAST).min(LAST)
}

/// Whether the caller is root and has that range of ids itself.
fn has_range() -> bool {
    let covered = |map: &str| covers(&id_map(map), ROOTS_MAP);
    Uid::effective().is_root() && ["uid_map", "gid_map"].into_iter().all(covered)
}

/// A map of the calling process; empty if it cannot be read.
fn id_map(file: &str) -> String {
    let text = read_proc(Path::new("/proc/self").join(file)).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
}

/// Whether this process is in a user namespace other than the initial one, which maps every id to
/// itself (user_namespaces(7)).
pub fn in_user_namespace() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let map = id_map("uid_map");
        !map.is_empty() && !covers(&map, (0, u32::MAX))
    })
}

/// Whether an id map (user_namespaces(7): inside, outside, count) covers a range of ids inside.
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

    #[test]
    fn a_limit_has_a_name() {
        let number = |kind: &str| Rlimit { kind: kind.into(), soft: 1, hard: 1 }.number();
        assert_eq!(number("RLIMIT_NOFILE").unwrap(), libc::RLIMIT_NOFILE as usize);
        assert_eq!(number("rttime").unwrap(), libc::RLIMIT_RTTIME as usize);
        assert!(number("everything").is_err());
    }
}
