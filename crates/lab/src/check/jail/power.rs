//! What root of the program's host may do: what its lab is about, and nothing else.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, capability_is_in_bounding_set,
    clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
};
use serde::{Deserialize, Serialize};

use super::at;

/// A part of root's power (capabilities(7)), in the program's own user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Capability {
    /// Read and write any file.
    DacOverride,
    /// Configure the network.
    NetAdmin,
    /// Mount, make namespaces, set the host's name.
    SysAdmin,
    /// Change the root.
    SysChroot,
}

impl Capability {
    fn bit(self) -> CapabilitySet {
        match self {
            Self::DacOverride => CapabilitySet::DAC_OVERRIDE,
            Self::NetAdmin => CapabilitySet::NET_ADMIN,
            Self::SysAdmin => CapabilitySet::SYS_ADMIN,
            Self::SysChroot => CapabilitySet::SYS_CHROOT,
        }
    }
}

/// Has root keep only these capabilities in what this thread executes: the others leave the
/// bounding set, which holds for all that comes of it (capabilities(7), "Capability bounding set").
pub(super) fn bound_to(kept: &[Capability]) -> io::Result<()> {
    let kept = kept.iter().fold(CapabilitySet::empty(), |set, one| set | one.bit());
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        // The numbers end where the kernel knows none.
        if kept.contains(one) || !capability_is_in_bounding_set(one).unwrap_or(false) {
            continue;
        }
        remove_capability_from_bounding_set(one)
            .map_err(at(format!("drop capability {number} from the bounding set")))?;
    }
    clear_ambient_capability_set().map_err(at("clear the ambient capabilities"))?;
    let own = capabilities(None).map_err(at("capget"))?;
    let sets = CapabilitySets { inheritable: CapabilitySet::empty(), ..own };
    set_capabilities(None, sets).map_err(at("capset"))
}
