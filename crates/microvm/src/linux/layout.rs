//! What lies where in a Linux guest's physical memory.
//!
//! ```text
//!   0x0000_1000  page tables and descriptors, as for a bare program
//!   0x0001_0000  zero page: command line, initramfs, memory map, ACPI
//!   0x0001_1000  the same for PVH: start information, list of modules, memory map
//!   0x0002_0000  command line
//!   0x0009_fc00  end of low memory: 640 KiB, as in every PC
//!   0x000e_0000  ACPI tables
//!   0x0100_0000  kernel, wherever its segments say
//!        ...     initramfs, as high as it fits below the devices at 3 GiB
//! ```

/// What a boot loader tells Linux (`boot_params`).
pub const ZERO_PAGE: u64 = 0x1_0000;
/// What it tells by PVH.
pub const START_INFO: u64 = 0x1_1000;
/// PVH's list of modules.
pub const MODULES: u64 = 0x1_1100;
/// PVH's memory map.
pub const START_MEMORY_MAP: u64 = 0x1_1200;
/// The kernel's command line.
pub const COMMAND_LINE: u64 = 0x2_0000;
/// The end of low memory.
pub const LOW_MEMORY_END: u64 = 0x9_fc00;
/// Where ACPI's tables lie; Linux looks for their pointer here even if it is not told.
pub const ACPI_TABLES: u64 = 0xe_0000;
/// Where memory goes on behind video memory, option ROMs and firmware.
pub const HIGH_MEMORY: u64 = 0x10_0000;

/// Where the mailbox of a built-in program is in the guest's physical memory, among the devices.
pub const MAILBOX: u64 = 0xd801_0000;
