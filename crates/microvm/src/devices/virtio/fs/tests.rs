//! A guest that reads a shared directory, and one that tries to get out of it.

use std::{
    fs,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{MetadataExt as _, PermissionsExt as _, symlink},
        net::UnixListener,
    },
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use nix::{sys::stat::Mode, unistd::mkfifo};
use proptest::prelude::*;
use rustix::{
    fs::{CWD, RenameFlags, renameat_with},
    io::Errno,
};
use sandbox::Trace;

use super::{
    super::{Broken, driver::Driver},
    message::tests::message,
    nodes::ROOT,
    *,
};
use crate::cell::{self, Role};

const LOOKUP: u32 = 1;
const FORGET: u32 = 2;
const GETATTR: u32 = 3;
const READLINK: u32 = 5;
const OPEN: u32 = 14;
const READ: u32 = 15;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const READDIR: u32 = 28;
const BATCH_FORGET: u32 = 42;

const QUEUE: usize = 1;
const OPEN_FILES: usize = 8;
const SECRET: &[u8] = b"the host's secret";

/// `inside` is shared, `secret` lies beside it.
struct Guest {
    scratch: tempfile::TempDir,
    driver: Driver<SharedDirectory>,
}

type Answer = Result<Vec<u8>, Errno>;

impl Guest {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let inside = scratch.path().join("inside");
        fs::create_dir_all(inside.join("deep/deeper")).unwrap();
        fs::write(scratch.path().join("secret"), SECRET).unwrap();
        fs::write(inside.join("file"), "content").unwrap();
        fs::write(inside.join("deep/deeper/file"), "far").unwrap();
        let tree = SharedTree::open(&inside, true).unwrap();
        Self { scratch, driver: Driver::of(SharedDirectory::new(tree, "isolab0", OPEN_FILES)) }
    }

    fn host(&self, path: &str) -> PathBuf {
        self.scratch.path().join("inside").join(path)
    }

    /// Sends a message; what is behind the answer's header, or its error.
    fn ask(&mut self, code: u32, node: u64, arguments: &[u8], room: u32) -> Answer {
        let sent = message(code, node, arguments);
        let answer = self.driver.ask(QUEUE, &[&sent[..40], &sent[40..]], &[16, room]);
        assert_eq!(answer[8..16], 77u64.to_ne_bytes(), "the answer is this message's");
        assert_eq!(answer[..4], (answer.len() as u32).to_ne_bytes());
        match i32::from_ne_bytes(answer[4..8].try_into().unwrap()) {
            0 => Ok(answer[16..].to_vec()),
            error => Err(Errno::from_raw_os_error(-error)),
        }
    }

    fn look_up(&mut self, parent: u64, name: &[u8]) -> Result<u64, Errno> {
        let entry = self.ask(LOOKUP, parent, &[name, &[0]].concat(), 4096)?;
        assert_eq!(entry.len(), 128);
        Ok(long(&entry, 0))
    }

    /// The node of a path below the shared directory.
    fn walk(&mut self, path: &str) -> Result<u64, Errno> {
        path.split('/').try_fold(ROOT, |node, name| self.look_up(node, name.as_bytes()))
    }

    fn open(&mut self, node: u64, flags: i32) -> Result<u64, Errno> {
        let opened = self.ask(OPEN, node, &[flags as u32, 0].map(u32::to_ne_bytes).concat(), 16)?;
        Ok(long(&opened, 0))
    }

    fn read(&mut self, handle: u64, offset: u64, size: u32) -> Answer {
        self.ask(READ, ROOT, &span(handle, offset, size), size.min(1 << 20))
    }

    fn read_path(&mut self, path: &str) -> Answer {
        let node = self.walk(path)?;
        let handle = self.open(node, libc::O_RDONLY)?;
        let content = self.read(handle, 0, 4096);
        self.ask(RELEASE, node, &[&handle.to_ne_bytes()[..], &[0; 16]].concat(), 0)?;
        content
    }

    /// The names in a directory, which is read in pieces of so many bytes.
    fn list(&mut self, node: u64, size: u32) -> Result<Vec<Vec<u8>>, Errno> {
        let handle = long(&self.ask(OPENDIR, node, &[0; 8], 16)?, 0);
        let (mut names, mut offset) = (Vec::new(), 0);
        loop {
            let bytes = self.ask(READDIR, node, &span(handle, offset, size), size)?;
            let mut rest = &bytes[..];
            if rest.is_empty() {
                return Ok(names);
            }
            while !rest.is_empty() {
                let length = u32::from_ne_bytes(rest[16..20].try_into().unwrap()) as usize;
                offset = long(rest, 8);
                names.push(rest[24..24 + length].to_vec());
                rest = &rest[(24 + length).next_multiple_of(8)..];
            }
        }
    }
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn span(handle: u64, offset: u64, size: u32) -> Vec<u8> {
    [&handle.to_ne_bytes()[..], &offset.to_ne_bytes(), &size.to_ne_bytes(), &[0; 20]].concat()
}

