//! The kernel proper, an ELF file: what is loaded where, and where it begins.

use std::{fs::File, io, os::unix::fs::FileExt};

use object::{
    LittleEndian as LE, elf,
    read::{
        ReadRef,
        elf::{FileHeader as _, NoteIterator, ProgramHeader as _},
    },
};

use super::{KernelSegment, error::KernelError};

/// What an ELF file begins with.
pub const MAGIC: &[u8] = b"\x7fELF";
/// Kernels have four or five; a file that claims more is not worth reading.
const MAX_SEGMENTS: usize = 64;
/// Kernels have some hundred bytes of notes.
const MAX_NOTE_BYTES: u64 = 64 << 10;
/// The upper half of the address space is the kernel's.
const KERNEL_HALF: u64 = 1 << 63;
/// `XEN_ELFNOTE_PHYS32_ENTRY`: the address of the PVH entry.
const PVH_ENTRY_NOTE: elf::NoteType = elf::NoteType(18);

type Header = elf::FileHeader64<LE>;

/// What the headers say.
#[derive(Debug, PartialEq, Eq)]
pub struct Headers {
    pub entry: u64,
    pub pvh_entry: Option<u32>,
    pub segments: Vec<KernelSegment>,
}

/// Whether `file` begins as an ELF file.
pub fn is_elf(file: &File) -> io::Result<bool> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact_at(&mut magic, 0)?;
    Ok(magic == MAGIC)
}

/// Reads and checks the headers of an ELF file.
///
/// # Errors
///
/// The first thing that such a kernel must not have.
pub fn headers<'a, R: ReadRef<'a>>(file: R) -> Result<Headers, KernelError> {
    let bytes = file.len().unwrap_or(0);
    let truncated = |part, end| KernelError::Truncated { part, end, bytes };
    let ident = file.read_bytes_at(0, 20).map_err(|()| truncated("ELF header", 64))?;
    check_machine(ident)?;
    let header = Header::parse(file).map_err(|_| truncated("ELF header", 64))?;
    match header.e_type.get(LE) {
        elf::ET_EXEC | elf::ET_DYN => {}
        elf::ET_REL => return Err(not_kernel("an object file or a kernel module")),
        elf::ET_CORE => return Err(not_kernel("a core dump")),
        _ => return Err(not_kernel("an ELF file of an unknown type")),
    }
    let count = usize::from(header.e_phnum.get(LE));
    if count > MAX_SEGMENTS {
        return Err(damaged(format!("it claims to have {count} segments")));
    }
    let table_end = header.e_phoff.get(LE).saturating_add(count as u64 * 56);
    let programs = header
        .program_headers(LE, file)
        .map_err(|_| truncated("program header table", table_end))?;
    let mut segments = Vec::new();
    let mut pvh_entry = None;
    let mut is_kernel = false;
    for program in programs {
        let (offset, length) = (program.p_offset(LE), program.p_filesz(LE));
        let end = offset.saturating_add(length);
        match program.p_type(LE) {
            elf::PT_LOAD if end > bytes => return Err(truncated("segment", end)),
            elf::PT_LOAD => {
                is_kernel |= program.p_vaddr(LE) >= KERNEL_HALF;
                segments.extend(segment(program)?);
            }
            elf::PT_NOTE if length <= MAX_NOTE_BYTES && pvh_entry.is_none() => {
                let notes =
                    file.read_bytes_at(offset, length).map_err(|()| truncated("notes", end))?;
                pvh_entry = pvh_note(program.p_align(LE), notes);
            }
            elf::PT_INTERP => return Err(not_kernel("a dynamically linked program")),
            _ => {}
        }
    }
    if segments.is_empty() {
        return Err(not_kernel("an ELF file with nothing to load"));
    }
    if !is_kernel && pvh_entry.is_none() {
        return Err(not_kernel("a program, not linked to where a kernel lies"));
    }
    let entry = header.e_entry.get(LE);
    let inside = |entry| segments.iter().any(|part| (part.address..part.end()).contains(&entry));
    if !inside(entry) {
        return Err(KernelError::No64BitEntry {
            why: "the ELF entry point is outside its segments",
        });
    }
    if let Some(pvh) = pvh_entry
        && !inside(pvh.into())
    {
        return Err(damaged(format!("the PVH entry point {pvh:#x} is outside its segments")));
    }
    Ok(Headers { entry, pvh_entry, segments })
}

/// Whether it is a little-endian ELF file of 64 bits for x86-64, by its first 20 bytes.
fn check_machine(ident: &[u8]) -> Result<(), KernelError> {
    let (class, order) = (ident[4], ident[5]);
    let machine = match order {
        2 => u16::from_be_bytes([ident[18], ident[19]]),
        _ => u16::from_le_bytes([ident[18], ident[19]]),
    };
    let name = match machine {
        62 if class == 2 && order == 1 => return Ok(()),
        62 | 3 | 6 => {
            return Err(KernelError::No64BitEntry { why: "it is a 32-bit ELF file" });
        }
        8 => "MIPS",
        20 | 21 => "PowerPC",
        22 => "s390",
        40 => "32-bit ARM",
        183 => "arm64",
        243 => "RISC-V",
        258 => "LoongArch",
        other => {
            return Err(KernelError::OtherMachine {
                machine: format!("ELF machine {other}").into(),
            });
        }
    };
    Err(KernelError::OtherMachine { machine: name.into() })
}

/// One segment; `None` if it is empty.
fn segment(program: &elf::ProgramHeader64<LE>) -> Result<Option<KernelSegment>, KernelError> {
    let segment = KernelSegment {
        address: program.p_paddr(LE),
        memory_bytes: program.p_memsz(LE),
        offset: program.p_offset(LE),
        file_bytes: program.p_filesz(LE),
    };
    let address = segment.address;
    if segment.file_bytes > segment.memory_bytes {
        return Err(damaged(format!(
            "the segment at {address:#x} is larger in the file than in memory"
        )));
    }
    if address.checked_add(segment.memory_bytes).is_none() {
        return Err(damaged(format!(
            "the segment at {address:#x} goes around the end of all memory"
        )));
    }
    Ok((segment.memory_bytes > 0).then_some(segment))
}

/// The address in Xen's note, if it is among these.
fn pvh_note(align: u64, notes: &[u8]) -> Option<u32> {
    let mut notes = NoteIterator::<Header>::new(LE, align, notes).ok()?;
    while let Ok(Some(note)) = notes.next() {
        if note.name() == b"Xen" && note.n_type(LE) == PVH_ENTRY_NOTE {
            // Written with the width of a pointer; the entry is for 32 bits.
            let address = note.desc().first_chunk()?;
            return Some(u32::from_le_bytes(*address));
        }
    }
    None
}

fn not_kernel(what: &'static str) -> KernelError {
    KernelError::NotKernel { what: what.into() }
}

fn damaged(what: String) -> KernelError {
    KernelError::Damaged { what: what.into() }
}
