//! Peers: programs of others that start the same program, in the same rounds as isolab.
//!
//! ```text
//!   PeerSet ──names──> Definition ──prepare──> Recipe        a root, a bundle, an image, a guest
//!                                                │
//!                          Peer <────────────────┘           version, deadline, what is left
//!                            └── run, again and again ──> CommandTime
//! ```
//!
//! Each is one row of [`DEFINITIONS`]: how to find it, what it needs, its command line, and how what
//! it leaves behind is found and removed. All start the program that isolab starts, in a root that
//! holds nothing else, without a network, with as many processes as isolab allows; guests have the
//! kernel and the memory of isolab's. Those that boot a whole distribution start no program of ours: they
//! are measured to its login prompt.

mod containers;
mod definition;
pub mod distribution;
mod dockerd;
mod engines;
mod leftovers;
mod login;
mod machines;
mod peer;
mod programs;
mod set;
mod workshop;

pub use definition::{Definition, Found};
pub use dockerd::StartedDockerd;
pub use leftovers::remove_leftovers;
pub use peer::Peer;
pub use programs::{ProgramPeer, Words};
pub use set::{PeerChoice, PeerSet};

/// All peers, in the order of tables; [`PeerChoice::Auto`] leaves out the second kinds at the end.
pub const DEFINITIONS: &[Definition] = &[
    containers::RUNC,
    containers::CRUN,
    containers::BUBBLEWRAP,
    engines::PODMAN,
    engines::DOCKER,
    containers::NSPAWN,
    machines::QEMU_KVM,
    machines::QEMU_TCG,
    machines::FIRECRACKER,
    machines::CLOUD_HYPERVISOR,
    machines::KVMTOOL,
    login::QEMU_KVM_LOGIN,
    login::QEMU_TCG_LOGIN,
    machines::QEMU_KVM_Q35,
    machines::QEMU_TCG_Q35,
];
