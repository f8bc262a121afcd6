//! A tar archive that is unpacked into a directory: nothing is made, changed or linked beside it.
#![no_main]

mod checksums;

use std::{
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink},
    path::Path,
};

use checksums::with_checksums;
use container::transfer::{self, CopyPath};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const KEPT: &[u8] = b"kept";

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
