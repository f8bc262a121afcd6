//! Kernels made by hand, right ones and wrong ones.

use std::{
    fs,
    io::Write as _,
    process::{Command, Stdio},
};

use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;

use super::*;

/// The memory of the guests that these kernels are for.
const ROOM: u64 = 1 << 20;
const ENTRY: u64 = 0x100_0040;
const PVH_ENTRY: u32 = 0x100_0080;
const TEXT: u64 = 0x200;

fn set(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    file.resize(file.len().max(at + bytes.len()), 0);
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn set_longs(file: &mut Vec<u8>, at: usize, longs: &[u64]) {
    for (index, long) in longs.iter().enumerate() {
        set(file, at + 8 * index, &long.to_le_bytes());
    }
}

/// A vmlinux of two segments, the second a note.
fn vmlinux() -> Vec<u8> {
    let mut file = Vec::new();
    set(&mut file, 0, b"\x7fELF\x02\x01\x01");
    set(&mut file, 16, &[2, 0, 62, 0, 1]);
    set_longs(&mut file, 24, &[ENTRY, 64]);
    set(&mut file, 52, &[64, 0, 56, 0, 2, 0]);
    set(&mut file, 64, &[1]);
    set_longs(&mut file, 72, &[TEXT, 0xffff_ffff_8100_0000, 0x100_0000, 0x1000, 0x3000, 0x1000]);
    set(&mut file, 120, &[4]);
    set_longs(&mut file, 128, &[0x100, 0, 0, 24, 24, 4]);
    set(&mut file, 0x100, b"\x04\0\0\0\x08\0\0\0\x12\0\0\0Xen\0");
    set_longs(&mut file, 0x110, &[PVH_ENTRY.into()]);
    set(
        &mut file,
        TEXT as usize + 0x200,
        b"Linux version %s\0 Linux version 6.1.0-7-lab (x@y) #1\n",
    );
    set(&mut file, TEXT as usize + 0xfff, &[0x90]);
    file
}

/// A bzImage with that payload.
fn bzimage(payload: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    set(&mut file, 0x1f1, &[1]);
    set(&mut file, 0x1fe, b"\x55\xaaxxHdrS\x0f\x02");
    set(&mut file, 0x20e, &[0x80, 1]);
    set(&mut file, 0x211, &[1]);
    set(&mut file, 0x236, &[0x7f, 0]);
    set(&mut file, 0x248, &[0x40, 0, 0, 0]);
    set(&mut file, 0x24c, &(payload.len() as u32).to_le_bytes());
    set(&mut file, 0x380, b"6.1.0-7-lab (x@y) #1 SMP\0");
    set(&mut file, 0x440, payload);
    set(&mut file, 0x440 + payload.len(), b"the end");
    file
}

/// A right bzImage of the release 6.1.0-7-lab, for tests of other modules.
pub fn bzimage_packed() -> Vec<u8> {
    bzimage(&gzip(&vmlinux()))
}

/// A bzImage whose version line says this.
pub fn bzimage_of(version: &str) -> Vec<u8> {
    let mut file = bzimage_packed();
    file[0x380..0x400].fill(0);
    set(&mut file, 0x380, version.as_bytes());
    file
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `bytes` through a packer of this host; `None`, and a word about it, if there is none.
fn packed_by(command: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
    let mut packer = Command::new(command[0]);
    packer.args(&command[1..]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = packer.spawn() else {
        eprintln!("skipped: this host has no {}", command[0]);
        return None;
    };
    let mut input = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    Some(output.stdout)
}

fn error_of(bytes: Vec<u8>) -> String {
    let error = KernelImage::from_bytes(bytes, ROOM).unwrap_err();
    match std::error::Error::source(&error) {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}

#[test]
fn a_vmlinux_is_read_whole_from_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("vmlinux");
    fs::write(&file, vmlinux()).unwrap();
    let kernel = KernelImage::read(&file, ROOM).unwrap();
    assert_eq!(kernel.entry(), ENTRY);
    assert_eq!(kernel.pvh_entry(), Some(PVH_ENTRY));
    assert_eq!((kernel.packing(), kernel.end()), (Packing::None, 0x100_3000));
    assert_eq!(kernel.release().unwrap().as_deref(), Some("6.1.0-7-lab"));
    let mut loaded = Vec::new();
    kernel
        .load(|address, bytes| {
            assert_eq!(address, 0x100_0000 + loaded.len() as u64);
            loaded.extend_from_slice(bytes);
            io::Result::Ok(())
        })
        .unwrap();
    assert_eq!(loaded, vmlinux()[TEXT as usize..]);
}

#[test]
fn a_release_is_found_across_two_pieces() {
    let mut file = vmlinux();
    let long = CHUNK + 0x1000;
    set_longs(&mut file, 96, &[long as u64, long as u64]);
    file.resize(TEXT as usize + long, 0);
    file[TEXT as usize..].fill(b'x');
    set(&mut file, TEXT as usize + CHUNK - 7, b"Linux version 6.9.1 (gcc)");
    let kernel = KernelImage::from_bytes(file, ROOM).unwrap();
    assert_eq!(kernel.release().unwrap().as_deref(), Some("6.9.1"));
}

#[test]
fn a_bzimage_is_unpacked_whatever_packed_it() {
    let elf = vmlinux();
    let packers: [(&[&str], Packing); 6] = [
        (&["bzip2", "-9"], Packing::Bzip2),
        (&["xz", "--format=lzma", "-9"], Packing::Lzma),
        (&["xz", "--check=crc32", "--x86", "--lzma2=dict=128MiB"], Packing::Xz),
        (&["xz", "-6"], Packing::Xz),
        (&["lz4", "-l", "-9", "-c"], Packing::Lz4),
        (&["zstd", "-22", "--ultra", "-c"], Packing::Zstd),
    ];
    let mut payloads = vec![(gzip(&elf), Packing::Gzip), (elf.clone(), Packing::None)];
    for (command, packing) in packers {
        if let Some(mut packed) = packed_by(command, &elf) {
            packed.extend_from_slice(&(elf.len() as u32).to_le_bytes());
            payloads.push((packed, packing));
        }
    }
    for (payload, packing) in payloads {
        let kernel = KernelImage::from_bytes(bzimage(&payload), ROOM).unwrap();
        assert_eq!(kernel.packing(), packing);
        assert_eq!(kernel.release().unwrap().as_deref(), Some("6.1.0-7-lab"));
        let mut unpacked = Vec::new();
        kernel.write_elf(&mut unpacked).unwrap();
        assert!(unpacked == elf, "{packing}");
    }
}

#[test]
fn what_is_wrong_with_a_bzimage_is_named() {
    let good = bzimage_packed();
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, &str); 12] = [
        (|file| file.truncate(0x220), "its setup header ends at byte 592, and the file has 544"),
        (|file| file.truncate(0x450), "its payload ends at byte"),
        (|file| file[0x206] = 7, "its boot protocol is 2.07"),
        (|file| file[0x211] = 0, "it is a zImage"),
        (|file| file[0x236] = 0x7e, "it has no 64-bit entry: its setup header says so"),
        (|file| set(file, 0x1f4, &[0xff]), "its kernel ends at byte 5104, and the file has"),
        (|file| set(file, 0x1f4, &[5]), "its checksum is wrong"),
        (|file| set(file, 0x440, b"BZh9"), "its bzip2 data is damaged"),
        (
            |file| set(file, 0x440, b"\x89LZO"),
            "it is compressed with lzo; isolab supports gzip, bzip2, lzma, xz",
        ),
        (|file| set(file, 0x440, b"huh?"), "compressed with something unknown"),
        (|file| set(file, 0x460, &[0xff; 64]), "its gzip data is damaged"),
        (|file| set(file, 0x24c, &[60, 0, 0, 0]), "its gzip data is damaged"),
    ];
    for (change, message) in cases {
        let mut file = good.clone();
        change(&mut file);
        let error = error_of(file);
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn what_is_wrong_with_a_vmlinux_is_named() {
    type Change = fn(&mut Vec<u8>);
    let cases: [(Change, &str); 14] = [
        (|file| file.truncate(40), "its ELF header ends at byte 64, and the file has 40"),
        (|file| file.truncate(100), "its program header table ends at byte 176"),
        (|file| file.truncate(0x400), "its segment ends at byte 4608, and the file has 1024"),
        (|file| file[4] = 1, "it has no 64-bit entry: it is a 32-bit ELF file"),
        (|file| file[18] = 3, "it has no 64-bit entry: it is a 32-bit ELF file"),
        (|file| file[18] = 183, "for another processor, arm64"),
        (|file| file[18] = 99, "for another processor, ELF machine 99"),
        (|file| file[16] = 1, "it is an object file or a kernel module"),
        (|file| file[64] = 3, "it is a dynamically linked program"),
        (|file| file[64] = 6, "with nothing to load"),
        (|file| file[56] = 200, "it claims to have 200 segments"),
        (|file| set_longs(file, 24, &[0x10]), "the ELF entry point is outside its segments"),
        (|file| set_longs(file, 0x110, &[0x10]), "the PVH entry point 0x10 is outside"),
        (|file| set_longs(file, 104, &[0x10]), "larger in the file than in memory"),
    ];
    for (change, message) in cases {
        let mut file = vmlinux();
        change(&mut file);
        let error = error_of(file);
        assert!(error.contains(message), "{message}: {error}");
    }
}

#[test]
fn a_file_that_is_no_kernel_is_called_by_its_name() {
    let program = guest::Builtin::Hello.linux_elf().to_vec();
    let arm = [&[0; 0x38][..], b"ARM\x64", &[0; 8]].concat();
    let cases: [(&[u8], &str); 9] = [
        (b"", "it is an empty file"),
        (&[0; 600], "it is a file of zeros"),
        (b"#!/bin/sh\n", "it is a script"),
        (b"Dear kernel,\n", "it is a text"),
        (b"\x01\x02\x03", "it is data of an unknown kind"),
        (b"070701000", "it is a cpio archive"),
        (&gzip(b"x"), "it is a gzip file, perhaps an initramfs"),
        (&arm, "it is a kernel for another processor, arm64"),
        (&program, "it is a program, not linked to where a kernel lies"),
    ];
    for (bytes, message) in cases {
        let error = error_of(bytes.to_vec());
        assert!(error.contains(message), "{message}: {error}");
    }
    let error = KernelImage::read(Path::new("/"), ROOM).unwrap_err();
    assert!(matches!(error, Error::Kernel { source: KernelError::NotKernel { .. }, .. }));
}

#[test]
fn nothing_unpacks_beyond_its_limit() {
    let packed = gzip(&vec![0; 1 << 20]);
    let refused = unpack(&packed, (1 << 20) - 1).unwrap_err();
    assert!(matches!(refused, UnpackError::TooLarge { limit: 0xf_ffff }), "{refused}");
    assert_eq!(unpack(&packed, 1 << 20).unwrap().len(), 1 << 20);
}

/// A thousandth of it is in the file: whoever unpacked it all would have it beside the guest.
#[test]
fn a_kernel_that_grows_beyond_the_guest_is_not_unpacked_whatever_packed_it() {
    let zeros = vec![0; 64 << 20];
    let packers: [&[&str]; 5] = [
        &["bzip2", "-1"],
        &["xz", "--format=lzma", "-0"],
        &["xz", "--check=crc32", "-0"],
        &["lz4", "-l", "-1", "-c"],
        &["zstd", "-1", "-c"],
    ];
    let mut payloads = vec![gzip(&zeros)];
    for command in packers {
        payloads.extend(packed_by(command, &zeros).map(|mut packed| {
            packed.extend_from_slice(&(zeros.len() as u32).to_le_bytes());
            packed
        }));
    }
    for payload in payloads {
        let name = Packing::of(&payload).unwrap();
        let error = KernelImage::from_bytes(bzimage(&payload), ROOM).unwrap_err();
        assert!(matches!(error, KernelError::NoRoom { limit: ROOM }), "{name}: {error}");
        let error = KernelImage::from_bytes(bzimage(&payload), u64::MAX).unwrap_err();
        assert!(!matches!(error, KernelError::NoRoom { .. }), "{name}: it is no kernel, and fits");
    }
}

/// Bytes of a file, damaged where its headers are.
fn damaged(good: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let length = good.len();
    let damage = prop::collection::vec((0..length.min(0x480), any::<u8>()), 1..8);
    (damage, 0..=length).prop_map(move |(damage, length)| {
        let mut file = good.clone();
        for (at, byte) in damage {
            file[at] = byte;
        }
        file.truncate(length.max(0x40));
        file
    })
}

/// Reads a damaged kernel, and all that it claims to have.
fn survive(file: Vec<u8>) {
    if let Ok(kernel) = KernelImage::from_bytes(file, ROOM) {
        let bytes = kernel.elf_bytes().unwrap();
        for segment in kernel.segments() {
            assert!(segment.offset + segment.file_bytes <= bytes);
            assert!(segment.file_bytes <= segment.memory_bytes);
        }
        assert!((0..kernel.end()).contains(&kernel.entry()));
        kernel.release().unwrap();
        kernel.load(|_, _| io::Result::Ok(())).unwrap();
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        survive(bytes);
    }

    #[test]
    fn no_damage_to_a_vmlinux_makes_it_panic(file in damaged(vmlinux())) {
        survive(file);
    }

    #[test]
    fn no_damage_to_a_bzimage_makes_it_panic(file in damaged(bzimage_packed())) {
        survive(file);
    }
}
