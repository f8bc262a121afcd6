//! Archives that want out, and what layers mean.

use std::{
    fs::{self, File},
    io::Cursor,
    os::{
        fd::AsFd as _,
        unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
    },
    path::Path,
};

use tar::{Builder, EntryType, Header};
use tempfile::TempDir;

use super::*;

/// An entry of an archive: type, name, link, content.
type Row<'a> = (EntryType, &'a str, &'a str, &'a [u8]);

const FILE: EntryType = EntryType::Regular;
const DIRECTORY: EntryType = EntryType::Directory;
const LINK: EntryType = EntryType::Link;
const SYMLINK: EntryType = EntryType::Symlink;

/// An archive of these entries, also with names that no honest writer has.
fn archive(rows: &[Row<'_>]) -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    for (kind, name, link, content) in rows {
        let long = name.len() > 100;
        if long {
            let mut header = Header::new_gnu();
            header.as_gnu_mut().unwrap().name[..13].copy_from_slice(b"././@LongLink");
            header.set_entry_type(EntryType::GNULongName);
            header.set_size(name.len() as u64 + 1);
            header.set_cksum();
            builder.append(&header, Cursor::new([name.as_bytes(), b"\0"].concat())).unwrap();
        }
        let mut header = Header::new_gnu();
        header.set_entry_type(*kind);
        // An ordinary user must be able to look into it.
        header.set_mode(if *kind == DIRECTORY { 0o750 } else { 0o640 });
        header.set_mtime(1_000_000);
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        header.set_uid(uid.into());
        header.set_gid(gid.into());
        header.set_size(content.len() as u64);
        let gnu = header.as_gnu_mut().unwrap();
        let short = name.len().min(100);
        gnu.name[..short].copy_from_slice(&name.as_bytes()[..short]);
        gnu.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_cksum();
        builder.append(&header, *content).unwrap();
    }
    builder.into_inner().unwrap()
}

/// A directory with one for the layer in it, and a file outside that nobody may change.
struct Scene {
    folder: TempDir,
}

impl Scene {
    fn new() -> Self {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("layer")).unwrap();
        fs::write(folder.path().join("outside"), "untouched").unwrap();
        Self { folder }
    }

    fn layer(&self) -> std::path::PathBuf {
        self.folder.path().join("layer")
    }

    fn apply(&self, archive: &[u8]) -> Result<Applied, LayerError> {
        self.apply_with(archive, &ApplyOptions::default())
    }

    fn apply_with(
        &self,
        mut archive: &[u8],
        options: &ApplyOptions<'_>,
    ) -> Result<Applied, LayerError> {
        let root = File::open(self.layer()).unwrap();
        let applied = apply(&mut archive, root.as_fd(), options);
        // Whatever it was: nothing outside has changed.
        let mut names: Vec<_> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        assert_eq!(names, ["layer", "outside"]);
        assert_eq!(fs::read_to_string(self.folder.path().join("outside")).unwrap(), "untouched");
        assert_eq!(fs::metadata(self.folder.path().join("outside")).unwrap().nlink(), 1);
        applied
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.layer().join(name))
            .unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

#[test]
fn no_name_leads_out_of_the_layer() {
    let outside = Scene::new();
    let absolute = outside.folder.path().join("outside");
    let absolute = absolute.to_str().unwrap();
    for rows in [
        &[(FILE, "../outside", "", &b"x"[..])][..],
        &[(FILE, "a/../../outside", "", b"x")],
        &[(SYMLINK, "up", "..", b""), (FILE, "up/outside", "", b"x")],
        &[(SYMLINK, "up", "../..", b""), (DIRECTORY, "up/new", "", b"")],
        &[(SYMLINK, "here", absolute, b""), (FILE, "here", "", b"x")],
        &[(SYMLINK, "here", absolute, b""), (DIRECTORY, "here", "", b"")],
        &[(SYMLINK, "out", "../outside", b""), (LINK, "mine", "out", b"")],
        &[(LINK, "mine", "../outside", b"")],
        &[(LINK, "mine", absolute, b"")],
        &[(SYMLINK, "up", "..", b""), (LINK, "mine", "up/outside", b"")],
        &[(SYMLINK, "up", "..", b""), (FILE, "up/.wh.outside", "", b"")],
        &[(FILE, ".wh...", "", b"")],
        &[(FILE, ".wh.", "", b"")],
        &[(FILE, "a/.wh..", "", b"")],
        &[(SYMLINK, "up", "..", b""), (FILE, "up/.wh..wh..opq", "", b"")],
    ] {
        let scene = Scene::new();
        let _ = scene.apply(&archive(rows));
    }
    let scene = Scene::new();
    let error = scene.apply(&archive(&[(FILE, "a/../b", "", b"x")])).unwrap_err();
    assert!(error.to_string().contains("could lead out"), "{error}");
    // A leading slash means the root of the layer.
    scene.apply(&archive(&[(FILE, "/etc/x", "", b"here")])).unwrap();
    assert_eq!(scene.read("etc/x"), "here");
}

