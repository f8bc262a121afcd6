use std::{
    fs,
    io::Write as _,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink},
};

use tar::{Builder, Header};
use tempfile::TempDir;

use super::{
    super::{here, pack::pack, tree::Owner},
    *,
};

/// A header as it is written, whatever it says.
fn header(kind: EntryType, name: &[u8], size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.as_mut_bytes()[..name.len()].copy_from_slice(name);
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_mtime(1_000_000_000);
    header.set_size(size);
    header.set_cksum();
    header
}

fn link(kind: EntryType, name: &str, to: &str) -> Vec<u8> {
    let mut header = header(kind, name.as_bytes(), 0);
    header.set_link_name_literal(to).unwrap();
    header.set_cksum();
    header.as_bytes().to_vec()
}

fn entry(kind: EntryType, name: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, name.as_bytes(), content.len() as u64).as_bytes().to_vec();
    bytes.extend(content);
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn file(name: &str) -> Vec<u8> {
    entry(EntryType::Regular, name, b"attack")
}

/// A directory with `inside`, in which archives are unpacked, beside `secret` and `outside/`.
struct Scene(TempDir);

impl Scene {
    fn new() -> Self {
        let scene = tempfile::tempdir().unwrap();
        for directory in ["inside", "outside"] {
            fs::create_dir(scene.path().join(directory)).unwrap();
        }
        for kept in ["secret", "outside/secret"] {
            fs::write(scene.path().join(kept), "kept").unwrap();
        }
        Self(scene)
    }

