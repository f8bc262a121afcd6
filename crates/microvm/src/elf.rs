//! Reading a static ELF file, as much of it as a loader needs.
//!
//! The file is the guest's, so nothing in it is believed: every offset is checked before it is
//! followed. The format is described in elf(5).

use std::ops::Range;

/// Why a file is no program for a microVM.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ElfError {
    /// It begins otherwise.
    #[error("not an ELF file")]
    NotElf,
    /// It breaks off.
    #[error("the ELF file is truncated: its {0} ends after the last byte of the file")]
    Truncated(&'static str),
    /// It is for a smaller processor.
    #[error("it is a 32-bit ELF file; compile it for 64 bits")]
    Not64Bit,
    /// Its numbers begin with the highest byte.
    #[error("it is a big-endian ELF file; x86-64 is little-endian")]
    BigEndian,
    /// It is for another processor.
    #[error("it is for another machine (ELF machine {0}, x86-64 is 62)")]
    OtherMachine(u16),
    /// It needs a dynamic linker.
    #[error(
        "it is dynamically linked or position-independent, and the guest has no dynamic linker: link it with -static -no-pie"
    )]
    Dynamic,
    /// It is an object file, a core dump or something else.
    #[error("it is an ELF file of type {0}, not an executable (2)")]
    NotExecutable(u16),
    /// It has more segments than any program.
    #[error("it claims to have {0} segments; a program has at most {MAX_SEGMENTS}")]
    TooManySegments(u64),
    /// Nothing is to be loaded.
    #[error("it has no segment to load")]
    NoSegments,
    /// A segment makes no sense.
    #[error("the segment at {address:#x} is larger in the file than in memory")]
    BadSegment {
        /// Where it was to lie.
        address: u64,
    },
    /// A segment does not fit.
    #[error(
        "the segment {address:#x}..{end:#x} is outside the guest's memory, which ends at {memory_end:#x}: link it at a lower address, or raise --memory"
    )]
    OutsideMemory {
        /// Its first byte.
        address: u64,
        /// The first byte after it.
        end: u64,
        /// The first byte after the memory that a program may use.
        memory_end: u64,
    },
    /// A segment would overwrite what the virtual machine monitor put there.
    #[error(
        "the segment {address:#x}..{end:#x} overlaps the page tables and descriptors below {tables_end:#x}: link it at 0x100000"
    )]
    OverlapsTables {
        /// Its first byte.
        address: u64,
        /// The first byte after it.
        end: u64,
        /// The first byte after the tables.
        tables_end: u64,
    },
    /// A segment would lie where the program's stack is.
    #[error(
        "the segment {address:#x}..{end:#x} overlaps the stack {bottom:#x}..{top:#x}: link it at 0x100000"
    )]
    OverlapsStack {
        /// Its first byte.
        address: u64,
        /// The first byte after it.
        end: u64,
        /// The lowest byte of the stack.
        bottom: u64,
        /// The first byte above the stack.
        top: u64,
    },
    /// The program would begin outside of itself.
    #[error("its entry point {0:#x} is outside its segments")]
    BadEntry(u64),
    /// The file is no program at all.
    #[error("it is empty")]
    Empty,
    /// A flat binary does not fit.
    #[error("its {bytes} bytes do not fit into the {room} bytes available at {address:#x}")]
    TooLarge {
        /// Its length.
        bytes: usize,
        /// The room there is.
        room: u64,
        /// Where it was to lie.
        address: u64,
    },
    /// An ELF file was to be run in 16-bit mode.
    #[error("it is a 64-bit ELF file and cannot start in real mode")]
    NotFlat,
}

/// A piece of a program: `bytes`, then zeros up to `size`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment<'a> {
    /// Where it lies in the guest's memory.
    pub address: u64,
    /// What is in the file of it.
    pub bytes: &'a [u8],
    /// Its length in memory.
    pub size: u64,
}

impl Segment<'_> {
    /// The first address after it.
    fn end(&self) -> u64 {
        self.address.saturating_add(self.size)
    }
}

/// A program: its segments and its first instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Elf<'a> {
    /// The address of the first instruction.
    pub entry: u64,
    /// What is to be loaded.
    pub segments: Vec<Segment<'a>>,
}

