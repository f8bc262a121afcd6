//! Archives for a guest's first file system, of whatever entries, read back by a reader of our own
//! ([`newc`]) and compared.
#![no_main]

mod newc;

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use microvm::initramfs::{Archive, Root};

use newc::{DIRECTORY, LINK, NewcEntry};

/// A part of a path: from so few that paths meet.
#[derive(Debug, Arbitrary)]
enum Part<'a> {
    A,
    B,
    Up,
    Here,
    Top,
    Trailer,
    Long,
    Any(&'a [u8]),
}

#[derive(Debug, Arbitrary)]
struct Name<'a>(Vec<Part<'a>>);

impl Name<'_> {
    fn path(&self) -> PathBuf {
        let long = "x".repeat(255);
        let parts = self.0.iter().map(|part| match part {
            Part::A => OsStr::new("a"),
            Part::B => OsStr::new("b"),
            Part::Up => OsStr::new(".."),
            Part::Here => OsStr::new("."),
            Part::Top => OsStr::new("/"),
            Part::Trailer => OsStr::new("TRAILER!!!"),
            Part::Long => OsStr::new(&long),
            Part::Any(bytes) => OsStr::from_bytes(bytes),
        });
        parts.collect()
    }
}

/// What is to be in the archive.
#[derive(Debug, Arbitrary)]
enum Wish<'a> {
    Directory(Name<'a>, u16),
    File(Name<'a>, u16, &'a [u8]),
    Link(Name<'a>, Name<'a>),
    Device(Name<'a>, u16, (u8, u32), bool),
    Below(Name<'a>, Vec<Wish<'a>>),
}

fuzz_target!(|wishes: Vec<Wish>| {
    plain(&wishes);
    let mut root = Root::new();
    // A later wish may take the place of an earlier one.
    let last = wishes.iter().map(|wish| add(&mut root, wish)).last().flatten();
    let archive = root.to_vec().expect("nothing in it is a file of the host");
    assert_eq!(archive.len() as u64, root.bytes());
    let entries = newc::read(&archive);
    newc::check(&entries);
    if let Some(last) = last {
        let same = |entry: &NewcEntry| NewcEntry { name: Vec::new(), ..entry.clone() } == last;
        assert!(entries.iter().any(same), "{last:?} is not there");
    }
});

/// Adds a wish, and says what must then be in the archive under some name, if that is known.
fn add(root: &mut Root, wish: &Wish) -> Option<NewcEntry> {
    let entry = |mode, device, content| NewcEntry { name: Vec::new(), mode, device, content };
    match wish {
        Wish::Directory(name, mode) => {
            root.directory(name.path(), (*mode).into()).ok()?;
            None
        }
        Wish::File(name, mode, content) => {
            root.file(name.path(), (*mode).into(), *content).ok()?;
            let mode = 0o100_000 | u32::from(*mode) & 0o7777;
            is_below_the_top(&name.path()).then(|| entry(mode, (0, 0), content.to_vec()))
        }
        Wish::Link(name, target) => {
            let target = target.path();
            root.link(name.path(), &target).ok()?;
            let content = target.as_os_str().as_bytes().to_vec();
            is_below_the_top(&name.path()).then(|| entry(LINK | 0o777, (0, 0), content))
        }
        Wish::Device(name, mode, (major, minor), of_blocks) => {
            let device = (u32::from(*major), *minor);
            let kind = match of_blocks {
                true => root.block_device(name.path(), (*mode).into(), device).map(|()| 0o060_000),
                false => {
                    root.character_device(name.path(), (*mode).into(), device).map(|()| 0o020_000)
                }
            };
            let mode = kind.ok()? | u32::from(*mode) & 0o7777;
            is_below_the_top(&name.path()).then(|| entry(mode, device, Vec::new()))
        }
        Wish::Below(name, wishes) => {
            let mut other = Root::new();
            let last = wishes.iter().map(|wish| add(&mut other, wish)).last().flatten();
            root.put_below(name.path(), other).ok()?;
            last
        }
    }
}

fn is_below_the_top(path: &Path) -> bool {
    path.components().any(|part| matches!(part, Component::Normal(_)))
}

/// The same wishes for an [`Archive`], which takes each as it comes: all that it takes must be in
/// there, in this order.
fn plain(wishes: &[Wish]) {
    let mut archive = Archive::new(Vec::new());
    let mut expected = Vec::new();
    for wish in wishes {
        let (mode, content, added) = match wish {
            Wish::Directory(name, _) => {
                (DIRECTORY | 0o755, Vec::new(), archive.directory(name.path()).map(|()| name))
            }
            Wish::File(name, mode, content) => {
                let added = archive.file(name.path(), (*mode).into(), content).map(|()| name);
                (0o100_000 | u32::from(*mode) & 0o7777, content.to_vec(), added)
            }
            Wish::Link(name, target) => {
                let target = target.path();
                let added = archive.link(name.path(), &target).map(|()| name);
                (LINK | 0o777, target.as_os_str().as_bytes().to_vec(), added)
            }
            Wish::Device(..) | Wish::Below(..) => continue,
        };
        if let Ok(name) = added
            && mode & newc::KIND != DIRECTORY
        {
            let name = name.path();
            let parts = name.components().filter(|part| matches!(part, Component::Normal(_)));
            let name = parts.collect::<PathBuf>().into_os_string();
            expected.push((name.as_bytes().to_vec(), mode, content));
        }
    }
    let entries = newc::read(&archive.finish().expect("memory takes all"));
    let plain = |name: &[u8]| name.strip_prefix(b"./").unwrap_or(name).to_vec();
    let found: Vec<_> = entries
        .into_iter()
        .filter(|entry| entry.mode & newc::KIND != DIRECTORY)
        .map(|entry| (plain(&entry.name), entry.mode, entry.content))
        .collect();
    assert_eq!(found, expected);
}
