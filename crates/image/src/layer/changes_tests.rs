//! Any tree becomes an archive and the same tree again; what cannot, is refused.

use std::{
    collections::BTreeMap,
    fs::{self, File, Permissions},
    os::{
        fd::AsFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _, symlink},
        },
    },
    path::Path,
};

use proptest::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode, Timespec, Timestamps, XattrFlags};
use tempfile::TempDir;

use super::*;

fn packed(folder: &Path, options: &ChangesOptions<'_>) -> Result<Vec<u8>, ChangesError> {
    changes(File::open(folder).unwrap().as_fd(), Vec::new(), options)
}

fn applied(archive: &[u8]) -> TempDir {
    let folder = TempDir::new().unwrap();
    let root = File::open(folder.path()).unwrap();
    apply(&mut &*archive, root.as_fd(), &ApplyOptions::default()).unwrap();
    folder
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 256];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Everything that a layer says of a tree: names are in the order in which their files were found.
fn described(folder: &Path) -> BTreeMap<Vec<u8>, String> {
    fn walk(
        root: &Path,
        at: &Path,
        first: &mut BTreeMap<u64, Vec<u8>>,
        all: &mut BTreeMap<Vec<u8>, String>,
    ) {
        let mut entries: Vec<_> = fs::read_dir(at).unwrap().map(|it| it.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
            let about = fs::symlink_metadata(&path).unwrap();
            let is_whiteout = about.file_type().is_char_device() && about.rdev() == 0;
            let mut text = match is_whiteout {
                true => "whiteout".into(),
                false => format!(
                    "{:o} {}:{} {}.{} {} ",
                    about.mode(),
                    about.uid(),
                    about.gid(),
                    about.mtime(),
                    about.mtime_nsec(),
                    about.rdev(),
                ),
            };
            if !about.is_dir() && !is_whiteout {
                text += &format!("{:?} ", first.entry(about.ino()).or_insert_with(|| name.clone()));
            }
            if about.is_file() {
                text += &format!("{:?} ", fs::read(&path).unwrap());
            }
            if about.is_symlink() {
                text += &format!("{:?} ", fs::read_link(&path).unwrap());
            }
            let opaque = ["trusted.overlay.opaque", "user.overlay.opaque"];
            let is_opaque = opaque.iter().any(|key| attribute(&path, key).is_some());
            text += &format!("{:?} {is_opaque}", attribute(&path, "user.colour"));
            all.insert(name, text);
            if about.is_dir() {
                walk(root, &path, first, all);
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(folder, folder, &mut BTreeMap::new(), &mut all);
    all
}

#[derive(Debug, Clone)]
enum Kind {
    File(Vec<u8>),
    Directory { is_opaque: bool },
    Symlink(String),
    HardLink(usize),
    Whiteout,
    Fifo,
}

#[derive(Debug, Clone)]
struct Made {
    directory: usize,
    name: Vec<u8>,
    kind: Kind,
    mode: u32,
    mtime: (i64, u32),
    ids: (u32, u32),
    colour: Option<Vec<u8>>,
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..1500).prop_map(Kind::File),
        4 => any::<bool>().prop_map(|is_opaque| Kind::Directory { is_opaque }),
        1 => "[a-z/.]{1,200}".prop_map(Kind::Symlink),
        2 => any::<usize>().prop_map(Kind::HardLink),
        1 => Just(Kind::Whiteout),
        1 => Just(Kind::Fifo),
    ]
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    // Also names that are not UTF-8, and names longer than a header's field. The tar crate takes a
    // PAX record for ended by its first newline, whatever its length says: none in long values.
    let bytes = prop::collection::vec(
        (1..=255u8).prop_filter("no slash", |it| !matches!(it, b'/' | b'\n')),
        1..120,
    );
    bytes.prop_filter("a name", |name| {
        !matches!(&**name, b"." | b"..") && !name.starts_with(WHITEOUT)
    })
}

fn made() -> impl Strategy<Value = Made> {
    let time = (-3_000_000..4_000_000_000i64, prop_oneof![Just(0), 0..1_000_000_000u32]);
    let ids = prop_oneof![Just((0, 0)), (0..3_000_000u32, 0..3_000_000u32)];
    let colour = prop::option::of(prop::collection::vec(11..=255u8, 1..50));
    let mode = (0..0o10000u32).prop_map(|mode| mode | 0o700);
    (any::<usize>(), name(), kind(), mode, time, ids, colour).prop_map(
        |(directory, name, kind, mode, mtime, ids, colour)| Made {
            directory,
            name,
            kind,
            mode,
            mtime,
            ids,
            colour,
        },
    )
}

/// Makes the tree; what cannot be there, as a second entry of a name, is left out.
fn plant(folder: &Path, entries: &[Made]) {
    let is_root = rustix::process::geteuid().is_root();
    let opaque = if is_root { "trusted.overlay.opaque" } else { "user.overlay.opaque" };
    let mut directories = vec![folder.to_owned()];
    let mut files = Vec::new();
    let mut all = Vec::new();
    for made in entries {
        let name = std::ffi::OsStr::from_bytes(&made.name);
        let path = directories[made.directory % directories.len()].join(name);
        if fs::symlink_metadata(&path).is_ok() {
            continue;
        }
        let node = |kind| {
            rustix::fs::mknodat(rustix::fs::CWD, &path, kind, Mode::empty(), 0).unwrap();
        };
        match &made.kind {
            Kind::File(content) => fs::write(&path, content).unwrap(),
            Kind::Directory { .. } => fs::create_dir(&path).unwrap(),
            Kind::Symlink(target) => symlink(target, &path).unwrap(),
            Kind::HardLink(_) if files.is_empty() => continue,
            Kind::HardLink(which) => {
                let target: &std::path::PathBuf = &files[which % files.len()];
                fs::hard_link(target, &path).unwrap();
                continue;
            }
            Kind::Whiteout => {
                node(FileType::CharacterDevice);
                continue;
            }
            Kind::Fifo => node(FileType::Fifo),
        }
        match &made.kind {
            Kind::Directory { is_opaque } => {
                directories.push(path.clone());
                if *is_opaque {
                    let set = rustix::fs::setxattr(&path, opaque, b"y", XattrFlags::empty());
                    assert!(set.is_ok() || !is_root, "{set:?}");
                }
            }
            _ => files.push(path.clone()),
        }
        all.push((path, made));
    }
    // Directories last: an entry changes the time of its own.
    for (path, made) in all.iter().rev() {
        if is_root {
            std::os::unix::fs::lchown(path, Some(made.ids.0), Some(made.ids.1)).unwrap();
        }
        if !matches!(made.kind, Kind::Symlink(_)) {
            fs::set_permissions(path, Permissions::from_mode(made.mode)).unwrap();
        }
        if let (Some(colour), Kind::File(_) | Kind::Directory { .. }) = (&made.colour, &made.kind) {
            // Some file systems have none.
            let _ = rustix::fs::setxattr(path, "user.colour", colour, XattrFlags::empty());
        }
        let time = Timespec { tv_sec: made.mtime.0, tv_nsec: made.mtime.1.into() };
        let times = Timestamps { last_access: time, last_modification: time };
        rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_becomes_an_archive_and_the_same_tree(
        entries in prop::collection::vec(made(), 0..40),
    ) {
        let folder = TempDir::new().unwrap();
        plant(folder.path(), &entries);
        let archive = packed(folder.path(), &ChangesOptions::default()).unwrap();
        let again = applied(&archive);
        prop_assert_eq!(described(folder.path()), described(again.path()));
        // The copy was made in another order and has other inodes.
        let second = packed(again.path(), &ChangesOptions::default()).unwrap();
        prop_assert!(archive == second, "the archives differ");
    }
}

fn names_of(archive: &[u8]) -> Vec<String> {
    let mut archive = tar::Archive::new(archive);
    let name = |entry: std::io::Result<tar::Entry<'_, &[u8]>>| {
        String::from_utf8_lossy(&entry.unwrap().path_bytes()).into_owned()
    };
    archive.entries().unwrap().map(name).collect()
}

#[test]
fn a_header_is_plain_unless_it_cannot_say_it() {
    let attributes = Attributes { mode: 0o644, mtime: (7, 0), ..Attributes::default() };
    let write = |attributes: &Attributes, name: &[u8]| {
        let mut writer = LayerWriter::new(Vec::new());
        writer.file(name, attributes, 5, &b"hello world"[..]).unwrap();
        writer.finish().unwrap()
    };
    // Header, content, two blocks of zeros.
    assert_eq!(write(&attributes, &[b'n'; 100]).len(), 4 * 512);
    let large = Attributes { uid: 0x20_0000, ..attributes.clone() };
    let exact = Attributes { mtime: (-2, 750_000_000), ..attributes.clone() };
    let records = [
        (write(&attributes, &[b'n'; 101]), format!("111 path={}\n", "n".repeat(101))),
        (write(&large, b"f"), "15 uid=2097152\n".into()),
        (write(&exact, b"f"), "15 mtime=-1.25\n".into()),
    ];
    for (archive, record) in records {
        assert_eq!(archive.len(), 6 * 512);
        assert!(archive[512..].starts_with(record.as_bytes()), "{record}");
    }
    let mut writer = LayerWriter::new(Vec::new());
    let error = writer.file(b"f", &attributes, 5, &b"hell"[..]).unwrap_err();
    assert!(error.to_string().contains("4 of 5 bytes"), "{error}");
}

#[test]
fn times_are_clamped_and_sockets_left_out() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("new"), "x").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.path().join("socket")).unwrap();
    let options = ChangesOptions { clamp: Some(1_000_000), ..ChangesOptions::default() };
    let archive = packed(folder.path(), &options).unwrap();
    assert_eq!(names_of(&archive), ["new"]);
    let about = fs::metadata(applied(&archive).path().join("new")).unwrap();
    assert_eq!((about.mtime(), about.mtime_nsec()), (1_000_000, 0));
}

#[test]
fn what_a_layer_cannot_say_is_refused() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join(".wh.mine"), "x").unwrap();
    let error = packed(folder.path(), &ChangesOptions::default()).unwrap_err();
    assert!(error.to_string().contains("for a whiteout"), "{error}");
    for (mark, why) in [("redirect", "redirect_dir=off"), ("metacopy", "metacopy=off")] {
        let folder = TempDir::new().unwrap();
        let directory = folder.path().join("d");
        fs::create_dir(&directory).unwrap();
        let name = format!("user.overlay.{mark}");
        if rustix::fs::setxattr(&directory, name, b"/x", XattrFlags::empty()).is_err() {
            println!("skipped: this file system has no attributes of users");
            return;
        }
        let error = packed(folder.path(), &ChangesOptions::default()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_tree_that_is_deeper_than_descriptors_go_is_archived() {
    let folder = TempDir::new().unwrap();
    let mut at = folder.path().to_owned();
    for _ in 0..1500 {
        at.push("d");
    }
    fs::create_dir_all(&at).unwrap();
    let archive = packed(folder.path(), &ChangesOptions::default()).unwrap();
    assert_eq!(names_of(&archive).len(), 1500);
}
