//! Question 2: what may it consume? Devices too: which ones a container may open, or make nodes
//! for.
//!
//! A device node (`mknod(2)`) is two numbers, and a process that can open the node of the host's
//! disk has the disk. The path of the node does not matter to the kernel; the cgroup of the process
//! does. There are two interfaces for the list of allowed devices: the files of the `devices`
//! controller of version 1 (`admin-guide/cgroup-v1/ devices.rst`), and for version 2, which has no
//! such files, a BPF program that decides.
//!
//! The rules go from general to specific: of those that match a device and an access, the last one
//! counts; if none matches, access is denied.

mod kernel;
mod lines;
mod program;
mod replace;
mod serial;
#[cfg(test)]
mod tests;
mod words;

use std::{fmt, os::fd::OwnedFd, sync::OnceLock};

use serde::{Deserialize, Serialize};

use crate::Error;

pub use kernel::{attach, load};
pub use lines::lines;
pub use replace::replace;
pub use words::InvalidRule;

/// `linux.resources.devices` of config.json: a rule that allows or denies some devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether it allows them.
    pub allow: bool,
    /// Block or character devices, or both.
    #[serde(rename = "type", default)]
    pub kind: DeviceKind,
    /// The major number; `None` matches all.
    #[serde(default, deserialize_with = "serial::number", skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// The minor number; `None` matches all.
    #[serde(default, deserialize_with = "serial::number", skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// The accesses that it covers.
    #[serde(default)]
    pub access: Access,
}

/// Block and character devices have separate numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum DeviceKind {
    /// Both.
    #[default]
    #[serde(rename = "a")]
    All,
    /// Character devices.
    #[serde(rename = "c", alias = "u")]
    Char,
    /// Block devices.
    #[serde(rename = "b")]
    Block,
}

/// Accesses to a device: the bits of BPF_DEVCG_ACC_MKNOD, _READ and _WRITE of linux/bpf.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Access(u8);

impl Access {
    /// Make a node of it.
    pub const MKNOD: Self = Self(1);
    /// Open it to read.
    pub const READ: Self = Self(2);
    /// Open it to write.
    pub const WRITE: Self = Self(4);
    /// All of these.
    pub const ALL: Self = Self(7);
    /// None of these.
    pub const NONE: Self = Self(0);

    /// The union.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The difference.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether all of `other` is in this one.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits.
    pub const fn bits(self) -> u8 {
        self.0
    }

    const LETTERS: [(char, Self); 3] = [('r', Self::READ), ('w', Self::WRITE), ('m', Self::MKNOD)];
}

impl Default for Access {
    /// As in runc: a rule without a type matches all.
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut letters = Self::LETTERS.iter().filter(|it| self.contains(it.1));
        letters.try_for_each(|(letter, _)| write!(out, "{letter}"))
    }
}

impl DeviceRule {
    /// Whether it matches all devices and all accesses.
    pub(crate) fn is_total(&self) -> bool {
        *self == Self::all(self.allow)
    }

    const fn all(allow: bool) -> Self {
        Self { allow, kind: DeviceKind::All, major: None, minor: None, access: Access::ALL }
    }

    const fn allowed(
        kind: DeviceKind,
        major: Option<u32>,
        minor: Option<u32>,
        access: Access,
    ) -> Self {
        Self { allow: true, kind, major, minor, access }
    }

    const fn allowed_char(major: u32, minor: Option<u32>) -> Self {
        Self::allowed(DeviceKind::Char, Some(major), minor, Access::ALL)
    }
}

/// Docker's list as completed by runc: only what every program may expect in `/dev`.
///
/// Nodes may be made for any device, because archives and packages contain them, but not opened.
/// Unlike runc before 1.2 there is no `/dev/net/tun` (10:200); unlike Docker's list it has no
/// console (5:1), which is the host's own (a container's `/dev/console` is a pseudo-terminal), and
/// no rule that denies `/dev/fuse`, which the first rule does already.
pub fn default_rules() -> Vec<DeviceRule> {
    vec![
        DeviceRule::all(false),
        DeviceRule::allowed(DeviceKind::Char, None, None, Access::MKNOD),
        DeviceRule::allowed(DeviceKind::Block, None, None, Access::MKNOD),
        DeviceRule::allowed_char(1, Some(3)), // null
        DeviceRule::allowed_char(1, Some(5)), // zero
        DeviceRule::allowed_char(1, Some(7)), // full
        DeviceRule::allowed_char(1, Some(8)), // random
        DeviceRule::allowed_char(1, Some(9)), // urandom
        DeviceRule::allowed_char(5, Some(0)), // tty
        DeviceRule::allowed_char(5, Some(2)), // ptmx
        DeviceRule::allowed_char(136, None),  // pts/*
    ]
}

/// The BPF program for [`default_rules`], loaded into the kernel.
///
/// # Errors
///
/// When the kernel rejects it.
pub fn default_program() -> Result<&'static OwnedFd, Error> {
    static LOADED: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    let loaded = load(&default_rules())?;
    Ok(LOADED.get_or_init(|| loaded))
}
