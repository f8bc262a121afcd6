//! The bzImage: a boot sector, a setup header, a decompressor, and the packed kernel.
//!
//! All offsets are those of `Documentation/arch/x86/boot.rst`.

use super::{
    MAX_UNPACKED_BYTES, checksum,
    error::KernelError,
    release_of,
    unpack::{self, Packing, UnpackError},
};

/// The length of the real-mode part in sectors; 0 means 4, for the sake of LILO.
const SETUP_SECTORS: usize = 0x1f1;
/// The length of what follows, in units of 16 bytes.
const SYSTEM_SIZE: usize = 0x1f4;
const MAGIC: (usize, &[u8]) = (0x202, b"HdrS");
const VERSION: usize = 0x206;
/// Where the line with the release is, counted from 0x200.
const KERNEL_VERSION: usize = 0x20e;
const LOAD_FLAGS: usize = 0x211;
const EXTENDED_LOAD_FLAGS: usize = 0x236;
const PAYLOAD_OFFSET: usize = 0x248;
const PAYLOAD_BYTES: usize = 0x24c;
const HEADER_END: usize = 0x250;

const SECTOR: usize = 512;
/// The kernel belongs at 1 MiB and above; without it the file is an ancient zImage.
const LOADED_HIGH: u8 = 1;
/// Longer than any build's line with the release.
const MAX_VERSION_LINE: usize = 512;
/// There is a 64-bit entry.
const KERNEL_64: u16 = 1;
/// The version that brought the payload's place.
const WITH_PAYLOAD: u16 = 0x208;
/// The version that brought the extended flags.
const WITH_EXTENDED_FLAGS: u16 = 0x20c;

/// A bzImage's parts that matter here.
#[derive(Debug, PartialEq, Eq)]
pub struct BzImage<'a> {
    /// The packed kernel.
    pub payload: &'a [u8],
    /// The release it names.
    pub release: Option<String>,
}

/// The line in which a bzImage names its release, its maker and what it was built for; `None` if the
/// file that begins so is none.
pub fn version_line(start: &[u8]) -> Option<String> {
    let (place, magic) = MAGIC;
    if !start.get(place..)?.starts_with(magic) {
        return None;
    }
    let at = u16::from_le_bytes(*start.get(KERNEL_VERSION..)?.first_chunk()?);
    let line = start.get(0x200 + usize::from(at)..)?;
    let end = line.iter().take(MAX_VERSION_LINE).position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&line[..end]).into_owned())
}

/// Finds the payload in a bzImage; `None` if the file is none.
///
/// # Errors
///
/// What a bzImage lacks that this one lacks.
pub fn parse(file: &[u8]) -> Result<Option<BzImage<'_>>, KernelError> {
    let (place, magic) = MAGIC;
    if !file.get(place..).is_some_and(|rest| rest.starts_with(magic)) {
        return Ok(None);
    }
    let bytes = file.len() as u64;
    let truncated = |part, end| KernelError::Truncated { part, end, bytes };
    let header = file.get(..HEADER_END).ok_or(truncated("setup header", HEADER_END as u64))?;
    let word = |at| u16::from_le_bytes([header[at], header[at + 1]]);
    let long = |at| u64::from(word(at)) | u64::from(word(at + 2)) << 16;
    let version = word(VERSION);
    if version < WITH_PAYLOAD {
        return Err(KernelError::OldProtocol { version });
    }
    if header[LOAD_FLAGS] & LOADED_HIGH == 0 {
        return Err(KernelError::No64BitEntry { why: "it is a zImage, for real mode" });
    }
    if version < WITH_EXTENDED_FLAGS || word(EXTENDED_LOAD_FLAGS) & KERNEL_64 == 0 {
        return Err(KernelError::No64BitEntry {
            why: "its setup header says so (xloadflags), as that of a 32-bit kernel does",
        });
    }
    let setup_sectors = match header[SETUP_SECTORS] {
        0 => 4,
        sectors => usize::from(sectors),
    };
    // None of the sums can overflow: their operands have at most 36 bits.
    let setup_end = ((setup_sectors + 1) * SECTOR) as u64;
    let begin = setup_end + long(PAYLOAD_OFFSET);
    let end = begin + long(PAYLOAD_BYTES);
    let payload = file.get(begin as usize..end as usize).ok_or(truncated("payload", end))?;
    let system_end = setup_end + 16 * long(SYSTEM_SIZE);
    let image = file.get(..system_end as usize).ok_or(truncated("kernel", system_end))?;
    if !checksum::is_right(image) {
        return Err(KernelError::WrongChecksum);
    }
    let release = file.get(0x200 + usize::from(word(KERNEL_VERSION))..).and_then(release_of);
    Ok(Some(BzImage { payload, release }))
}

/// The ELF file in a payload, of at most `room` bytes, and how it was packed.
///
/// # Errors
///
/// When it is longer, cannot be unpacked, or its length is not the one that was appended to it.
pub fn unpack_payload(payload: &[u8], room: u64) -> Result<(Vec<u8>, Packing), KernelError> {
    let packing = Packing::of(payload)?;
    // gzip has its own length at the end; to all the others the kernel's build appends one.
    let (packed, said) = match (packing, payload.split_last_chunk()) {
        (Packing::None | Packing::Gzip, _) | (_, None) => (payload, None),
        (_, Some((packed, length))) => (packed, Some(u32::from_le_bytes(*length))),
    };
    let limit = room.min(MAX_UNPACKED_BYTES);
    let elf = unpack::unpack_as(packing, packed, limit).map_err(|error| match error {
        UnpackError::TooLarge { limit } => KernelError::NoRoom { limit },
        error => error.into(),
    })?;
    match said {
        Some(said) if u64::from(said) != elf.len() as u64 => {
            Err(UnpackError::WrongLength { said: said.into(), bytes: elf.len() as u64 }.into())
        }
        _ => Ok((elf, packing)),
    }
}