/// Whether `bytes` claim to be an ELF file.
pub fn is_elf(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF")
}

/// Programs have some ten. They may overlap, and each is copied: 65,535 times a whole file would
/// keep the launcher for minutes.
const MAX_SEGMENTS: u64 = 64;
const HEADER_BYTES: u64 = 64;
const PROGRAM_HEADER_BYTES: u64 = 56;
const TYPE_EXECUTABLE: u16 = 2;
const TYPE_SHARED: u16 = 3;
const MACHINE_X86_64: u16 = 62;
const SEGMENT_LOAD: u32 = 1;
const SEGMENT_DYNAMIC: u32 = 2;
const SEGMENT_INTERPRETER: u32 = 3;

/// Reads a static x86-64 executable.
///
/// # Errors
///
/// The first thing in it that such a file must not have.
pub fn parse(file: &[u8]) -> Result<Elf<'_>, ElfError> {
    if !is_elf(file) {
        return Err(ElfError::NotElf);
    }
    let header = part(file, 0, HEADER_BYTES).ok_or(ElfError::Truncated("header"))?;
    match (header[4], header[5]) {
        (2, 1) => {}
        (2, _) => return Err(ElfError::BigEndian),
        _ => return Err(ElfError::Not64Bit),
    }
    let machine = u16::from_le_bytes(field(header, 18));
    if machine != MACHINE_X86_64 {
        return Err(ElfError::OtherMachine(machine));
    }
    match u16::from_le_bytes(field(header, 16)) {
        TYPE_EXECUTABLE => {}
        TYPE_SHARED => return Err(ElfError::Dynamic),
        other => return Err(ElfError::NotExecutable(other)),
    }
    let entry = u64::from_le_bytes(field(header, 24));
    let table = u64::from_le_bytes(field(header, 32));
    let entry_bytes = u64::from(u16::from_le_bytes(field(header, 54)));
    let count = u64::from(u16::from_le_bytes(field(header, 56)));
    if count > MAX_SEGMENTS {
        return Err(ElfError::TooManySegments(count));
    }
    let mut segments = Vec::new();
    for index in 0..count {
        let program_header = table
            .checked_add(index * entry_bytes)
            .and_then(|offset| part(file, offset, PROGRAM_HEADER_BYTES))
            .ok_or(ElfError::Truncated("program header table"))?;
        match u32::from_le_bytes(field(program_header, 0)) {
            SEGMENT_LOAD => segments.extend(segment(file, program_header)?),
            SEGMENT_DYNAMIC | SEGMENT_INTERPRETER => return Err(ElfError::Dynamic),
            _ => {}
        }
    }
    if segments.is_empty() {
        return Err(ElfError::NoSegments);
    }
    if !segments.iter().any(|segment| (segment.address..segment.end()).contains(&entry)) {
        return Err(ElfError::BadEntry(entry));
    }
    Ok(Elf { entry, segments })
}

/// One segment; `None` if it is empty.
fn segment<'a>(file: &'a [u8], header: &[u8]) -> Result<Option<Segment<'a>>, ElfError> {
    let offset = u64::from_le_bytes(field(header, 8));
    let address = u64::from_le_bytes(field(header, 16));
    let file_size = u64::from_le_bytes(field(header, 32));
    let size = u64::from_le_bytes(field(header, 40));
    if file_size > size {
        return Err(ElfError::BadSegment { address });
    }
    let bytes = part(file, offset, file_size).ok_or(ElfError::Truncated("segment"))?;
    Ok((size > 0).then_some(Segment { address, bytes, size }))
}

impl Elf<'_> {
    /// Checks that every segment lies in `tables_end..memory_end`, and none on the `stack`.
    ///
    /// # Errors
    ///
    /// The first one that does not.
    pub fn check_room(
        &self,
        tables_end: u64,
        stack: Range<u64>,
        memory_end: u64,
    ) -> Result<(), ElfError> {
        let Range { start: bottom, end: top } = stack;
        for segment in &self.segments {
            let (address, end) = (segment.address, segment.end());
            if end > memory_end {
                return Err(ElfError::OutsideMemory { address, end, memory_end });
            }
            if address < tables_end {
                return Err(ElfError::OverlapsTables { address, end, tables_end });
            }
            if address < top && end > bottom {
                return Err(ElfError::OverlapsStack { address, end, bottom, top });
            }
        }
        Ok(())
    }
}

