//! The device nodes of a container.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A device node, as the OCI runtime specification has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Where, an absolute path inside. In a user namespace the host's device at this path is shown,
    /// since no user namespace may make one.
    pub path: PathBuf,
    /// `c`, `b` or `p`: character, block, FIFO.
    #[serde(rename = "type")]
    pub kind: char,
    /// Its numbers (admin-guide/devices.txt).
    pub major: u32,
    /// See `major`.
    pub minor: u32,
    /// Permissions, such as 0o666.
    pub mode: u32,
    /// Its owner inside. The host's device keeps the owner that it has there.
    #[serde(default)]
    pub uid: u32,
    /// Its group inside.
    #[serde(default)]
    pub gid: u32,
}

/// The devices that every program may count on.
pub(crate) fn usual() -> Vec<Device> {
    let numbers = [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ];
    let device = |(name, major, minor)| {
        let path = Path::new("/dev").join(name);
        Device { path, kind: 'c', major, minor, mode: 0o666, uid: 0, gid: 0 }
    };
    numbers.map(device).into()
}
