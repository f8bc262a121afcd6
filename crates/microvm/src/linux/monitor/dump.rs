//! A guest's memory and registers in a file that gdb and crash open: an ELF core.
//!
//! ```text
//!   ELF header, program headers
//!   note: NT_PRSTATUS of each processor      (Linux, include/linux/elfcore.h)
//!   memory, piece after piece                its address is the guest's physical one
//! ```
//!
//! What is zero is left out of the file, which has holes there.

use std::{fs::File, io, os::unix::fs::FileExt as _};

use kvm_bindings::{kvm_regs, kvm_sregs};

use crate::memory::Memory;

const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;
/// `struct elf_prstatus` of x86-64, and the note's own head before it: sizes, kind, "CORE".
const STATUS: usize = 336;
const NOTE: usize = 12 + 8;
/// So much is copied at once, and is left out if it is all zero.
const PIECE: usize = 64 << 10;
const PAGE: u64 = 4096;

/// Writes them, and asks `check_cancelled` every now and then; gives how many bytes the file has then.
///
/// # Errors
///
/// When the file cannot be written, and what `check_cancelled` returns.
pub fn write(
    file: &File,
    memory: &Memory,
    processors: &[(kvm_regs, kvm_sregs)],
    check_cancelled: impl Fn() -> io::Result<()>,
) -> io::Result<u64> {
    let pieces: Vec<(u64, u64)> =
        memory.pieces().map(|(address, bytes, _)| (address, bytes)).collect();
    let head = head(&pieces, processors);
    file.write_all_at(&head, 0)?;
    let mut at = (head.len() as u64).next_multiple_of(PAGE);
    let mut copied = vec![0; PIECE];
    for (address, bytes) in pieces {
        for offset in (0..bytes).step_by(PIECE) {
            check_cancelled()?;
            let piece = &mut copied[..(bytes - offset).min(PIECE as u64) as usize];
            memory.read("for a dump", address + offset, piece).map_err(io::Error::other)?;
            // The last one is written in any case: it gives the file its length.
            let is_last = offset + piece.len() as u64 == bytes;
            if is_last || piece.iter().any(|byte| *byte != 0) {
                file.write_all_at(piece, at + offset)?;
            }
        }
        at += bytes;
    }
    Ok(at)
}

/// All that comes before the memory.
fn head(pieces: &[(u64, u64)], processors: &[(kvm_regs, kvm_sregs)]) -> Vec<u8> {
    const CORE: u16 = 4;
    const X86_64: u16 = 62;
    const PT_LOAD: u32 = 1;
    const PT_NOTE: u32 = 4;
    const ALL: u32 = 7; // readable, writable, executable
    let count = pieces.len() + 1;
    let notes_at = HEADER + count * PROGRAM_HEADER;
    let notes: Vec<u8> = (1..).zip(processors).flat_map(|(id, state)| note(id, state)).collect();
    let mut head = b"\x7fELF\x02\x01\x01".to_vec();
    head.resize(16, 0);
    head.extend([CORE, X86_64].map(u16::to_le_bytes).concat());
    head.extend(1u32.to_le_bytes());
    head.extend([0, HEADER as u64, 0].map(u64::to_le_bytes).concat()); // entry, these, sections
    head.extend(0u32.to_le_bytes());
    let sizes = [HEADER, PROGRAM_HEADER, count, 0, 0, 0].map(|size| (size as u16).to_le_bytes());
    head.extend(sizes.concat());
    let mut segment = |kind: u32, flags: u32, numbers: [u64; 6]| {
        head.extend([kind, flags].map(u32::to_le_bytes).concat());
        head.extend(numbers.map(u64::to_le_bytes).concat());
    };
    // Offset, virtual and physical address, size in the file and in memory, alignment.
    let length = notes.len() as u64;
    segment(PT_NOTE, 0, [notes_at as u64, 0, 0, length, length, 4]);
    let mut at = (notes_at as u64 + length).next_multiple_of(PAGE);
    for (address, bytes) in pieces {
        segment(PT_LOAD, ALL, [at, *address, *address, *bytes, *bytes, PAGE]);
        at += bytes;
    }
    head.extend(notes);
    head
}

