//! Question 2: what may it consume? Devices, too: which ones a container may open or make nodes of.
//!
//! A node of `mknod(2)` is two numbers, and whoever has one of the host's disk has the disk. Where
//! the node lies does not matter to the kernel; the cgroup of who opens it does. Two interfaces keep
//! the same list: the files of the `devices` controller of version 1 (`admin-guide/cgroup-v1/
//! devices.rst`), and for version 2, which has no such files, a program that the kernel asks.
//!
//! The rules go from the general to the particular: of those that match a device and a way to use
//! it, the last one counts, and without one the answer is no.

mod kernel;
mod lines;
mod program;
mod serial;
#[cfg(test)]
mod tests;

use std::{fmt, os::fd::OwnedFd, sync::OnceLock};

use serde::{Deserialize, Serialize};

use crate::Error;

pub use kernel::{attach, load};
pub use lines::lines;

/// `linux.resources.devices` of config.json: whether some devices may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Whether they may.
    pub allow: bool,
    /// Which of the two tables of numbers it is about.
    #[serde(rename = "type", default)]
    pub kind: DeviceKind,
    /// The driver's number; none means all.
    #[serde(default, deserialize_with = "serial::number", skip_serializing_if = "Option::is_none")]
    pub major: Option<u32>,
    /// The number among the driver's devices; none means all.
    #[serde(default, deserialize_with = "serial::number", skip_serializing_if = "Option::is_none")]
    pub minor: Option<u32>,
    /// The ways to use them.
    #[serde(default)]
    pub access: Access,
}

/// Block and character devices count separately.
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

/// Ways to use a device: the bits of BPF_DEVCG_ACC_MKNOD, _READ and _WRITE of linux/bpf.h.
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

    /// What is in either.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in this one only.
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
    /// As runc has it: a rule that does not say is about all.
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
    /// Whether it is about all devices and all ways to use them.
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

/// Docker's list, as runc completes it: nothing but what every program may expect in `/dev`.
///
/// A node may be made of any device, as archives and packages have them, but not opened. Unlike runc
/// before 1.2 there is no `/dev/net/tun` (10:200); unlike Docker there is no console (5:1), which is
/// the host's own, where a container's `/dev/console` is a pseudo-terminal; and no line that refuses
/// `/dev/fuse`, which the first one does already.
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

/// The program of [`default_rules`], which the kernel keeps for this process.
///
/// # Errors
///
/// When the kernel does not take it.
pub fn default_program() -> Result<&'static OwnedFd, Error> {
    static LOADED: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(loaded) = LOADED.get() {
        return Ok(loaded);
    }
    let loaded = load(&default_rules())?;
    Ok(LOADED.get_or_init(|| loaded))
}