#[test]
fn a_link_of_the_layer_leads_where_it_would_lead_inside() {
    let scene = Scene::new();
    let rows = [
        (DIRECTORY, "usr/lib", "", &b""[..]),
        (SYMLINK, "lib", "/usr/lib", b""),
        (FILE, "lib/x", "", b"in usr"),
    ];
    scene.apply(&archive(&rows)).unwrap();
    assert_eq!(scene.read("usr/lib/x"), "in usr");
    let error = scene.apply(&archive(&[(SYMLINK, "a", "/none", b""), (FILE, "a/b", "", b"")]));
    assert!(error.unwrap_err().to_string().contains("leads nowhere"));
}

#[test]
fn the_last_entry_of_a_name_wins_whatever_it_is() {
    let scene = Scene::new();
    let rows = [
        (FILE, "a", "", &b"file"[..]),
        (DIRECTORY, "a", "", b""),
        (FILE, "a/b/c", "", b"deep"),
        (FILE, "a", "", b"file again"),
        (SYMLINK, "s", "a", b""),
        (FILE, "s", "", b"not through the link"),
        (FILE, "h", "", b"one"),
        (LINK, "h2", "h", b""),
        (FILE, "h", "", b"two"),
    ];
    scene.apply(&archive(&rows)).unwrap();
    assert_eq!(scene.read("a"), "file again");
    assert_eq!(scene.read("s"), "not through the link");
    assert_eq!((&*scene.read("h"), &*scene.read("h2")), ("two", "one"));
}

#[test]
fn whiteouts_hide_what_is_below_and_nothing_of_the_layer_itself() {
    let scene = Scene::new();
    let rows = [
        (FILE, "kept", "", &b"kept"[..]),
        (FILE, ".wh.kept", "", b""),
        (FILE, ".wh.gone", "", b""),
        (FILE, ".wh.renewed", "", b""),
        (DIRECTORY, "renewed", "", b""),
        (FILE, "opaque/.wh..wh..opq", "", b""),
        (FILE, ".wh..wh.plnk", "", b""),
    ];
    scene.apply(&archive(&rows)).unwrap();
    assert_eq!(scene.read("kept"), "kept");
    let gone = fs::symlink_metadata(scene.layer().join("gone")).unwrap();
    assert!(gone.file_type().is_char_device() && gone.rdev() == 0);
    let is_opaque = |name: &str| {
        let mut value = [0; 1];
        let path = scene.layer().join(name);
        ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|key| {
            rustix::fs::getxattr(&path, *key, &mut value[..]).is_ok_and(|_| value == *b"y")
        })
    };
    assert!(is_opaque("renewed") && is_opaque("opaque"));
    assert!(!scene.layer().join(".wh..wh.plnk").exists());
}

#[test]
fn a_hard_link_to_a_lower_layer_gets_a_copy_and_none_to_nothing_is_made() {
    let (lower, upper) = (Scene::new(), Scene::new());
    lower.apply(&archive(&[(FILE, "d/f", "", b"below")])).unwrap();
    let link = archive(&[(LINK, "second", "d/f", b"")]);
    let error = upper.apply(&link).unwrap_err();
    assert!(with_causes(&error).contains("in no layer"), "{}", with_causes(&error));
    let lowers = [File::open(lower.layer()).unwrap()];
    let options = ApplyOptions { lowers: &lowers, ..ApplyOptions::default() };
    upper.apply_with(&link, &options).unwrap();
    assert_eq!(upper.read("second"), "below");
    assert_eq!(fs::metadata(upper.layer().join("d/f")).unwrap().nlink(), 2);
    assert_eq!(fs::metadata(lower.layer().join("d/f")).unwrap().nlink(), 1);
}