#[test]
fn a_guest_finds_the_device_by_its_name_and_agrees_on_a_version() {
    let mut guest = Guest::new();
    assert_eq!(guest.driver.read(0x100).to_le_bytes(), *b"isol");
    assert_eq!(guest.driver.read(0x124), 1, "one queue for requests");
    let begin = |major: u32| {
        let words = [major, 37, 1 << 20, u32::MAX].map(u32::to_ne_bytes).concat();
        [words, vec![0; 48]].concat()
    };
    let agreed = guest.ask(INIT, 0, &begin(7), 64).unwrap();
    assert_eq!(agreed.len(), 64);
    assert_eq!(agreed[..4], 7u32.to_ne_bytes());
    assert_eq!(agreed[12..16], (1u32 | 1 << 18 | 1 << 22).to_ne_bytes());
    let other = guest.ask(INIT, 0, &begin(8), 64).unwrap();
    assert_eq!(other[12..16], [0; 4]);
}

#[test]
fn what_the_host_has_is_read_as_it_is() {
    let mut guest = Guest::new();
    assert_eq!(guest.read_path("file").unwrap(), b"content");
    assert_eq!(guest.read_path("deep/deeper/file").unwrap(), b"far");
    let large: Vec<u8> = (0..300_000u32).map(|number| (number / 7) as u8).collect();
    fs::write(guest.host("large"), &large).unwrap();
    fs::write(guest.host("empty"), "").unwrap();
    assert_eq!(guest.read_path("empty").unwrap(), b"");
    let node = guest.walk("large").unwrap();
    let handle = guest.open(node, libc::O_RDONLY | libc::O_LARGEFILE).unwrap();
    let mut read = Vec::new();
    while let Ok(more) = guest.read(handle, read.len() as u64, 70_000)
        && !more.is_empty()
    {
        read.extend(more);
    }
    assert!(read == large);
    let attributes = guest.ask(GETATTR, node, &[0; 16], 104).unwrap();
    assert_eq!(long(&attributes, 24), 300_000);
    assert_eq!(long(&attributes, 16), fs::metadata(guest.host("large")).unwrap().ino());
}

#[test]
fn a_directory_is_listed_in_pieces_of_any_size() {
    let mut guest = Guest::new();
    let mut expected: Vec<Vec<u8>> = (0..40).map(|n| format!("file {n}\n").into_bytes()).collect();
    expected.extend([b"\xff\xfe".to_vec(), vec![b'n'; 255]]);
    for name in &expected {
        fs::write(guest.host("deep/deeper").join(std::ffi::OsStr::from_bytes(name)), "").unwrap();
    }
    expected.extend([&b"file"[..], b".", b".."].map(<[u8]>::to_vec));
    expected.sort();
    let node = guest.walk("deep/deeper").unwrap();
    for size in [288, 1000, 4096, 1 << 16] {
        let mut listed = guest.list(node, size).unwrap();
        listed.sort();
        assert!(listed == expected, "{size}");
    }
    for size in [0, 1, 30] {
        assert_eq!(guest.list(node, size), Err(Errno::INVAL), "{size}");
    }
}

