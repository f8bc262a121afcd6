//! Capabilities: root's power in forty-one parts (capabilities(7)).

use nix::errno::Errno;
use sandbox::Question::Power;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

use crate::{Error, plan::SyscallPlan, sys};

/// A set of capabilities, a bit each, as `/proc/PID/status` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct CapabilitySet(pub u64);

/// The five sets of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// No program can get any that is not in this set.
    pub bounding: CapabilitySet,
    /// Those in force.
    pub effective: CapabilitySet,
    /// Kept by a program whose file has them as inheritable.
    pub inheritable: CapabilitySet,
    /// Those that may be put in force.
    pub permitted: CapabilitySet,
    /// Kept by any program.
    pub ambient: CapabilitySet,
}

/// What is left of root's power: managing the container's own files and processes. Not included are
/// CAP_SYS_CHROOT and CAP_MKNOD, with which a process could leave its root or open the host's disk;
/// CAP_NET_RAW, with which it could forge packets; CAP_SYS_ADMIN, which is nearly all.
const USUAL: [&str; 8] =
    ["chown", "dac_override", "fowner", "fsetid", "kill", "setgid", "setuid", "net_bind_service"];

/// Their names without `CAP_`, in the order of their numbers (linux/capability.h).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

impl CapabilitySet {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// The set of these names, with or without `CAP_`, in any case.
    ///
    /// # Errors
    ///
    /// The unknown name.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        names.into_iter().try_fold(Self::NONE, |Self(set), name| {
            let plain = name.to_ascii_lowercase();
            let plain = plain.strip_prefix("cap_").unwrap_or(&plain);
            let number = NAMES.iter().position(|known| *known == plain).ok_or(name)?;
            Ok(Self(set | 1 << number))
        })
    }

    /// The set with those of `add` and without those of `drop`, as Docker understands them: names,
    /// or ALL. One that is named is stronger than ALL, and added stronger than dropped.
    ///
    /// # Errors
    ///
    /// The unknown name.
    pub fn changed<'a>(self, add: &'a [String], drop: &'a [String]) -> Result<Self, &'a str> {
        let set = |names: &'a [String]| -> Result<(bool, u64), &'a str> {
            let is_all = |name: &str| name.eq_ignore_ascii_case("ALL");
            let others = names.iter().map(String::as_str).filter(|name| !is_all(name));
            Ok((names.iter().any(|name| is_all(name)), Self::of(others)?.0))
        };
        let ((all_added, added), (all_dropped, dropped)) = (set(add)?, set(drop)?);
        Ok(Self(match (all_added, all_dropped) {
            (true, _) => !dropped,
            (false, true) => added,
            (false, false) => self.0 & !dropped | added,
        }))
    }

    /// Whether the capability with that number is in it.
    pub fn has(self, number: u32) -> bool {
        self.0 >> number & 1 == 1
    }

    /// The names, without `CAP_`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..).zip(NAMES).filter(move |(number, _)| self.has(*number)).map(|(_, name)| name)
    }

    fn and(self, Self(other): Self) -> Self {
        Self(self.0 & other)
    }

    fn words(self) -> String {
        self.names().collect::<Vec<&str>>().join(" ")
    }
}

/// The default capabilities of a container.
pub(crate) fn usual() -> CapabilitySet {
    let set = CapabilitySet::of(USUAL);
    set.expect("the names are among those above; a test sees it")
}

impl Default for Capabilities {
    fn default() -> Self {
        let (kept, none) = (usual(), CapabilitySet::NONE);
        let (inheritable, ambient) = (none, none);
        Self { bounding: kept, effective: kept, inheritable, permitted: kept, ambient }
    }
}

/// The number of the last capability of this kernel.
fn last() -> u32 {
    static LAST: OnceLock<u32> = OnceLock::new();
    *LAST.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap_or_default();
        text.trim().parse().unwrap_or(40)
    })
}