/// The error with its causes.
fn with_causes(error: &LayerError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[test]
fn modes_and_times_are_the_archives_also_of_directories_that_are_filled() {
    let scene = Scene::new();
    let rows = [
        (DIRECTORY, "d", "", &b""[..]),
        (FILE, "d/f", "", b"x"),
        (SYMLINK, "d/s", "f", b""),
        (EntryType::Fifo, "d/p", "", b""),
    ];
    scene.apply(&archive(&rows)).unwrap();
    for (name, mode) in [("d", 0o750), ("d/f", 0o640), ("d/p", 0o640)] {
        let about = fs::symlink_metadata(scene.layer().join(name)).unwrap();
        assert_eq!(
            (about.permissions().mode() & 0o7777, about.mtime()),
            (mode, 1_000_000),
            "{name}"
        );
    }
    assert_eq!(fs::symlink_metadata(scene.layer().join("d/s")).unwrap().mtime(), 1_000_000);
}

#[test]
fn a_name_that_no_file_system_has_is_an_error_that_names_it() {
    let scene = Scene::new();
    let long = "x/".repeat(2100);
    for name in [&*"n".repeat(256), &*format!("{long}y")] {
        let error = scene.apply(&archive(&[(FILE, name, "", b"")])).unwrap_err();
        assert!(error.to_string().contains(&name[..100]), "{error}");
    }
}

#[test]
fn what_is_cut_off_or_too_much_is_an_error() {
    let scene = Scene::new();
    let whole = archive(&[(FILE, "a", "", &[1; 5000])]);
    let error = scene.apply(&whole[..2000]).unwrap_err();
    assert!(matches!(error, LayerError::Read(_)), "{error}");
    let options = ApplyOptions { max_bytes: 4999, ..ApplyOptions::default() };
    let error = scene.apply_with(&whole, &options).unwrap_err();
    assert_eq!(error.to_string(), "the archive has more than 4999 bytes");
    let two = archive(&[(FILE, "a", "", b""), (FILE, "b", "", b"")]);
    let options = ApplyOptions { max_entries: 1, ..ApplyOptions::default() };
    let error = scene.apply_with(&two, &options).unwrap_err();
    assert_eq!(error.to_string(), "the archive has more than 1 entries");
    for garbage in [&[0xff; 600][..], b"short"] {
        assert!(scene.apply(garbage).is_err());
    }
}

#[test]
fn attributes_are_kept_but_for_those_that_redirect_an_overlay() {
    let scene = Scene::new();
    let mut builder = Builder::new(Vec::new());
    let records: [(&str, &[u8]); 5] = [
        ("mtime", b"1000000.5"),
        ("SCHILY.xattr.user.colour", b"blue"),
        ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.metacopy", b""),
    ];
    builder.append_pax_extensions(records).unwrap();
    let mut header = Header::new_ustar();
    header.set_size(0);
    header.set_mode(0o600);
    header.set_path("f").unwrap();
    header.set_cksum();
    builder.append(&header, Cursor::new([])).unwrap();
    scene.apply(&builder.into_inner().unwrap()).unwrap();
    let file = scene.layer().join("f");
    assert_eq!(fs::metadata(&file).unwrap().mtime_nsec(), 500_000_000);
    let mut names = vec![0; 4096];
    let length = rustix::fs::listxattr(&file, &mut names[..]).unwrap();
    let names = String::from_utf8_lossy(&names[..length]).into_owned();
    assert!(!names.contains("overlay"), "{names}");
    match supports_attributes(&scene.layer()) {
        true => assert!(names.contains("user.colour"), "{names}"),
        false => println!("skipped: this file system has no attributes of users"),
    }
}

#[test]
fn an_owner_that_nobody_is_is_refused() {
    for (key, value) in [("uid", "4294967295"), ("gid", "99999999999"), ("uid", "-1"), ("gid", "x")]
    {
        let scene = Scene::new();
        let mut builder = Builder::new(Vec::new());
        builder.append_pax_extensions([(key, value.as_bytes())]).unwrap();
        let entry = archive(&[(FILE, "f", "", b"")]);
        let archive = [&builder.get_ref()[..], &entry].concat();
        let error = scene.apply(&archive).expect_err(value);
        assert!(with_causes(&error).contains("owner"), "{key}={value}: {}", with_causes(&error));
    }
    let mut header = Header::new_gnu();
    header.set_path("f").unwrap();
    header.set_uid(u64::from(u32::MAX));
    header.set_size(0);
    header.set_cksum();
    let mut builder = Builder::new(Vec::new());
    builder.append(&header, Cursor::new([])).unwrap();
    let error = Scene::new().apply(&builder.into_inner().unwrap()).unwrap_err();
    assert!(with_causes(&error).contains("owner"), "{}", with_causes(&error));
}

fn supports_attributes(folder: &Path) -> bool {
    let probe = folder.join("probe");
    fs::write(&probe, "").unwrap();
    let set = rustix::fs::setxattr(&probe, "user.x", b"y", rustix::fs::XattrFlags::empty());
    fs::remove_file(&probe).unwrap();
    set.is_ok()
}
