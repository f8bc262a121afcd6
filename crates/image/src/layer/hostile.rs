//! Archives that cost more than they seem to, or that other programs write in other ways.

use std::{
    fs::{self, File},
    io::{self, Read},
    os::{
        fd::AsFd as _,
        unix::{fs::MetadataExt as _, fs::PermissionsExt as _, process::CommandExt as _},
    },
    path::PathBuf,
    process::Command,
};

use rustix::fs::{XattrFlags, getxattr, setxattr};
use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

fn header(kind: EntryType, name: &str, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o644);
    header.set_size(size);
    header.set_cksum();
    header
}

fn entry(kind: EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, name, content.len() as u64).as_bytes().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn link(kind: EntryType, name: &str, target: &str) -> Vec<u8> {
    let mut header = header(kind, name, 0);
    header.as_gnu_mut().unwrap().linkname[..target.len()].copy_from_slice(target.as_bytes());
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let records = records.iter().map(|(key, value)| (*key, value.as_bytes()));
    builder.append_pax_extensions(records).unwrap();
    builder.get_ref().clone()
}

struct Layer {
    folder: TempDir,
}

impl Layer {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn of(entries: &[Vec<u8>]) -> Self {
        let layer = Self::new();
        layer.apply(&*entries.concat()).unwrap();
        layer
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn open(&self) -> File {
        File::open(self.folder.path()).unwrap()
    }

    fn apply(&self, archive: impl Read) -> Result<Applied, LayerError> {
        self.apply_with(archive, &ApplyOptions::default())
    }

    fn apply_with(
        &self,
        mut archive: impl Read,
        options: &ApplyOptions<'_>,
    ) -> Result<Applied, LayerError> {
        apply(&mut archive, self.open().as_fd(), options)
    }
}

fn text(error: &LayerError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

/// Counts what is read of an archive that does not end.
struct Endless<'a>(&'a [u8], u64);

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.0.is_empty() {
            return self.0.read(buffer);
        }
        buffer.fill(b'n');
        self.1 += buffer.len() as u64;
        Ok(buffer.len())
    }
}

#[test]
fn a_name_or_a_record_of_any_length_is_not_read_into_memory() {
    let kinds = [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader];
    for kind in kinds {
        let start = header(kind, "x", 1 << 40);
        let mut archive = Endless(start.as_bytes(), 0);
        // An end, for a reader that takes it all.
        let error = Layer::new().apply((&mut archive).take(64 << 20)).unwrap_err();
        assert!(text(&error).contains("longer than"), "{kind:?}: {}", text(&error));
        assert!(archive.1 <= 2 << 20, "{kind:?}: {} bytes", archive.1);
    }
}

#[test]
fn what_is_kept_of_directories_is_limited() {
    // Each has a megabyte of attributes, which gzip makes a kilobyte of.
    let records = pax(&[("SCHILY.xattr.user.x", &"x".repeat(1 << 20)[..1_000_000])]);
    let one = [records, entry(EntryType::Directory, "d", b"")].concat();
    let error = Layer::new().apply(&*one.repeat(300)).unwrap_err();
    assert!(matches!(error, LayerError::TooMuch { .. }), "{}", text(&error));
}

const SPARSE_SIZE: u64 = 64 << 20;

/// `data` at 8 MiB of a file of 64 MiB, in all four ways.
fn sparse_archives() -> Vec<(&'static str, Vec<u8>)> {
    let (at, size) = ((8u64 << 20).to_string(), SPARSE_SIZE.to_string());
    let mut old = header(EntryType::GNUSparse, "f", 4);
    let fields = old.as_gnu_mut().unwrap();
    fields.sparse[0].offset.copy_from_slice(format!("{:011o}\0", 8 << 20).as_bytes());
    fields.sparse[0].numbytes.copy_from_slice(format!("{:011o}\0", 4).as_bytes());
    fields.realsize.copy_from_slice(format!("{SPARSE_SIZE:011o}\0").as_bytes());
    old.set_cksum();
    let mut block = b"data".to_vec();
    block.resize(512, 0);
    let old = [old.as_bytes().to_vec(), block.clone()].concat();
    let zero = pax(&[
        ("GNU.sparse.size", &size),
        ("GNU.sparse.numblocks", "1"),
        ("GNU.sparse.offset", &at),
        ("GNU.sparse.numbytes", "4"),
    ]);
    let one = pax(&[
        ("GNU.sparse.size", &size),
        ("GNU.sparse.name", "f"),
        ("GNU.sparse.map", &format!("{at},4")),
    ]);
    let last = pax(&[
        ("GNU.sparse.major", "1"),
        ("GNU.sparse.minor", "0"),
        ("GNU.sparse.name", "f"),
        ("GNU.sparse.realsize", &size),
    ]);
    let mut map = format!("1\n{at}\n4\n").into_bytes();
    map.resize(512, 0);
    let file = |name| entry(EntryType::Regular, name, b"data");
    let mapped = entry(EntryType::Regular, "GNUSparseFile.1/f", &[map, b"data".to_vec()].concat());
    vec![
        ("GNU", old),
        ("0.0", [zero, file("f")].concat()),
        ("0.1", [one, file("GNUSparseFile.1/f")].concat()),
        ("1.0", [last, mapped].concat()),
    ]
}