/// The number of `CAP_SYS_RESOURCE`, which raises limits.
pub(crate) const SYS_RESOURCE: u32 = 24;

/// capset(2) and capget(2): the current version of their structures.
const VERSION_3: u32 = 0x2008_0522;

/// The permitted capabilities of the calling process.
pub(crate) fn own() -> CapabilitySet {
    let mut header = [VERSION_3, 0];
    // Effective, permitted and inheritable, the low halves before the high ones.
    let mut data = [0u32; 6];
    let arguments = [&raw mut header as usize, &raw mut data as usize, 0, 0, 0, 0];
    // SAFETY: both are laid out as capget(2) of version 3 wants them, and outlive the call, which
    // fails for no process that asks of itself.
    let _ = unsafe { sys::call(libc::SYS_capget, arguments) };
    CapabilitySet(u64::from(data[1]) | u64::from(data[4]) << 32)
}

impl Capabilities {
    /// The capabilities that can be given: all in a new user namespace, otherwise the launcher's
    /// own.
    pub(crate) fn available(self, new_user_namespace: bool) -> Self {
        let own = if new_user_namespace { CapabilitySet(u64::MAX) } else { own() };
        Self {
            bounding: self.bounding,
            effective: self.effective.and(own),
            inheritable: self.inheritable.and(own),
            permitted: self.permitted.and(own),
            ambient: self.ambient.and(own),
        }
    }

    /// The child's steps that drop all others from the bounding set, while it may. A launcher
    /// without `CAP_SETPCAP` may not, and must rely on `no_new_privs`.
    pub(crate) fn bound(self, plan: &mut SyscallPlan, no_new_privileges: bool) {
        const DROP: usize = libc::PR_CAPBSET_DROP as usize;
        for number in (0..=last()).filter(|number| !self.bounding.has(*number)) {
            let words = format!("drop capability {number} from the bounding set");
            plan.step(Power, words, libc::SYS_prctl, [DROP, number as usize]);
            if no_new_privileges {
                plan.forgive(&[Errno::EPERM]);
            }
        }
    }

    /// The child's steps that set the other four sets.
    pub(crate) fn set(self, plan: &mut SyscallPlan) -> Result<(), Error> {
        let clear = [libc::PR_CAP_AMBIENT as usize, libc::PR_CAP_AMBIENT_CLEAR_ALL as usize];
        plan.step(Power, "clear the ambient capabilities", libc::SYS_prctl, clear);
        let header = plan.keep([VERSION_3, 0].map(u32::to_ne_bytes).concat());
        let sets = [self.effective, self.permitted, self.inheritable];
        let low = sets.map(|CapabilitySet(set)| set as u32);
        let high = sets.map(|CapabilitySet(set)| (set >> 32) as u32);
        let data = plan.keep(
            [low, high]
                .as_flattened()
                .iter()
                .flat_map(|set| set.to_ne_bytes())
                .collect::<Vec<u8>>(),
        );
        let words = format!("capset {}", self.permitted.words());
        plan.step(Power, words, libc::SYS_capset, [header, data]);
        for number in (0..=last()).filter(|number| self.ambient.has(*number)) {
            let arguments = [
                libc::PR_CAP_AMBIENT as usize,
                libc::PR_CAP_AMBIENT_RAISE as usize,
                number as usize,
            ];
            plan.step(Power, "raise an ambient capability", libc::SYS_prctl, arguments);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_spelling() {
        let kept = CapabilitySet::of(["CAP_CHOWN", "setuid"]).unwrap();
        assert_eq!(kept, CapabilitySet(0x81));
        assert_eq!(CapabilitySet::of(["cap_all"]), Err("cap_all"));
        assert_eq!(kept.names().collect::<Vec<_>>(), ["chown", "setuid"]);
    }

    #[test]
    fn the_usual_ones_have_names() {
        assert_eq!(usual().names().count(), USUAL.len());
    }
}
