//! The tables that a processor needs before it can run anything in 64 bits.
//!
//! On a real machine the firmware, the boot loader and the kernel build these, one after the
//! other. Here the virtual machine monitor writes them before the first instruction.
//!
//! ```text
//!   0x0000  real mode's 256 interrupt vectors     0x7000  descriptors: code, data, task (GDT)
//!   0x0600  256 x `hlt`, one for each exception   0x8000  256 interrupt gates (IDT)
//!   0x1000  page map (PML4)                       0xa000  top of the exceptions' stack
//!   0x2000  directory pointers                    0xa000  task state with the I/O bitmap (TSS)
//!   0x3000  4 page directories, 512 x 2 MiB each  0x10000 end; the program's from here on
//! ```

use crate::{
    error::Result,
    layout::PAGE,
    memory::Memory,
    registers::{Segment, SegmentKind},
};

/// 256 halting instructions: a virtual CPU that halts at the n-th met exception n.
pub const HALTS: u64 = 0x600;
/// The number of exceptions and interrupts.
pub const VECTORS: u64 = 256;
/// Where paging begins: the value of CR3.
pub const PAGE_MAP: u64 = 0x1000;
/// The second level: an entry for each GiB.
pub const DIRECTORY_POINTERS: u64 = 0x2000;
/// The third level: an entry for each 2 MiB.
pub const DIRECTORIES: u64 = 0x3000;
/// The global descriptor table.
pub const DESCRIPTORS: u64 = 0x7000;
/// The interrupt descriptor table.
pub const GATES: u64 = 0x8000;
/// The task state segment.
pub const TASK_STATE: u64 = 0xa000;
const EXCEPTION_STACK: u64 = TASK_STATE;
/// The first byte after the tables.
pub const END: u64 = 0x1_0000;

/// Selectors: index in the descriptor table times 8, and the ring. 64-bit code and data, each for
/// ring 0 and ring 3.
pub mod selector {
    /// 64-bit code of ring 0.
    pub const KERNEL_CODE: u16 = 0x10;
    /// Data of ring 0.
    pub const KERNEL_DATA: u16 = 0x18;
    /// Data of ring 3.
    pub const USER_DATA: u16 = 0x28 | 3;
    /// 64-bit code of ring 3.
    pub const USER_CODE: u16 = 0x30 | 3;
    /// The task state.
    pub const TASK: u16 = 0x40;
}

/// Bytes of the descriptor table: nine entries, the last one of two words.
pub const DESCRIPTORS_BYTES: u16 = 10 * 8;
/// The task state's own 104 bytes, a bit for each of 65,536 ports, and the byte that ends them.
pub const TASK_STATE_BYTES: u32 = 104 + 8192 + 1;

/// The task state's segment.
pub const TASK: Segment = Segment {
    base: TASK_STATE as u32,
    limit: TASK_STATE_BYTES - 1,
    kind: SegmentKind::Task,
    ring: 0,
};

const PRESENT_WRITABLE_USER: u64 = 0b111;
const LARGE_PAGE: u64 = 1 << 7;
const GIBIBYTE: u64 = 1 << 30;
/// Page directories that fit below the program; memory above 4 GiB has its own at its end.
const LOW_DIRECTORIES: u64 = 4;

/// The first byte after the memory that a program may use: page directories beyond the fourth lie
/// behind it.
pub fn memory_end(bytes: u64) -> u64 {
    bytes - bytes.div_ceil(GIBIBYTE).saturating_sub(LOW_DIRECTORIES) * 4096
}

