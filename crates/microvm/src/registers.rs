//! Bits of the control registers and fields of segment descriptors, by the manual's names.
//!
//! Sections are those of the Intel SDM, volume 3A.

use kvm_bindings::kvm_segment;

/// CR0 (section 2.5): protected mode.
pub const CR0_PE: u64 = 1 << 0;
/// CR0: `wait` takes note of task switches.
pub const CR0_MP: u64 = 1 << 1;
/// CR0: there is a floating-point unit; always set.
pub const CR0_ET: u64 = 1 << 4;
/// CR0: floating-point errors are exceptions, not interrupts of the board's.
pub const CR0_NE: u64 = 1 << 5;
/// CR0: ring 0, too, cannot write to read-only pages.
pub const CR0_WP: u64 = 1 << 16;
/// CR0: ring 3 may ask for exceptions at unaligned accesses.
pub const CR0_AM: u64 = 1 << 18;
/// CR0: paging.
pub const CR0_PG: u64 = 1 << 31;

/// CR4 (section 2.5): page table entries of 8 bytes; 64-bit mode needs them.
pub const CR4_PAE: u64 = 1 << 5;
/// CR4: SSE instructions.
pub const CR4_OSFXSR: u64 = 1 << 9;
/// CR4: exceptions of SSE instructions.
pub const CR4_OSXMMEXCPT: u64 = 1 << 10;
/// CR4: virtual machine extensions (section 24.7).
pub const CR4_VMXE: u64 = 1 << 13;

/// EFER (section 2.2.1): `syscall`.
pub const EFER_SCE: u64 = 1 << 0;
/// EFER: long mode is wanted once paging is on.
pub const EFER_LME: u64 = 1 << 8;
/// EFER: long mode is active.
pub const EFER_LMA: u64 = 1 << 10;
/// EFER: pages can forbid execution.
pub const EFER_NXE: u64 = 1 << 11;
/// EFER: AMD's virtual machine extensions (AMD64 APM, volume 2, section 15.4).
pub const EFER_SVME: u64 = 1 << 12;

/// RFLAGS (section 2.3): always set.
pub const RFLAGS_FIXED: u64 = 1 << 1;
/// RFLAGS: interrupts are taken.
pub const RFLAGS_IF: u64 = 1 << 9;
/// RFLAGS: I/O ports are for ring 3, too (IOPL).
pub const RFLAGS_IOPL_3: u64 = 3 << 12;

/// A segment as its descriptor describes it (section 3.4.5).
///
/// ```text
///  63      56 55   52 51   48 47  46 45 44 43    40 39      32 31          16 15         0
/// | base     | flags | limit | P | DPL | S | type  |   base   |     base     |    limit    |
///   31..24    G D L 0  19..16                          23..16      15..0         15..0
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// The address of its first byte.
    pub base: u32,
    /// The offset of its last byte. Beyond 1 MiB the descriptor counts it in pages (G).
    pub limit: u32,
    /// What it is for (`type`, sections 3.4.5.1 and 3.5).
    pub kind: SegmentKind,
    /// The ring whose code may use it (`DPL`).
    pub ring: u8,
}

/// What a segment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentKind {
    /// 64-bit code (L).
    Code64,
    /// 32-bit code (D).
    Code32,
    /// Data that may be written.
    Data,
    /// The state of a task.
    Task,
}

impl Segment {
    /// One of 4 GiB from address 0.
    pub const fn flat(kind: SegmentKind, ring: u8) -> Self {
        Self { base: 0, limit: u32::MAX, kind, ring }
    }

    /// Its word in the descriptor table.
    pub const fn descriptor(self) -> u64 {
        let register = self.register(0);
        let (base, limit) =
            (self.base as u64, if register.g == 1 { self.limit >> 12 } else { self.limit });
        // What is in use is marked in the register alone (section 8.2.2).
        let kind = match self.kind {
            SegmentKind::Task => AVAILABLE_TASK,
            _ => register.type_,
        };
        let access = (kind | register.s << 4 | register.dpl << 5 | register.present << 7) as u64;
        let flags = (register.l << 1 | register.db << 2 | register.g << 3) as u64;
        (limit & 0xffff) as u64
            | (base & 0xff_ffff) << 16
            | access << 40
            | (limit as u64 >> 16 & 0xf) << 48
            | flags << 52
            | (base >> 24) << 56
    }

    /// What the processor keeps of it once a segment register has `selector`.
    pub const fn register(self, selector: u16) -> kvm_segment {
        let type_ = match self.kind {
            SegmentKind::Code64 | SegmentKind::Code32 => READABLE_CODE,
            SegmentKind::Data => WRITABLE_DATA,
            SegmentKind::Task => BUSY_TASK,
        };
        kvm_segment {
            base: self.base as u64,
            limit: self.limit,
            selector,
            type_,
            present: 1,
            dpl: self.ring,
            db: matches!(self.kind, SegmentKind::Code32 | SegmentKind::Data) as u8,
            s: !matches!(self.kind, SegmentKind::Task) as u8,
            l: matches!(self.kind, SegmentKind::Code64) as u8,
            g: (self.limit > 0xf_ffff) as u8,
            avl: 0,
            unusable: 0,
            padding: 0,
        }
    }
}

/// Code that can be read, and has been used.
const READABLE_CODE: u8 = 0b1011;
/// Data that can be written, and has been used.
const WRITABLE_DATA: u8 = 0b0011;
/// A task's state that no processor uses.
const AVAILABLE_TASK: u8 = 0b1001;
/// One that a processor uses.
const BUSY_TASK: u8 = 0b1011;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_those_that_linux_has_in_its_own_table() {
        // arch/x86/kernel/cpu/common.c, gdt_page, with the accessed bit.
        for (kind, ring, word) in [
            (SegmentKind::Code64, 0, 0x00af_9b00_0000_ffff),
            (SegmentKind::Code32, 0, 0x00cf_9b00_0000_ffff),
            (SegmentKind::Data, 0, 0x00cf_9300_0000_ffff),
            (SegmentKind::Data, 3, 0x00cf_f300_0000_ffff),
            (SegmentKind::Code64, 3, 0x00af_fb00_0000_ffff),
        ] {
            assert_eq!(Segment::flat(kind, ring).descriptor(), word, "{kind:?} {ring}");
        }
    }

    #[test]
    fn every_bit_of_a_base_and_a_limit_has_its_place() {
        let task = Segment { base: 0x1234_5678, limit: 0x9_abcd, kind: SegmentKind::Task, ring: 0 };
        assert_eq!(task.descriptor(), 0x1209_8934_5678_abcd);
        assert_eq!((task.register(0x40).type_, task.register(0x40).s), (0b1011, 0));
    }
}
