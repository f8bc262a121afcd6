//! Question 5, second half: who answers when a guest reaches out? What QEMU does;
//! see `container::network` for the other side's.
//!
//! KVM runs a guest's instructions, and comes back when one of them touches a port or an address
//! that is no memory. Somebody has to know what a real machine has there. That is a machine
//! emulator's part, QEMU's as a rule; in isolab it is this folder, and nothing else is.
//!
//! | Who | What | Where |
//! |---|---|---|
//! | KVM, in the kernel | processors, memory, interrupt controllers, timer | `/dev/kvm` |
//! | QEMU's part, a process | devices: what lies behind ports and addresses | here |
//!
//! Each device is at a port or an address of a [`bus`]. A bare program needs a doorbell ([`bare`]); Linux
//! needs a machine.

pub mod bare;
pub mod bus;
pub mod freeze;
pub mod interrupt;
pub mod output;
pub mod page;
pub mod report;
pub mod reset;
pub mod serial;
pub mod virtio;
