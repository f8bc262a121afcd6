//! Executables of a few bytes of machine code (elf(5)).

/// Where they are loaded.
pub const BASE: u32 = 0x40_0000;
/// How much room a program has behind its code.
const ROOM: u32 = 0x2000;

const MAGIC: [u8; 4] = [0x7f, b'E', b'L', b'F'];
const CLASS_32: u8 = 1;
const CLASS_64: u8 = 2;
const LITTLE_ENDIAN: u8 = 1;
const VERSION: u8 = 1;
const EXECUTABLE: u16 = 2;
const I386: u16 = 3;
const X86_64: u16 = 62;
const LOADED: u32 = 1;
/// Readable, writable and executable.
const ALL: u32 = 7;
const PAGE: u32 = 0x1000;

/// The first bytes of a file of that class.
fn identity(class: u8) -> Vec<u8> {
    let mut bytes = [&MAGIC[..], &[class, LITTLE_ENDIAN, VERSION]].concat();
    bytes.resize(16, 0);
    bytes
}

/// An executable of 32 bits with `code` in its only segment, which is the whole file.
pub fn elf32(code: &[u8]) -> Vec<u8> {
    const HEADERS: u32 = 52 + 32;
    let size = HEADERS + code.len() as u32;
    let mut file = identity(CLASS_32);
    file.extend([EXECUTABLE, I386].map(u16::to_le_bytes).concat());
    // Version, entry, program headers, no section headers, no flags.
    file.extend([VERSION.into(), BASE + HEADERS, 52, 0, 0].map(u32::to_le_bytes).concat());
    file.extend([52u16, 32, 1, 40, 0, 0].map(u16::to_le_bytes).concat());
    file.extend(
        [LOADED, 0, BASE, BASE, size, size + ROOM, ALL, PAGE].map(u32::to_le_bytes).concat(),
    );
    file.extend(code);
    file
}

/// The same for 64 bits, at the same address.
pub fn elf64(code: &[u8]) -> Vec<u8> {
    const HEADERS: u64 = 64 + 56;
    let base = u64::from(BASE);
    let size = HEADERS + code.len() as u64;
    let mut file = identity(CLASS_64);
    file.extend([EXECUTABLE, X86_64].map(u16::to_le_bytes).concat());
    file.extend(u32::from(VERSION).to_le_bytes());
    file.extend([base + HEADERS, 64, 0].map(u64::to_le_bytes).concat());
    file.extend(0u32.to_le_bytes());
    file.extend([64u16, 56, 1, 64, 0, 0].map(u16::to_le_bytes).concat());
    file.extend([LOADED, ALL].map(u32::to_le_bytes).concat());
    let (room, page) = (size + u64::from(ROOM), u64::from(PAGE));
    file.extend([0, base, base, size, room, page].map(u64::to_le_bytes).concat());
    file.extend(code);
    file
}
