//! Runtimes: what a container is made of, by the name that `docker run --runtime` gives.

use std::str::FromStr;

use bollard_stubs::models::HostConfig;

use crate::error::ApiError;

/// What a container is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Runtime {
    /// Namespaces, a cgroup, a root and few capabilities.
    #[default]
    Container,
    /// A virtual machine with a Linux kernel of its own.
    Microvm,
    /// A plain process of the host in the image's root: no wall, for comparisons.
    Process,
}

impl Runtime {
    /// All that `--runtime` may name. Dockerd's own names are taken for the default.
    pub const NAMES: [(&str, Self); 5] = [
        ("container", Self::Container),
        ("runc", Self::Container),
        ("io.containerd.runc.v2", Self::Container),
        ("microvm", Self::Microvm),
        ("process", Self::Process),
    ];

    /// The name of the one that a container has if its client names none.
    pub const DEFAULT: &str = "container";

    /// That of a container. A record of unknown names cannot be made.
    pub fn of(host: &HostConfig) -> Self {
        host.runtime.as_deref().and_then(|name| name.parse().ok()).unwrap_or_default()
    }

    /// What `--network` means if the client does not say it: the best that the runtime has.
    pub fn default_network(self) -> &'static str {
        match self {
            Self::Container => "bridge",
            Self::Microvm => "none",
            Self::Process => "host",
        }
    }

    /// What a client should know of that.
    pub fn network_warning(self) -> Option<&'static str> {
        const NONE: &str = "The runtime microvm has no network besides the guest's loopback link; \
                            --network none asks for that";
        (self == Self::Microvm).then_some(NONE)
    }

    /// What the ledger calls it, and `isolab ps` shows.
    pub fn ledger_kind(self) -> &'static str {
        match self {
            // A process of this engine has a cgroup and a root, and is acted on by them.
            Self::Container | Self::Process => "container",
            Self::Microvm => "linux",
        }
    }
}

impl FromStr for Runtime {
    type Err = ApiError;

    /// The runtime of that name; 400 with dockerd's words if there is none.
    fn from_str(name: &str) -> Result<Self, ApiError> {
        let found = Self::NAMES.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, runtime)| *runtime)
            .ok_or_else(|| ApiError::invalid(format!("unknown or invalid runtime name: {name}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_own_runtime_is_the_container() {
        for name in ["container", "runc", "io.containerd.runc.v2"] {
            assert_eq!(name.parse::<Runtime>().unwrap(), Runtime::Container);
        }
        assert_eq!(Runtime::DEFAULT.parse::<Runtime>().unwrap(), Runtime::default());
    }

    #[test]
    fn an_unknown_name_is_refused_as_dockerd_does() {
        let refused = "bogus".parse::<Runtime>().unwrap_err();
        assert_eq!(refused.message, "unknown or invalid runtime name: bogus");
        assert_eq!(refused.status, 400);
    }
}
