//! The network of a build's commands.

use container::Network;
use nix::unistd::geteuid;

/// The network of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BuildNetwork {
    /// A link to the host, which passes on what is for others; only root can make one, so that it is
    /// the host's own for others.
    Usual,
    Host,
    None,
}

impl BuildNetwork {
    pub(super) fn read(mode: &str) -> Option<Self> {
        match mode {
            "" | "default" | "bridge" => Some(Self::Usual),
            "host" => Some(Self::Host),
            "none" => Some(Self::None),
            _ => None,
        }
    }

    pub(super) fn network(self) -> Network {
        match self {
            Self::Usual if geteuid().is_root() => Network::Veth,
            Self::Usual | Self::Host => Network::Host,
            Self::None => Network::None,
        }
    }
}