#[test]
fn a_sparse_file_has_its_content_where_it_was_and_holes_elsewhere() {
    for (format, archive) in sparse_archives() {
        let layer = Layer::new();
        layer.apply(&*archive).unwrap_or_else(|error| panic!("{format}: {}", text(&error)));
        let about = fs::metadata(layer.path("f")).unwrap();
        assert_eq!(about.len(), SPARSE_SIZE, "{format}");
        assert!(about.blocks() * 512 < SPARSE_SIZE / 4, "{format}: {} blocks", about.blocks());
        let content = fs::read(layer.path("f")).unwrap();
        let at = content.iter().position(|byte| *byte != 0);
        assert_eq!(at, Some(8 << 20), "{format}");
        assert_eq!(&content[8 << 20..][..5], b"data\0", "{format}");
        assert!(!layer.path("GNUSparseFile.1").exists(), "{format}");
    }
}

#[test]
fn a_sparse_file_counts_with_its_holes_and_its_map_must_be_right() {
    for (format, archive) in sparse_archives() {
        let options = ApplyOptions { max_bytes: SPARSE_SIZE - 1, ..ApplyOptions::default() };
        let error = Layer::new().apply_with(&*archive, &options).unwrap_err();
        assert!(matches!(error, LayerError::TooMuch { .. }), "{format}: {}", text(&error));
    }
    let max = u64::MAX.to_string();
    for map in ["0,5", "0,3", "67108864,4", "2,2,0,2", "0,3,2,1", "x,4", "0", &format!("{max},4")] {
        let records = pax(&[("GNU.sparse.size", "67108864"), ("GNU.sparse.map", map)]);
        let archive = [records, entry(EntryType::Regular, "f", b"data")].concat();
        let error = Layer::new().apply(&*archive).expect_err(map);
        assert!(text(&error).contains("sparse"), "{map}: {}", text(&error));
    }
}

#[test]
fn a_hard_link_to_itself_by_another_path_keeps_the_file() {
    let layer = Layer::of(&[
        entry(EntryType::Regular, "usr/x", b"kept"),
        link(EntryType::Symlink, "alias", "usr"),
        link(EntryType::Link, "usr/x", "alias/x"),
    ]);
    assert_eq!(fs::read(layer.path("usr/x")).unwrap(), b"kept");
}

#[test]
fn a_hard_link_does_not_bring_back_what_a_layer_has_deleted() {
    let lowest = Layer::of(&[entry(EntryType::Regular, "d/f", b"old")]);
    for deletion in [".wh.d", "d/.wh.f", "d/.wh..wh..opq"] {
        let upper = Layer::of(&[entry(EntryType::Regular, deletion, b"")]);
        let lowers = [upper.open(), lowest.open()];
        let options = ApplyOptions { lowers: &lowers, ..ApplyOptions::default() };
        let linked = link(EntryType::Link, "l", "d/f");
        let error = Layer::new().apply_with(&*linked, &options).expect_err(deletion);
        assert!(text(&error).contains("in no layer"), "{deletion}: {}", text(&error));
        // The same in the layer itself.
        let options = ApplyOptions { lowers: &lowers[1..], ..ApplyOptions::default() };
        let archive = [entry(EntryType::Regular, deletion, b""), linked].concat();
        let error = Layer::new().apply_with(&*archive, &options).expect_err(deletion);
        assert!(text(&error).contains("in no layer"), "{deletion}: {}", text(&error));
    }
}

#[test]
fn the_target_of_a_hard_link_is_found_through_links_of_all_layers() {
    let lowest = Layer::of(&[entry(EntryType::Regular, "usr/bin/f", b"found")]);
    let upper = Layer::of(&[link(EntryType::Symlink, "bin", "/usr/bin")]);
    let lowers = [upper.open(), lowest.open()];
    let options = ApplyOptions { lowers: &lowers, ..ApplyOptions::default() };
    let layer = Layer::new();
    layer.apply_with(&*link(EntryType::Link, "l", "bin/f"), &options).unwrap();
    assert_eq!(fs::read(layer.path("l")).unwrap(), b"found");
    for target in ["loop", "../../../../../../etc"] {
        let upper = Layer::of(&[link(EntryType::Symlink, "loop", target)]);
        let lowers = [upper.open(), lowest.open()];
        let options = ApplyOptions { lowers: &lowers, ..ApplyOptions::default() };
        let linked = link(EntryType::Link, "l", "loop/passwd");
        let error = Layer::new().apply_with(&*linked, &options).unwrap_err();
        assert!(text(&error).contains("in no layer"), "{}", text(&error));
    }
}