/// Maps all addresses below `mapped` to themselves, in pages of 2 MiB that ring 3 may write.
///
/// The tables lie in such a page themselves. A guest that overwrites them harms itself alone: the
/// wall around it is the machine's memory slot, not its page tables.
///
/// # Errors
///
/// When the memory is too small for the tables.
pub fn write_pages(memory: &Memory, mapped: u64) -> Result<()> {
    let entry = |table: u64| (table | PRESENT_WRITABLE_USER).to_le_bytes();
    memory.write("page map", PAGE_MAP, &entry(DIRECTORY_POINTERS))?;
    for index in 0..mapped.div_ceil(GIBIBYTE) {
        let directory = match index.checked_sub(LOW_DIRECTORIES) {
            None => DIRECTORIES + index * 4096,
            Some(high) => memory_end(memory.bytes()) + high * 4096,
        };
        memory.write("directory pointer", DIRECTORY_POINTERS + index * 8, &entry(directory))?;
        let end = mapped.min((index + 1) * GIBIBYTE);
        let pages = (index * GIBIBYTE..end).step_by(PAGE as usize);
        let entries: Vec<u8> = pages.flat_map(|page| entry(page | LARGE_PAGE)).collect();
        memory.write("page directory", directory, &entries)?;
    }
    Ok(())
}

/// Writes the descriptors, the task state and the gates through which exceptions leave ring 3.
///
/// # Errors
///
/// When the memory is too small for the tables.
pub fn write_descriptors(memory: &Memory) -> Result<()> {
    let mut descriptors = [0u64; DESCRIPTORS_BYTES as usize / 8];
    for (selector, segment) in [
        (selector::KERNEL_CODE, Segment::flat(SegmentKind::Code64, 0)),
        (selector::KERNEL_DATA, Segment::flat(SegmentKind::Data, 0)),
        (selector::USER_DATA, Segment::flat(SegmentKind::Data, 3)),
        (selector::USER_CODE, Segment::flat(SegmentKind::Code64, 3)),
        // Its second word is the upper half of the base: zero.
        (selector::TASK, TASK),
    ] {
        descriptors[usize::from(selector / 8)] = segment.descriptor();
    }
    memory.write("descriptors", DESCRIPTORS, &bytes_of(&descriptors))?;

    // Interrupt stack 1, so that even an exception with a bad stack pointer finds a good stack.
    // All bits of the I/O bitmap are zero: ring 3 may use every port, as IOPL 3 says too. A KVM
    // that keeps only one of the two would otherwise refuse the doorbell.
    memory.write("task state", TASK_STATE + 4, &EXCEPTION_STACK.to_le_bytes())?;
    memory.write("task state", TASK_STATE + 36, &EXCEPTION_STACK.to_le_bytes())?;
    memory.write("task state", TASK_STATE + 102, &104u16.to_le_bytes())?;
    memory.write("task state", TASK_STATE + u64::from(TASK_STATE_BYTES) - 1, &[0xff])?;

    let mut gates = [0u64; 2 * VECTORS as usize];
    for vector in 0..VECTORS {
        const INTERRUPT_GATE: u64 = 0x8e00 << 32;
        const BREAKPOINT: u64 = 3;
        let code = u64::from(selector::KERNEL_CODE) << 16;
        let from_ring_3 = if vector == BREAKPOINT { 3 << 45 } else { 0 };
        gates[2 * vector as usize] =
            (HALTS + vector) | code | 1 << 32 | INTERRUPT_GATE | from_ring_3;
    }
    memory.write("gates", GATES, &bytes_of(&gates))?;
    memory.write("exception handlers", HALTS, &[HALT; VECTORS as usize])
}

/// The instruction `hlt`.
const HALT: u8 = 0xf4;

/// Writes real mode's vectors: for each exception the address of its own `hlt`.
///
/// # Errors
///
/// When the memory is too small for the tables.
pub fn write_vectors(memory: &Memory) -> Result<()> {
    let vectors: Vec<u8> =
        (0..VECTORS).flat_map(|vector| ((HALTS + vector) as u32).to_le_bytes()).collect();
    memory.write("interrupt vectors", 0, &vectors)?;
    memory.write("exception handlers", HALTS, &[HALT; VECTORS as usize])
}

fn bytes_of(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_of_memory_above_4_gib_lie_at_its_end() {
        assert_eq!(memory_end(PAGE), PAGE);
        assert_eq!(memory_end(4 * GIBIBYTE), 4 * GIBIBYTE);
        assert_eq!(memory_end(6 * GIBIBYTE), 6 * GIBIBYTE - 2 * 4096);
    }
}
