//! What a boot loader leaves to a Linux kernel: Linux's own zero page, or the start information of
//! PVH.

use crate::{
    error::Result,
    linux::layout::{
        ACPI_TABLES, COMMAND_LINE, HIGH_MEMORY, LOW_MEMORY_END, MODULES, START_INFO,
        START_MEMORY_MAP,
    },
    memory::Memory,
};

/// A range of physical addresses and what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    start: u64,
    end: u64,
    kind: u32,
}

const RAM: u32 = 1;
const RESERVED: u32 = 2;

/// The memory map as a PC's firmware tells it (E820).
pub fn map(memory: &Memory) -> Vec<Range> {
    let mut map = vec![
        Range { start: 0, end: LOW_MEMORY_END, kind: RAM },
        Range { start: ACPI_TABLES, end: HIGH_MEMORY, kind: RESERVED },
    ];
    for (address, bytes, _) in memory.pieces() {
        map.push(Range { start: address.max(HIGH_MEMORY), end: address + bytes, kind: RAM });
    }
    map
}

/// What a boot loader tells the kernel, in one protocol or the other.
pub struct BootParams {
    /// Where the ACPI tables begin.
    pub rsdp: u64,
    /// The address and the length of the initramfs.
    pub initramfs: (u64, u64),
    /// The length of the command line, without its terminating zero.
    pub command_line: u64,
    /// The memory map.
    pub map: Vec<Range>,
}

impl BootParams {
    /// Linux, `Documentation/arch/x86/zero-page.rst`; from 0x1f1 on, `boot.rst` there.
    pub fn zero_page(&self) -> [u8; 4096] {
        let mut page = [0; 4096];
        let mut put = |offset: usize, bytes: &[u8]| {
            page[offset..offset + bytes.len()].copy_from_slice(bytes);
        };
        let (low, high) = (|word: u64| (word as u32).to_le_bytes(), |word: u64| word >> 32);
        let (start, length) = self.initramfs;
        put(0x070, &self.rsdp.to_le_bytes()); // acpi_rsdp_addr
        put(0x0c0, &low(high(start))); // ext_ramdisk_image
        put(0x0c4, &low(high(length))); // ext_ramdisk_size
        put(0x1e8, &[self.map.len() as u8]); // e820_entries
        put(0x1fe, &0xaa55u16.to_le_bytes()); // boot_flag
        put(0x202, b"HdrS"); // header
        put(0x206, &0x020fu16.to_le_bytes()); // version of the protocol: 2.15
        put(0x210, &[0xff]); // type_of_loader: none that has a number
        put(0x211, &[1]); // loadflags: the kernel is loaded high
        put(0x218, &low(start)); // ramdisk_image
        put(0x21c, &low(length)); // ramdisk_size
        put(0x228, &low(COMMAND_LINE)); // cmd_line_ptr
        put(0x238, &low(self.command_line)); // cmdline_size
        for (index, range) in self.map.iter().enumerate() {
            let entry = 0x2d0 + index * 20; // e820_table
            put(entry, &range.start.to_le_bytes());
            put(entry + 8, &(range.end - range.start).to_le_bytes());
            put(entry + 16, &range.kind.to_le_bytes());
        }
        page
    }

    /// Xen's public interface, `arch-x86/hvm/start_info.h`.
    pub fn write_start_info(&self, memory: &Memory) -> Result<()> {
        const MAGIC: u32 = 0x336e_c578;
        const VERSION: u32 = 1;
        let (start, length) = self.initramfs;
        let modules = u32::from(length > 0);
        let mut info = Vec::new();
        for word in [MAGIC, VERSION, 0, modules] {
            info.extend(word.to_le_bytes());
        }
        for address in [MODULES, COMMAND_LINE, self.rsdp, START_MEMORY_MAP] {
            info.extend(address.to_le_bytes());
        }
        info.extend((self.map.len() as u64).to_le_bytes());
        memory.write("start information", START_INFO, &info)?;
        let module = [start, length, 0, 0].map(u64::to_le_bytes).concat();
        memory.write("list of modules", MODULES, &module)?;
        let entry = |range: &Range| {
            let kind = u64::from(range.kind);
            [range.start, range.end - range.start, kind].map(u64::to_le_bytes).concat()
        };
        let map: Vec<u8> = self.map.iter().flat_map(entry).collect();
        memory.write("memory map", START_MEMORY_MAP, &map)
    }
}

#[cfg(test)]
mod tests {
    use sandbox::Trace;

    use super::*;
    use crate::layout::DEVICE_GAP;

    #[test]
    fn memory_beyond_the_devices_is_in_the_map() {
        let memory = Memory::of_a_pc(4 << 30, &mut Trace::default()).unwrap();
        let map = map(&memory);
        let ram: u64 = map.iter().filter(|it| it.kind == RAM).map(|it| it.end - it.start).sum();
        assert_eq!(ram, (4 << 30) - (HIGH_MEMORY - LOW_MEMORY_END));
        assert_eq!(map.last().unwrap().end, 5 << 30);
        assert!(map.iter().all(|it| it.end <= DEVICE_GAP.start || it.start >= DEVICE_GAP.end));
    }
}
