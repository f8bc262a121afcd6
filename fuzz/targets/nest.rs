//! What whoever is root in a nest can send out of it: an archive on a disk, reports, a console.
#![no_main]

use std::{
    cell::RefCell,
    fs::{self, File},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, symlink},
    path::{Path, PathBuf},
    rc::Rc,
};

use libfuzzer_sys::fuzz_target;
use nest::{archive, reports::Reports, tail::Tail};
use nix::sys::memfd::{MFdFlags, memfd_create};
use tempfile::TempDir;

/// ```text
///   out/            what is unpacked into, and in which the user has
///   out/link        -> kept/
///   out/file-link   -> kept/file
///   kept/           what nothing may be written to
/// ```
struct Bench {
    out: PathBuf,
    kept: PathBuf,
    _folder: TempDir,
}

thread_local! {
    static BENCH: Rc<RefCell<Bench>> = Rc::new(RefCell::new(Bench::new()));
}

impl Bench {
    fn new() -> Self {
        let folder = TempDir::new().expect("memory for files");
        let (out, kept) = (folder.path().join("out"), folder.path().join("kept"));
        fs::create_dir(&kept).expect("memory for files");
        fs::write(kept.join("file"), KEPT).expect("memory for files");
        Self { out, kept, _folder: folder }
    }

    fn lay_out(&self) {
        let _ = fs::remove_dir_all(&self.out);
        fs::create_dir(&self.out).expect("memory for files");
        symlink(&self.kept, self.out.join("link")).expect("memory for files");
        symlink(self.kept.join("file"), self.out.join("file-link")).expect("memory for files");
    }

    fn check(&self) {
        let mut kept = fs::read_dir(&self.kept).expect("it is there");
        assert!(kept.next().is_some() && kept.next().is_none(), "it came out elsewhere");
        assert_eq!(fs::read(self.kept.join("file")).expect("it is there"), KEPT);
        check(&self.out);
    }
}

const KEPT: &[u8] = b"kept";

/// Nothing comes out but directories and files without the power of their owner.
fn check(directory: &Path) {
    for entry in fs::read_dir(directory).expect("it is there").flatten() {
        let found = entry.metadata().expect("it is there");
        let (kind, name) = (found.file_type(), entry.file_name());
        assert!(!kind.is_fifo() && !kind.is_socket() && !kind.is_char_device(), "{name:?}");
        assert!(!kind.is_block_device() && found.mode() & 0o7000 == 0, "{name:?}");
        assert!(!kind.is_symlink() || name == "link" || name == "file-link", "{name:?}");
        if kind.is_dir() {
            check(&entry.path());
        }
    }
}

/// What is not a disk goes through the pipes in pieces of that many bytes.
fn heard(bytes: &[u8], piece: usize) {
    let (mut reports, mut tail) = (Reports::default(), Tail::default());
    for piece in bytes.chunks(piece) {
        reports.add(piece);
        tail.add(piece);
    }
    // What was heard does not depend on how it was cut.
    let mut whole = Reports::default();
    whole.add(bytes);
    assert!(reports.lines().eq(whole.lines()));
    let quoted = tail.lines().concat();
    // A byte that is no text is quoted in three.
    assert!(quoted.len() <= 3 * 8192 && !quoted.contains(char::is_control), "{quoted:?}");
}

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    if let Some(piece) = usize::from(*first).checked_sub(0x80) {
        return heard(bytes, piece + 1);
    }
    let disk = memfd_create(c"disk", MFdFlags::MFD_CLOEXEC).expect("a fuzzer has some memory");
    let disk = File::from(disk);
    std::os::unix::fs::FileExt::write_all_at(&disk, bytes, 0).expect("it is in memory");
    let bench = BENCH.with(Rc::clone);
    let bench = bench.borrow();
    bench.lay_out();
    let _ = archive::unpack(&disk, &bench.out);
    bench.check();
});