#[test]
fn a_link_is_a_text_and_leads_nowhere() {
    let mut guest = Guest::new();
    for (name, to) in [("far", "/etc"), ("up", "../secret"), ("own", "deep")] {
        symlink(to, guest.host(name)).unwrap();
        let node = guest.look_up(ROOT, name.as_bytes()).unwrap();
        assert_eq!(guest.ask(READLINK, node, &[], 4096).unwrap(), to.as_bytes());
        assert_eq!(guest.open(node, libc::O_RDONLY), Err(Errno::ACCESS), "{name}");
        assert_eq!(guest.ask(OPENDIR, node, &[0; 8], 16), Err(Errno::STALE), "{name}");
        assert_eq!(guest.look_up(node, b"passwd"), Err(Errno::NOTDIR), "{name}");
    }
    let file = guest.walk("file").unwrap();
    assert!(guest.ask(READLINK, file, &[], 4096).is_err());
}

#[test]
fn no_name_leads_out() {
    let mut guest = Guest::new();
    let deep = guest.walk("deep").unwrap();
    for name in [&b".."[..], b".", b"", b"../secret", b"/etc/passwd", b"deep/../../secret"] {
        for node in [ROOT, deep] {
            assert_eq!(guest.look_up(node, name), Err(Errno::INVAL), "{name:?}");
        }
    }
    assert_eq!(guest.ask(LOOKUP, ROOT, b"no end", 4096), Err(Errno::INVAL));
}

/// What was a directory when the guest found it is a link out when it is used.
#[test]
fn what_was_swapped_between_two_messages_is_not_followed() {
    let mut guest = Guest::new();
    let file = guest.walk("deep/deeper/file").unwrap();
    let deeper = guest.walk("deep/deeper").unwrap();
    fs::rename(guest.host("deep/deeper"), guest.host("moved")).unwrap();
    fs::write(guest.scratch.path().join("file"), SECRET).unwrap();
    symlink("../..", guest.host("deep/deeper")).unwrap();
    assert_eq!(guest.open(file, libc::O_RDONLY), Err(Errno::STALE));
    assert_eq!(guest.look_up(deeper, b"file"), Err(Errno::STALE));
    assert_eq!(guest.list(deeper, 4096), Err(Errno::STALE));
    // Another file at the same name is another file.
    fs::remove_file(guest.host("deep/deeper")).unwrap();
    fs::create_dir(guest.host("deep/deeper")).unwrap();
    fs::write(guest.host("deep/deeper/file"), "another").unwrap();
    assert_eq!(guest.open(file, libc::O_RDONLY), Err(Errno::STALE));
    assert_eq!(guest.read_path("deep/deeper/file").unwrap(), b"another");
}

