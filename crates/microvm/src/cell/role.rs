//! The roles of a machine's threads.

/// What a thread of a machine is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It is a virtual CPU, and serves the devices that its guest reaches by an exit.
    Vcpu,
    /// It serves the devices whose doorbells KVM rings, and the host's files.
    Devices,
    /// It serves shared directories: it finds and opens files in them, which no other role can.
    Shares,
    /// It waits for the others, and tells of them.
    Monitor,
    /// It waits for the processors of a Linux guest, and answers those who ask from outside.
    Control,
}

impl Role {
    /// The word for it in messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Vcpu => "virtual CPU",
            Self::Devices => "devices",
            Self::Shares => "shared directories",
            Self::Monitor => "monitor",
            Self::Control => "control",
        }
    }

    /// Whether it is on the launcher's side: what its threads do does not depend on what a guest
    /// puts into its queues.
    pub(super) fn is_the_launchers(self) -> bool {
        matches!(self, Self::Monitor)
    }
}
