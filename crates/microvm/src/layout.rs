//! How a guest's physical memory is laid out.
//!
//! ```text
//!   0x0000_0000  memory, up to 3 GiB
//!   0xc000_0000  devices
//!   0x1_0000_0000  memory beyond 3 GiB
//! ```
//!
//! What lies in it is drawn in [`tables`](crate::tables) and [`linux::layout`](crate::linux::layout).

use std::ops::Range;

/// Pages of guest memory, in the guest's page tables and where the host can also in its own.
pub const PAGE: u64 = 2 << 20;
/// The most memory: without `KVM_SET_CPUID2` a virtual CPU has 36 address bits.
pub const MAX_BYTES: u64 = 64 << 30;

/// Where a PC has no memory but devices: the last GiB that 32 bits can name. The interrupt
/// controllers lie there at fixed places (SDM volume 3, section 11.4), and what is asked for
/// beyond 3 GiB continues behind it.
pub const DEVICE_GAP: Range<u64> = 0xc000_0000..0x1_0000_0000;