/// The same while it is used: a directory and a link out change places all the time.
#[test]
fn what_is_swapped_meanwhile_is_not_followed() {
    let mut guest = Guest::new();
    fs::write(guest.scratch.path().join("file"), SECRET).unwrap();
    symlink("..", guest.host("link")).unwrap();
    let (one, other) = (guest.host("deep/deeper"), guest.host("link"));
    let done = AtomicBool::new(false);
    let mut read = [0; 2];
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
            }
        });
        // Both are seen, or nothing was tried.
        for round in 0..200_000 {
            match guest.read_path("deep/deeper/file") {
                Ok(content) => {
                    read[0] += 1;
                    assert_eq!(content, b"far", "round {round}");
                }
                Err(_) => read[1] += 1,
            }
            if round > 3000 && read.iter().all(|count| *count > 100) {
                break;
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(read.iter().all(|count| *count > 0), "{read:?}");
}

#[test]
fn nothing_of_the_hosts_is_opened_but_files_and_directories() {
    let mut guest = Guest::new();
    mkfifo(&guest.host("pipe"), Mode::S_IRWXU).unwrap();
    let _socket = UnixListener::bind(guest.host("socket")).unwrap();
    for name in ["pipe", "socket", "deep"] {
        let node = guest.walk(name).unwrap();
        assert_eq!(guest.open(node, libc::O_RDONLY), Err(Errno::ACCESS), "{name}");
    }
    let file = guest.walk("file").unwrap();
    assert_eq!(guest.ask(OPENDIR, file, &[0; 8], 16), Err(Errno::STALE));
    let directory = long(&guest.ask(OPENDIR, ROOT, &[0; 8], 16).unwrap(), 0);
    let handle = guest.open(file, libc::O_RDONLY).unwrap();
    assert_eq!(guest.read(directory, 0, 10), Err(Errno::BADF));
    assert_eq!(guest.ask(READDIR, file, &span(handle, 0, 4096), 4096), Err(Errno::BADF));
}

#[test]
fn nothing_is_ever_written() {
    let mut guest = Guest::new();
    let file = guest.walk("file").unwrap();
    for flags in [libc::O_WRONLY, libc::O_RDWR, libc::O_TRUNC, libc::O_CREAT, 3] {
        assert_eq!(guest.open(file, flags), Err(Errno::ROFS), "{flags:o}");
    }
    for code in [4, 6, 8, 9, 10, 11, 12, 13, 16, 21, 24, 35, 43, 45, 47, 51] {
        for arguments in [&b"file\0"[..], &[0; 128], b""] {
            assert_eq!(guest.ask(code, file, arguments, 4096), Err(Errno::ROFS), "{code}");
        }
    }
    assert_eq!(fs::read(guest.host("file")).unwrap(), b"content");
}

#[test]
fn a_guest_has_no_more_open_than_it_may() {
    let mut guest = Guest::new();
    let file = guest.walk("file").unwrap();
    let open: Vec<u64> =
        (0..OPEN_FILES).map(|_| guest.open(file, libc::O_RDONLY).unwrap()).collect();
    assert_eq!(guest.open(file, libc::O_RDONLY), Err(Errno::NFILE));
    assert_eq!(guest.ask(OPENDIR, ROOT, &[0; 8], 16), Err(Errno::NFILE));
    guest.ask(RELEASE, file, &[&open[0].to_ne_bytes()[..], &[0; 16]].concat(), 0).unwrap();
    assert_eq!(guest.read(open[0], 0, 10), Err(Errno::BADF));
    assert!(guest.open(file, libc::O_RDONLY).is_ok());
    // A guest that begins again has nothing open.
    guest.driver.set_up(u64::MAX);
}

/// All that the server does is on its thread's list; and root's reads what is others'.
#[test]
fn it_is_served_in_its_cell() {
    let mut guest = Guest::new();
    symlink("file", guest.host("link")).unwrap();
    fs::write(guest.host("private"), "others'").unwrap();
    fs::set_permissions(guest.host("private"), fs::Permissions::from_mode(0o000)).unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    let may_read = fs::read(guest.host("private")).is_ok();
    if is_root {
        std::os::unix::fs::chown(guest.host("private"), Some(12_345), Some(12_345)).unwrap();
    }
    let served = || {
        cell::enter(Role::Shares, &mut Trace::new(false)).unwrap();
        assert_eq!(guest.read_path("deep/deeper/file").unwrap(), b"far");
        assert_eq!(guest.read_path("private").is_ok(), may_read);
        let link = guest.walk("link").unwrap();
        assert_eq!(guest.ask(READLINK, link, &[], 4096).unwrap(), b"file");
        assert_eq!(guest.list(ROOT, 4096).unwrap().len(), 6);
        assert_eq!(guest.ask(STATFS, ROOT, &[], 80).unwrap().len(), 80);
        assert_eq!(cell::breach(), None);
    };
    thread::scope(|scope| scope.spawn(served).join()).unwrap();
}

#[test]
fn a_driver_that_begins_again_knows_nothing_of_before() {
    let mut guest = Guest::new();
    let file = guest.walk("file").unwrap();
    let handle = guest.open(file, libc::O_RDONLY).unwrap();
    guest.driver.write(0x70, 0);
    guest.driver.set_up(u64::MAX);
    assert_eq!(guest.open(file, libc::O_RDONLY), Err(Errno::STALE));
    assert_eq!(guest.read(handle, 0, 10), Err(Errno::BADF));
    assert_eq!(guest.read_path("file").unwrap(), b"content");
}

#[test]
fn numbers_that_cannot_be_are_answered_so() {
    let mut guest = Guest::new();
    let file = guest.walk("file").unwrap();
    let handle = guest.open(file, libc::O_RDONLY).unwrap();
    assert_eq!(guest.read(handle, u64::MAX, 10), Err(Errno::INVAL));
    assert_eq!(guest.read(handle, 1 << 62, 10), Ok(Vec::new()));
    assert_eq!(guest.read(handle, 3, u32::MAX).unwrap(), b"tent");
    assert_eq!(guest.ask(READ, file, &span(handle, 0, 4096), 3).unwrap(), b"con");
    for node in [0, 99, u64::MAX] {
        assert_eq!(guest.look_up(node, b"file"), Err(Errno::STALE), "{node}");
        assert_eq!(guest.open(node, libc::O_RDONLY), Err(Errno::STALE), "{node}");
    }
    assert_eq!(guest.ask(GETATTR, file, &[], 104), Err(Errno::INVAL), "no arguments");
    assert_eq!(guest.ask(GETATTR, file, &[0; 16], 103), Err(Errno::INVAL), "no room");
    assert_eq!(guest.ask(4096, file, &[], 104), Err(Errno::NOSYS));
}

#[test]
fn files_are_forgotten_without_an_answer() {
    let mut guest = Guest::new();
    let (file, deep) = (guest.walk("file").unwrap(), guest.walk("deep").unwrap());
    let one = message(FORGET, file, &1u64.to_ne_bytes());
    assert!(guest.driver.ask(0, &[&one], &[]).is_empty());
    assert_eq!(guest.open(file, libc::O_RDONLY), Err(Errno::STALE));
    let list = [&[1u32, 0].map(u32::to_ne_bytes).concat()[..], &deep.to_ne_bytes(), &[9; 8]];
    assert!(guest.driver.ask(0, &[&message(BATCH_FORGET, 0, &list.concat())], &[]).is_empty());
    assert_eq!(guest.list(deep, 4096), Err(Errno::STALE));
}

#[test]
fn a_message_without_its_parts_stops_the_device() {
    let broken = |sent: &[u8], room: &[u32]| {
        let mut guest = Guest::new();
        guest.driver.add(QUEUE, &[sent], room);
        guest.driver.ring(QUEUE);
        guest.driver.device.broken()
    };
    let whole = message(GETATTR, ROOT, &[0; 16]);
    assert_eq!(broken(&whole[..39], &[200]), Some(Broken::Malformed("header")));
    assert_eq!(broken(&whole, &[15]), Some(Broken::Malformed("room for an answer")));
    assert_eq!(broken(&whole, &[]), Some(Broken::Malformed("room for an answer")));
    assert_eq!(broken(&whole[..50], &[200]), None, "it is answered: EINVAL");
    assert_eq!(broken(&whole, &[200]), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever a guest asks for, in whatever order: it is answered, nothing from outside is in any
    /// answer, and the host's files stay as they are.
    #[test]
    fn no_guest_gets_out_of_a_shared_directory(
        asked in prop::collection::vec(
            (0..54u32, 0..8u64, prop_oneof![
                prop::sample::select(vec!["deep", "deeper", "file", "link", "..", "pipe", "a/b"])
                    .prop_map(|name| [name.as_bytes(), &[0]].concat()),
                (0..4u64, 0..4u64, any::<u32>()).prop_map(|(a, b, c)| span(a, b, c)),
                prop::collection::vec(any::<u8>(), 0..64),
            ], 0..5000u32),
            0..60,
        )
    ) {
        let mut guest = Guest::new();
        symlink("../secret", guest.host("link")).unwrap();
        mkfifo(&guest.host("pipe"), Mode::S_IRWXU).unwrap();
        for (code, node, arguments, room) in asked {
            if let Ok(answer) = guest.ask(code, node, &arguments, room) {
                let leaks = answer.windows(SECRET.len()).any(|window| window == SECRET);
                prop_assert!(!leaks, "{code} {node} {arguments:?}");
            }
        }
        prop_assert_eq!(fs::read(guest.host("file")).unwrap(), b"content");
        prop_assert_eq!(fs::read_dir(guest.host("")).unwrap().count(), 4);
    }
}
