//! Kernels of a few instructions, and what tests of them have in common.
#![allow(dead_code, reason = "each test binary uses its part of it")]

use sandbox::Error;

/// Whether there is KVM; prints why not, and fails where it is required.
pub fn kvm() -> bool {
    let Err(error) = microvm::available() else { return true };
    let required = std::env::var("ISOLAB_REQUIRE").unwrap_or_default();
    let reason = chain(&error);
    assert!(!required.contains("microvm"), "{reason}");
    eprintln!("skipped: {reason}");
    false
}

const LOADED_AT: u64 = 0x100_0000;

/// An ELF file of one segment with `code` in it, and a note that names the same entry for PVH.
pub fn kernel(code: &[u8]) -> Vec<u8> {
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(64 + 2 * 56, 0);
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(16, &[2, 0, 62, 0]);
    put(24, &LOADED_AT.to_le_bytes());
    put(32, &64u64.to_le_bytes());
    put(54, &[56, 0, 2, 0]);
    let mut header = |index: usize, kind: u8, offset: u64, length: u64| {
        let at = 64 + index * 56;
        put(at, &[kind]);
        put(at + 8, &offset.to_le_bytes());
        put(at + 16, &0xffff_ffff_8100_0000u64.to_le_bytes());
        put(at + 24, &LOADED_AT.to_le_bytes());
        put(at + 32, &length.to_le_bytes());
        put(at + 40, &length.to_le_bytes());
    };
    let mut note = [4u32, 4, 18].map(u32::to_le_bytes).concat();
    note.extend(b"Xen\0");
    note.extend((LOADED_AT as u32).to_le_bytes());
    header(0, 1, 176, code.len() as u64);
    header(1, 4, 176 + code.len() as u64, note.len() as u64);
    file.extend(code);
    file.extend(note);
    file
}

/// The message of an error with all its causes.
pub fn chain(error: &Error) -> String {
    sandbox::chain(error)
}

/// `mov al, value; out port, al`
pub fn out(port: u16, value: u8) -> Vec<u8> {
    let [low, high] = port.to_le_bytes();
    vec![0x66, 0xba, low, high, 0xb0, value, 0xee]
}