    fn at(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn unpack(&self, parts: &[Vec<u8>]) -> (Result<(), Failed>, Vec<String>) {
        let archive = [&parts.concat()[..], &[0; 1024]].concat();
        let (mut left_out, rules) = (Vec::new(), Rules { owner: Owner::Caller, mode: 0o7777 });
        let done = unpack(&*archive, &here(&self.at("inside")), &rules, &mut left_out);
        (done, left_out)
    }

    /// Nothing beside `inside` was changed, made or given another name.
    fn is_untouched(&self) -> bool {
        let kept = ["secret", "outside/secret"].iter().all(|path| {
            let found = fs::metadata(self.at(path)).unwrap();
            fs::read_to_string(self.at(path)).unwrap() == "kept" && found.nlink() == 1
        });
        let count = |path: &str| fs::read_dir(self.at(path)).unwrap().count();
        kept && count("") == 3 && count("outside") == 1
    }
}

#[test]
fn what_is_packed_is_unpacked_the_same() {
    let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let long = "n".repeat(200);
    let deep = format!("tree/{long}/{long}");
    fs::create_dir_all(from.path().join(&deep)).unwrap();
    let file = format!("{deep}/{long}");
    fs::write(from.path().join(&file), vec![7; 100_000]).unwrap();
    fs::set_permissions(from.path().join(&file), fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("l".repeat(300), from.path().join("tree/link")).unwrap();
    nix::unistd::mkfifo(&from.path().join("tree/fifo"), Mode::S_IRUSR).unwrap();
    fs::set_permissions(from.path().join("tree"), fs::Permissions::from_mode(0o510)).unwrap();
    let (mut archive, mut left_out) = (Vec::new(), Vec::new());
    pack(&here(from.path()), Path::new("tree"), &mut archive, &mut left_out).unwrap();
    assert_eq!(left_out, ["tree/fifo: a FIFO"]);
    let rules = Rules { owner: Owner::Caller, mode: 0o7777 };
    unpack(&*archive, &here(to.path()), &rules, &mut left_out).unwrap();
    assert_eq!(fs::read(to.path().join(&file)).unwrap(), vec![7; 100_000]);
    let (old, new) = (fs::metadata(from.path().join(&file)), fs::metadata(to.path().join(&file)));
    let (old, new) = (old.unwrap(), new.unwrap());
    assert_eq!((new.mode() & 0o7777, new.mtime()), (0o751, old.mtime()), "no set-user bit");
    let tree = |place: &TempDir| fs::metadata(place.path().join("tree")).unwrap();
    assert_eq!(tree(&to).mode() & 0o7777, 0o510);
    assert_eq!(tree(&to).mtime(), tree(&from).mtime());
    assert_eq!(fs::read_link(to.path().join("tree/link")).unwrap(), Path::new(&"l".repeat(300)));
}

#[test]
fn no_name_and_no_link_leads_out_of_the_directory() {
    use EntryType::{Directory, Link, Symlink};
    let out = Scene::new();
    let absolute = out.at("outside").to_str().unwrap().to_owned();
    let secret = out.at("secret").to_str().unwrap().to_owned();
    let attacks: Vec<(&str, Vec<Vec<u8>>)> = vec![
        ("..", vec![file("../secret")]),
        (".. in the middle", vec![file("a/../../secret")]),
        (".. at the end", vec![entry(Directory, "a/..", b"")]),
        ("relative link", vec![link(Symlink, "l", "../outside"), file("l/secret")]),
        ("relative link, new file", vec![link(Symlink, "l", "../outside"), file("l/new")]),
        ("absolute link", vec![link(Symlink, "l", &absolute), file("l/secret")]),
        (
            "link to a link",
            vec![link(Symlink, "a", ".."), link(Symlink, "b", "a/outside"), file("b/new")],
        ),
        (
            "directory through a link",
            vec![link(Symlink, "l", "../outside"), entry(Directory, "l/new", b"")],
        ),
        (
            "directory over a link",
            vec![link(Symlink, "l", "../outside"), entry(Directory, "l", b""), file("l/new")],
        ),
        (
            "link through a link",
            vec![link(Symlink, "l", "../outside"), link(Symlink, "l/new", "/etc")],
        ),
        ("link of procfs", vec![link(Symlink, "l", "/proc/self/cwd"), file("l/new")]),
        ("hard link by ..", vec![link(Link, "l", "../secret"), file("l")]),
        (
            "hard link through a link",
            vec![link(Symlink, "o", "../outside"), link(Link, "l", "o/secret")],
        ),
        ("hard link in a link", vec![link(Symlink, "o", ".."), link(Link, "o/l", "o/secret")]),
        ("hard link by a whole path", vec![link(Link, "l", &secret)]),
        ("hard link without a target", vec![link(Link, "l", "")]),
        ("long name", vec![entry(EntryType::GNULongName, "x", b"../secret\0"), file("x")]),
        (
            "record of a path",
            vec![entry(EntryType::XHeader, "x", b"18 path=../secret\n"), file("x")],
        ),
    ];
    for (attack, parts) in attacks {
        let scene = Scene::new();
        // Those that name the scene by its whole path name this one's.
        let parts: Vec<Vec<u8>> = parts;
        let (done, _) = scene.unpack(&parts);
        assert!(done.is_err(), "{attack} is taken");
        assert!(scene.is_untouched() && out.is_untouched(), "{attack} leads out");
    }
    // A link that is only there, and a file over it, are the directory's own.
    let scene = Scene::new();
    scene.unpack(&[link(Symlink, "l", "../secret"), file("l")]).0.unwrap();
    assert_eq!(fs::read_to_string(scene.at("inside/l")).unwrap(), "attack");
    assert!(scene.is_untouched());
    // An absolute name begins at the directory, as with tar(1).
    scene.unpack(&[file("/outside/secret")]).0.unwrap();
    assert!(scene.at("inside/outside/secret").exists() && scene.is_untouched());
}

#[test]
fn links_within_the_directory_work() {
    use EntryType::{Directory, Link, Symlink};
    let scene = Scene::new();
    let parts = [
        entry(Directory, "usr/bin/", b""),
        link(Symlink, "bin", "usr/bin"),
        file("bin/one"),
        entry(Directory, "bin/", b""),
        link(Link, "usr/two", "bin/one"),
        link(Link, "usr/two", "usr/two"),
    ];
    scene.unpack(&parts).0.unwrap();
    let found = fs::metadata(scene.at("inside/usr/bin/one")).unwrap();
    assert_eq!((found.nlink(), found.mtime()), (2, 1_000_000_000));
    assert_eq!(fs::read_to_string(scene.at("inside/usr/two")).unwrap(), "attack");
}

#[test]
fn devices_are_left_out_and_what_follows_is_not() {
    let scene = Scene::new();
    let mut parts: Vec<Vec<u8>> = [EntryType::Char, EntryType::Block, EntryType::Fifo]
        .map(|kind| header(kind, b"node", 0).as_bytes().to_vec())
        .into();
    parts.push(entry(EntryType::new(b'V'), "label", b""));
    parts.push(file("last"));
    let (done, left_out) = scene.unpack(&parts);
    done.unwrap();
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    assert!(left_out[0].contains("node: a device"), "{left_out:?}");
    assert!(scene.at("inside/last").exists() && !scene.at("inside/node").exists());
}

#[test]
fn lengths_that_nothing_follows_are_errors() {
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("a file", header(EntryType::Regular, b"f", u64::MAX / 2).as_bytes().to_vec()),
        ("a file of a few bytes", header(EntryType::Regular, b"f", 9000).as_bytes().to_vec()),
        ("a name", header(EntryType::GNULongName, b"f", 1 << 40).as_bytes().to_vec()),
        ("records", header(EntryType::XHeader, b"f", 1 << 40).as_bytes().to_vec()),
        ("records of all", header(EntryType::XGlobalHeader, b"f", 1 << 40).as_bytes().to_vec()),
        (
            "another length",
            [entry(EntryType::XHeader, "x", b"20 size=99999999999\n"), file("f")].concat(),
        ),
        ("a sparse file", header(EntryType::GNUSparse, b"f", 0).as_bytes().to_vec()),
        (
            "records of a sparse file",
            [entry(EntryType::XHeader, "x", b"22 GNU.sparse.major=1\n"), file("f")].concat(),
        ),
        ("no archive", vec![b'x'; 512]),
        ("a wrong checksum", {
            let mut bytes = file("f");
            bytes[100] ^= 1;
            bytes
        }),
        ("a broken record", [entry(EntryType::XHeader, "x", b"zz path=f\n"), file("f")].concat()),
    ];
    for (what, bytes) in cases {
        let scene = Scene::new();
        let (mut left_out, rules) = (Vec::new(), Rules { owner: Owner::Caller, mode: 0o7777 });
        let done = unpack(&*bytes, &here(&scene.at("inside")), &rules, &mut left_out);
        assert!(done.is_err(), "{what}: {left_out:?}");
        assert!(scene.is_untouched(), "{what}");
    }
}

#[test]
fn a_compressed_archive_is_named() {
    for (begin, name) in [(&b"\x1f\x8b\x08"[..], "gzip"), (b"BZh9", "bzip2"), (b"\xfd7zXZ\0", "xz")]
    {
        let mut bytes = begin.to_vec();
        bytes.write_all(&[0; 512]).unwrap();
        let scene = Scene::new();
        let rules = Rules { owner: Owner::Caller, mode: 0o7777 };
        let failed = unpack(&*bytes, &here(&scene.at("inside")), &rules, &mut Vec::new());
        assert!(failed.unwrap_err().source.to_string().contains(name), "{name}");
    }
}

proptest::proptest! {
    #[test]
    fn whatever_the_names_are_nothing_is_made_outside(
        names in proptest::collection::vec(("[a-b./]{1,6}", "[a-b./]{0,8}", 0..4_u8), 1..8)
    ) {
        let scene = Scene::new();
        let parts: Vec<Vec<u8>> = names.iter().map(|(name, to, kind)| match kind {
            0 => file(name),
            1 => entry(EntryType::Directory, name, b""),
            2 => link(EntryType::Symlink, name, to),
            _ => link(EntryType::Link, name, to),
        }).collect();
        // Each for itself: an entry that is refused ends the archive.
        for at in 0..parts.len() {
            drop(scene.unpack(&parts[at..=at]));
        }
        drop(scene.unpack(&parts));
        assert!(scene.is_untouched(), "{names:?}");
    }
}

#[test]
fn an_empty_archive_is_one() {
    let scene = Scene::new();
    scene.unpack(&[]).0.unwrap();
    let archive = Builder::new(Vec::new()).into_inner().unwrap();
    assert_eq!(archive.len(), 1024);
}