#[test]
fn a_copy_of_a_lower_layers_file_has_its_attributes_and_counts() {
    let lower = Layer::of(&[entry(EntryType::Regular, "f", &[7; 4000])]);
    let lowers = [lower.open()];
    let options = ApplyOptions { lowers: &lowers, max_bytes: 7999, ..ApplyOptions::default() };
    // Copied, replaced, and copied again: a few bytes of archive for any number of them.
    let archive = [
        link(EntryType::Link, "one", "f"),
        entry(EntryType::Regular, "f", b""),
        link(EntryType::Link, "two", "f"),
    ]
    .concat();
    Layer::new().apply_with(&*archive, &options).unwrap();
    let tight = ApplyOptions { max_bytes: 3999, ..options.clone() };
    let error = Layer::new().apply_with(&*archive, &tight).unwrap_err();
    assert!(matches!(error, LayerError::TooMuch { .. }), "{}", text(&error));
    if setxattr(lower.path("f"), "user.colour", b"blue", XattrFlags::empty()).is_err() {
        return println!("skipped: this file system has no attributes of users");
    }
    let layer = Layer::new();
    layer.apply_with(&*archive, &options).unwrap();
    let mut value = [0; 4];
    getxattr(layer.path("one"), "user.colour", &mut value[..]).unwrap();
    assert_eq!(&value, b"blue");
}

/// Runs a test of this file alone in a process of its own, where `prepare` was done.
fn alone(test: &str, prepare: impl FnOnce(&mut Command)) {
    // The name of the file may be in a directory that this user cannot enter.
    let mut command = Command::new("/proc/self/exe");
    command.args(["--exact", "--ignored", "--nocapture"]);
    command.arg(format!("layer::hostile::{test}"));
    prepare(&mut command);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

const NOBODY: u32 = 65534;

#[test]
fn an_ordinary_user_applies_all_but_owners_and_devices() {
    if !rustix::process::geteuid().is_root() {
        return ordinary_user();
    }
    let scratch = TempDir::new().unwrap();
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).unwrap();
    alone("ordinary_user", |command| {
        command.uid(NOBODY).gid(NOBODY).env("TMPDIR", scratch.path()).current_dir("/");
    });
}

#[test]
#[ignore = "the test above runs it as an ordinary user"]
fn ordinary_user() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let device = |kind, numbers: (u32, u32)| {
        let mut header = header(kind, "device", 0);
        header.set_device_major(numbers.0).unwrap();
        header.set_device_minor(numbers.1).unwrap();
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    let mut owned = header(EntryType::Regular, "owned", 0);
    owned.set_uid(0);
    owned.set_mode(0o4755);
    owned.set_cksum();
    let mut closed = header(EntryType::Directory, "closed", 0);
    closed.set_mode(0);
    closed.set_cksum();
    let layer = Layer::new();
    let archive = [
        device(EntryType::Char, (1, 3)),
        device(EntryType::Block, (0, 0)),
        device(EntryType::Block, (8, 0)),
        entry(EntryType::Regular, ".wh.gone", b""),
        entry(EntryType::Fifo, "pipe", b""),
        owned.as_bytes().to_vec(),
        closed.as_bytes().to_vec(),
        entry(EntryType::Regular, "closed/f", b"in"),
    ]
    .concat();
    let applied = layer.apply(&*archive).unwrap_or_else(|error| panic!("{}", text(&error)));
    assert_eq!(applied.left_out, 3);
    assert!(!layer.path("device").exists());
    let gone = fs::symlink_metadata(layer.path("gone")).unwrap();
    assert_eq!((gone.mode() & 0o170_000, gone.rdev()), (0o020_000, 0));
    let owned = fs::metadata(layer.path("owned")).unwrap();
    assert_eq!(owned.uid(), rustix::process::geteuid().as_raw());
    assert_eq!(owned.mode() & 0o7777, 0o4755);
    fs::set_permissions(layer.path("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(fs::read(layer.path("closed/f")).unwrap(), b"in");
}

#[test]
fn the_umask_takes_nothing_from_directories_that_an_archive_leaves_out() {
    alone("strict_umask", |_| {});
}

#[test]
#[ignore = "the test above runs it in a process of its own"]
fn strict_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let layer = Layer::of(&[entry(EntryType::Regular, "a/b/f", b"")]);
    for name in ["a", "a/b"] {
        let mode = fs::metadata(layer.path(name)).unwrap().mode() & 0o7777;
        assert_eq!(mode, 0o755, "{name}");
    }
}

#[test]
fn an_old_name_with_a_slash_at_its_end_is_a_directory() {
    let layer = Layer::of(&[entry(EntryType::Regular, "d/", b"")]);
    assert!(layer.path("d").is_dir());
}
