//! Why a tap cannot be had.

use std::io;

/// The driver of all taps.
pub(super) const DEVICE: &str = "/dev/net/tun";

/// Why a tap cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TapError {
    /// No link can be called so.
    #[error("the name of a network interface has 1 to 15 bytes, without blanks, `/`, `:` and `%`")]
    Name,
    /// The host has no such link.
    #[error("no such network interface")]
    Missing,
    /// It is another kind of link.
    #[error("it is not a tap")]
    NotTap,
    /// It wants a file for each of its queues.
    #[error("it has several queues; a guest's network card has one")]
    SeveralQueues,
    /// Another process has it.
    #[error("it is in use by another process")]
    InUse,
    /// It is another user's.
    #[error("permission denied")]
    NotPermitted,
    /// The host has no taps at all.
    #[error("the host has no {DEVICE}")]
    NoDriver,
    /// The system call failed.
    #[error("TUNSETIFF")]
    System(#[source] io::Error),
}

impl TapError {
    /// What to do about it, if the tap was to be called `name`.
    pub(crate) fn fix(&self, name: &str) -> Option<String> {
        let make = || format!("`sudo ip tuntap add mode tap user $USER name {name}`");
        Some(match self {
            Self::Name => "choose another name".into(),
            Self::Missing => format!("make it: {}, then `sudo ip link set {name} up`", make()),
            Self::NotTap => "use a tap: `ip tuntap list` lists them".into(),
            Self::SeveralQueues => {
                format!(
                    "make it without `multi_queue`: `sudo ip link delete {name}`, then {}",
                    make()
                )
            }
            Self::InUse => "stop the guest that has it (`isolab ps`), or name another".into(),
            Self::NotPermitted => format!("run as root, or have root make it for you: {}", make()),
            Self::NoDriver => "load the driver: `sudo modprobe tun`".into(),
            Self::System(_) => return None,
        })
    }
}
