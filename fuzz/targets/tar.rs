//! A tar archive that is unpacked into a directory: nothing is made, changed or linked beside it.
#![no_main]

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink},
    path::Path,
};

use container::transfer::{self, CopyPath};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const BLOCK: usize = 512;
const KEPT: &[u8] = b"kept";

/// Where a header has its length, in octal digits, and its checksum (tar(5)).
const SIZE: std::ops::Range<usize> = 124..135;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Gives every header the checksum that it should have, which no fuzzer guesses.
fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut archive = input.to_vec();
    archive.resize(input.len().next_multiple_of(BLOCK), 0);
    let mut at = 0;
    while at + BLOCK <= archive.len() {
        let header = &mut archive[at..at + BLOCK];
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&header[SIZE]).ok();
        let size =
            size.and_then(|size| usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).ok());
        at += BLOCK + size.unwrap_or(0).min(archive.len()).next_multiple_of(BLOCK);
    }
    archive
}

/// Nothing comes out but files, directories and links.
fn check(directory: &Path) {
    for entry in fs::read_dir(directory).expect("it is there").flatten() {
        let kind = entry.metadata().expect("it is there").file_type();
        assert!(!kind.is_fifo() && !kind.is_socket() && !kind.is_char_device());
        assert!(!kind.is_block_device());
        if kind.is_dir() {
            check(&entry.path());
        }
    }
}

// `out/link` leads to `kept`, `out/file-link` to `kept/file`.
fuzz_target!(|input: &[u8]| {
    let folder = TempDir::new().expect("memory for files");
    let (out, kept) = (folder.path().join("out"), folder.path().join("kept"));
    for directory in [&out, &kept] {
        fs::create_dir(directory).expect("memory for files");
    }
    fs::write(kept.join("file"), KEPT).expect("memory for files");
    symlink("../kept", out.join("link")).expect("memory for files");
    symlink(kept.join("file"), out.join("file-link")).expect("memory for files");
    let _ = transfer::unpack(&*with_checksums(input), &CopyPath::Host(out.clone()));
    let file = fs::metadata(kept.join("file")).expect("it is there");
    assert!(file.nlink() == 1 && fs::read(kept.join("file")).expect("it is there") == KEPT);
    assert_eq!(fs::read_dir(&kept).expect("it is there").count(), 1, "it came out elsewhere");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 2);
    check(&out);
    // A directory without permissions is removed all the same: by root, and else by nobody.
    drop(folder);
});
