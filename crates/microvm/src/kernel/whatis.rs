//! What a file is that is no kernel, so that whoever mixed two files up sees which.

use std::{borrow::Cow, fs::FileType, os::unix::fs::FileTypeExt};

use super::error::KernelError;

/// How much of a file's beginning tells what it is.
pub const START_BYTES: usize = 0x8100;

/// Files that somebody may hold for a kernel, by the bytes at a place in them.
const KNOWN: [(usize, &[u8], &str); 25] = [
    (4, b"zimg", "a packed EFI application (zboot), as kernels for arm64 and RISC-V are"),
    (0, b"\x27\x05\x19\x56", "a U-Boot image"),
    (0, b"\x1f\x8b", "a gzip file, perhaps an initramfs or a packed vmlinux"),
    (0, b"\xfd7zXZ\0", "an xz file, perhaps an initramfs or a packed vmlinux"),
    (0, b"\x28\xb5\x2f\xfd", "a zstd file, perhaps an initramfs or a packed vmlinux"),
    (0, b"\x02\x21\x4c\x18", "an lz4 file, perhaps an initramfs"),
    (0, b"\x04\x22\x4d\x18", "an lz4 file"),
    (0, b"BZh", "a bzip2 file"),
    (0, b"070701", "a cpio archive, perhaps an initramfs"),
    (0, b"070702", "a cpio archive, perhaps an initramfs"),
    (0, b"QFI\xfb", "a qcow2 disk image"),
    (0, b"KDMV", "a VMDK disk image"),
    (0, b"!<arch>\ndebian", "a Debian package"),
    (0, b"!<arch>\n", "an archive of object files"),
    (0, b"\xed\xab\xee\xdb", "an RPM package"),
    (0, b"hsqs", "a squashfs file system"),
    (0, b"PK\x03\x04", "a ZIP file"),
    (0, b"%PDF", "a PDF file"),
    (0, b"#!", "a script"),
    (0x8001, b"CD001", "an ISO image of a CD"),
    (0x101, b"ustar", "a tar archive"),
    (0x438, b"\x53\xef", "an ext2, ext3 or ext4 file system"),
    (0x200, b"EFI PART", "a disk with partitions (GPT)"),
    (0, b"MZ", "an EFI or Windows program"),
    (0x1fe, b"\x55\xaa", "a boot sector or a disk with partitions"),
];

/// Why a file that begins so is refused.
pub fn refuse(start: &[u8]) -> KernelError {
    match machine(start) {
        Some(machine) => KernelError::OtherMachine { machine: machine.into() },
        None => KernelError::NotKernel { what: name(start) },
    }
}

/// The processor for which a kernel is that begins so, if it is one of another processor.
///
/// Their headers are in `Documentation/arch/arm64/booting.rst` and `arch/riscv/boot-image-header.rst`.
fn machine(start: &[u8]) -> Option<&'static str> {
    match start.get(0x38..0x3c)? {
        b"ARM\x64" => Some("arm64"),
        b"RSC\x05" => Some("RISC-V"),
        _ => None,
    }
}

/// What a file is that begins so.
fn name(start: &[u8]) -> Cow<'static, str> {
    if start.is_empty() {
        return "an empty file".into();
    }
    if start.iter().take(4096).all(|byte| *byte == 0) {
        return "a file of zeros".into();
    }
    let here =
        |at: usize, bytes: &[u8]| start.get(at..).is_some_and(|rest| rest.starts_with(bytes));
    if let Some((.., name)) = KNOWN.iter().find(|(at, bytes, _)| here(*at, bytes)) {
        return (*name).into();
    }
    let text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..);
    match start.iter().take(4096).all(text) {
        true => "a text".into(),
        false => "data of an unknown kind".into(),
    }
}

/// What is no file.
pub fn kind(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "a directory"
    } else if kind.is_block_device() || kind.is_char_device() {
        "a device"
    } else if kind.is_fifo() {
        "a named pipe"
    } else {
        "a socket"
    }
}