/// The state of a processor, as a core has that of a thread of this number.
fn note(id: u32, (registers, special): &(kvm_regs, kvm_sregs)) -> Vec<u8> {
    const NT_PRSTATUS: u32 = 1;
    let mut note = [5, STATUS as u32, NT_PRSTATUS].map(u32::to_le_bytes).concat();
    note.extend(b"CORE\0\0\0\0");
    let mut status = vec![0; 32];
    status.extend(id.to_le_bytes());
    status.resize(112, 0);
    let of = registers;
    let selector = |segment: &kvm_bindings::kvm_segment| u64::from(segment.selector);
    // `struct user_regs_struct` (Linux, arch/x86/include/asm/user_64.h).
    let numbers = [
        [of.r15, of.r14, of.r13, of.r12, of.rbp, of.rbx, of.r11, of.r10, of.r9],
        [of.r8, of.rax, of.rcx, of.rdx, of.rsi, of.rdi, u64::MAX, of.rip, selector(&special.cs)],
        [
            of.rflags,
            of.rsp,
            selector(&special.ss),
            special.fs.base,
            special.gs.base,
            selector(&special.ds),
            selector(&special.es),
            selector(&special.fs),
            selector(&special.gs),
        ],
    ];
    status.extend(numbers.as_flattened().iter().flat_map(|number| number.to_le_bytes()));
    status.resize(STATUS, 0);
    note.extend(status);
    debug_assert_eq!(note.len(), NOTE + STATUS);
    note
}

#[cfg(test)]
mod tests {
    use object::{
        LittleEndian,
        elf::{FileHeader64, PT_LOAD, PT_NOTE},
        read::elf::{FileHeader as _, ProgramHeader as _},
    };
    use sandbox::Trace;

    use super::*;

    #[test]
    fn what_was_in_memory_and_registers_is_in_the_file_at_its_place() {
        let mut trace = Trace::default();
        let memory = Memory::of_a_pc(8 << 20, &mut trace).unwrap();
        let places = [0, 0x1234, (2 << 20) - 2, (8 << 20) - 4];
        for place in places {
            memory.write("a test", place, b"word").unwrap();
        }
        let state = |rip| (kvm_regs { rip, ..kvm_regs::default() }, kvm_sregs::default());
        let file = tempfile::tempfile().unwrap();
        let bytes = write(&file, &memory, &[state(0x11), state(0x22)], || Ok(())).unwrap();
        assert_eq!(file.metadata().unwrap().len(), bytes);
        let mut all = vec![0; bytes as usize];
        file.read_exact_at(&mut all, 0).unwrap();
        let header = FileHeader64::<LittleEndian>::parse(&*all).unwrap();
        let segments = header.program_headers(LittleEndian, &*all).unwrap();
        assert_eq!(segments[0].p_type(LittleEndian), PT_NOTE);
        let mut notes = segments[0].notes(LittleEndian, &*all).unwrap().unwrap();
        for rip in [0x11, 0x22] {
            let note = notes.next().unwrap().unwrap();
            assert_eq!((note.name(), note.desc().len()), (&b"CORE"[..], STATUS));
            assert_eq!(note.desc()[112 + 16 * 8], rip);
        }
        assert!(notes.next().unwrap().is_none());
        for place in places {
            let found = segments.iter().any(|segment| {
                let start = segment.p_paddr(LittleEndian);
                let Some(at) = place.checked_sub(start) else { return false };
                let data = segment.data(LittleEndian, &*all).unwrap();
                segment.p_type(LittleEndian) == PT_LOAD
                    && data.get(at as usize..at as usize + 4) == Some(b"word")
            });
            assert!(found, "{place:#x}");
        }
    }
}
