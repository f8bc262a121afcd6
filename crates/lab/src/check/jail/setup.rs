//! What a lab asks for its program; what it does not ask for, the program does not have.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Capability;

/// What a program needs of its host.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Setup {
    /// Its arguments: `name=value`.
    pub arguments: Vec<String>,
    /// Whether it is root of its host, and not an ordinary user, number 1000, of group 1001.
    pub root: bool,
    /// What root of that host may do (capabilities(7)).
    pub capabilities: Vec<Capability>,
    /// Whether it may make namespaces, in which it may mount.
    pub namespaces: bool,
    /// Whether it may make cgroups, with limits of CPU, memory and processes.
    pub cgroups: bool,
    /// Whether it needs `/dev/kvm`.
    pub kvm: bool,
    /// Whether it may ask to be served in real time (sched(7)).
    pub realtime: bool,
    /// Whether its loopback network is up.
    pub loopback: bool,
    /// Programs of the host that it may start; no others, but itself.
    pub allowed: Vec<PathBuf>,
}

impl Setup {
    /// An ordinary user of its host, who may do nothing that takes a capability.
    pub fn ordinary() -> Self {
        Self::default()
    }

    /// Root of its host, with these capabilities and no others.
    pub fn root(capabilities: &[Capability]) -> Self {
        Self { root: true, capabilities: capabilities.to_vec(), ..Self::default() }
    }

    /// With an argument.
    #[must_use]
    pub fn argument(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.arguments.push(format!("{name}={value}"));
        self
    }

    /// With namespaces: it may make them, enter them and mount in them.
    #[must_use]
    pub fn with_namespaces(self) -> Self {
        Self { namespaces: true, ..self }
    }

    /// With `/dev/kvm`.
    #[must_use]
    pub fn with_kvm(self) -> Self {
        Self { kvm: true, ..self }
    }

    /// With cgroups of its own.
    #[must_use]
    pub fn with_cgroups(self) -> Self {
        Self { cgroups: true, ..self }
    }

    /// With real-time scheduling.
    #[must_use]
    pub fn with_realtime(self) -> Self {
        Self { realtime: true, ..self }
    }

    /// With a network of which nobody else is a part: 127.0.0.1 alone.
    #[must_use]
    pub fn with_loopback(self) -> Self {
        Self { loopback: true, ..self }
    }

    /// Allowed to start a program of the host.
    #[must_use]
    pub fn allowing(mut self, program: impl Into<PathBuf>) -> Self {
        self.allowed.push(program.into());
        self
    }
}
