//! The archive of an image's layer: nothing is made, changed or linked beside its directory.
#![no_main]

mod checksums;

use std::{
    fs::{self, File},
    os::{
        fd::AsFd as _,
        unix::fs::{MetadataExt as _, PermissionsExt as _},
    },
    path::Path,
};

use checksums::with_checksums;
use image::layer::{ApplyOptions, apply};
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

const KEPT: &[u8] = b"kept";

/// Lets a directory without permissions be removed.
fn open_up(directory: &Path) {
    let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let folder = TempDir::new().expect("memory for files");
    let (layer, lower) = (folder.path().join("layer"), folder.path().join("lower"));
    for directory in [&layer, &lower] {
        fs::create_dir(directory).expect("memory for files");
    }
    let kept = folder.path().join("kept");
    for file in [&kept, &lower.join("file")] {
        fs::write(file, KEPT).expect("memory for files");
    }
    let root = File::open(&layer).expect("it is there");
    let lowers = [File::open(&lower).expect("it is there")];
    let options = ApplyOptions { lowers: &lowers, max_entries: 1000, max_bytes: 1 << 20 };
    let _ = apply(&mut &*with_checksums(input), root.as_fd(), &options);
    for file in [&kept, &lower.join("file")] {
        let about = fs::metadata(file).expect("it is there");
        assert!(about.nlink() == 1 && fs::read(file).expect("it is there") == KEPT);
    }
    assert_eq!(fs::read_dir(&lower).expect("it is there").count(), 1, "it came out elsewhere");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 3);
    open_up(&layer);
});