/// `length` bytes of `file` from `offset` on, if there are so many.
fn part(file: &[u8], offset: u64, length: u64) -> Option<&[u8]> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    file.get(start..end)
}

/// A number of `N` bytes in a header; the callers' offsets are constants within it.
fn field<const N: usize>(header: &[u8], offset: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[offset..offset + N]);
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bare `hello`, a file that is right in every respect.
    fn hello() -> Vec<u8> {
        guest::Builtin::Hello.bare_elf().to_vec()
    }

    const TABLES_END: u64 = 0x1_0000;
    const STACK: Range<u64> = 0x3_0000..0x8_0000;

    #[test]
    fn every_bare_program_is_read_and_fits() {
        for builtin in guest::Builtin::ALL {
            let elf = parse(builtin.bare_elf()).unwrap();
            elf.check_room(TABLES_END, STACK, guest::abi::map::HEAP).unwrap();
        }
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named() {
        type Change = fn(&mut Vec<u8>);
        let cases: [(Change, ElfError); 9] = [
            (|file| file[1] = b'e', ElfError::NotElf),
            (|file| file.truncate(40), ElfError::Truncated("header")),
            (|file| file.truncate(70), ElfError::Truncated("program header table")),
            (|file| file[4] = 1, ElfError::Not64Bit),
            (|file| file[5] = 2, ElfError::BigEndian),
            (|file| file[18] = 183, ElfError::OtherMachine(183)),
            (|file| file[16] = 3, ElfError::Dynamic),
            (|file| file[57] = 1, ElfError::TooManySegments(256 + 2)),
            (|file| file[24..32].fill(0xff), ElfError::BadEntry(u64::MAX)),
        ];
        for (change, expected) in cases {
            let mut file = hello();
            change(&mut file);
            assert_eq!(parse(&file), Err(expected));
        }
    }

    #[test]
    fn a_segment_must_lie_between_the_tables_and_the_end() {
        let file = hello();
        let mut elf = parse(&file).unwrap();
        elf.segments[0].address = 0x8000;
        let low = elf.check_room(TABLES_END, STACK, 0x20_0000);
        assert!(matches!(low, Err(ElfError::OverlapsTables { .. })), "{low:?}");
        elf.segments[0].address = u64::MAX - 1;
        let high = elf.check_room(TABLES_END, STACK, 0x20_0000);
        assert!(matches!(high, Err(ElfError::OutsideMemory { .. })), "{high:?}");
    }

    #[test]
    fn a_segment_may_touch_the_stack_and_not_overlap_it() {
        let segment = |address, size| Segment { address, bytes: &[], size };
        for (address, size, fits) in [
            (0x2_0000, 0x1_0000, true),
            (0x2_0000, 0x1_0001, false),
            (0x4_0000, 0x10, false),
            (0x2_0000, 0xa_0000, false),
            (0x7_ffff, 0x10, false),
            (0x8_0000, 0x10, true),
        ] {
            let elf = Elf { entry: address, segments: vec![segment(address, size)] };
            let checked = elf.check_room(TABLES_END, STACK, 0x20_0000);
            let overlaps = matches!(checked, Err(ElfError::OverlapsStack { .. }));
            assert!(checked.is_ok() == fits && overlaps != fits, "{address:#x}: {checked:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn no_damage_makes_it_panic(
            damage in proptest::collection::vec((0usize..200, any::<u8>()), 1..12),
            length in 0usize..4096,
        ) {
            let mut file = hello();
            for (offset, byte) in damage {
                if let Some(place) = file.get_mut(offset) {
                    *place = byte;
                }
            }
            file.truncate(length);
            if let Ok(elf) = parse(&file) && elf.check_room(TABLES_END, STACK, 0x20_0000).is_ok() {
                for segment in &elf.segments {
                    prop_assert!(segment.bytes.len() as u64 <= segment.size);
                    prop_assert!(segment.address + segment.size <= 0x20_0000);
                }
            }
        }
    }
}
