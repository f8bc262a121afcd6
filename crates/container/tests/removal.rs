//! Trees whose owners do not want them to go.

mod common;

use std::{
    ffi::OsStr,
    fs,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{
            ffi::OsStrExt as _,
            fs::{PermissionsExt as _, chown, symlink},
        },
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering::Relaxed},
};

use container::remove_tree;
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, RenameFlags, open, openat, renameat2},
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::stat::{Mode, mkdirat},
    unistd::Uid,
};

/// A directory in which each test may do as it likes; by a path without links.
fn outside() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

/// Something of somebody else's.
fn canary(parent: &Path) -> PathBuf {
    let canary = parent.join("canary");
    fs::create_dir_all(canary.join("inner")).unwrap();
    fs::write(canary.join("inner/kept"), "").unwrap();
    fs::write(canary.join("kept"), "").unwrap();
    canary
}

fn is_whole(canary: &Path) -> bool {
    ["kept", "inner/kept"].iter().all(|file| canary.join(file).exists())
}

#[test]
fn a_directory_that_becomes_a_link_leads_nobody_out() {
    let (_directory, place) = outside();
    let (canary, tree) = (canary(&place), place.join("tree"));
    let name = |kind: &str, number: usize| tree.join(format!("{kind}{number}"));
    for _ in 0..60 {
        for number in 0..8 {
            fs::create_dir_all(name("directory", number).join("inner")).unwrap();
            fs::write(name("directory", number).join("kept"), "").unwrap();
            symlink(&canary, name("link", number)).unwrap();
        }
        let (done, swaps) = (AtomicBool::new(false), RenameFlags::RENAME_EXCHANGE);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    for number in 0..8 {
                        let (one, other) = (name("directory", number), name("link", number));
                        let _ = renameat2(AT_FDCWD, &one, AT_FDCWD, &other, swaps);
                    }
                }
            });
            // Whether it succeeds is the race's; what it leaves alone is not.
            let _ = remove_tree(&tree);
            done.store(true, Relaxed);
        });
        assert!(is_whole(&canary), "it was led out of the tree");
        if tree.exists() {
            remove_tree(&tree).unwrap();
        }
    }
}

#[test]
fn a_directory_that_is_moved_away_leads_nobody_out() {
    let (_directory, place) = outside();
    let (canary, tree) = (canary(&place), place.join("tree"));
    for _ in 0..50 {
        fs::create_dir_all(tree.join("a/b/c/d")).unwrap();
        let (done, moves) = (AtomicBool::new(false), RenameFlags::empty());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    let (inside, moved) = (tree.join("a/b/c"), canary.join("moved"));
                    let _ = renameat2(AT_FDCWD, &inside, AT_FDCWD, &moved, moves);
                    let _ = renameat2(AT_FDCWD, &moved, AT_FDCWD, &inside, moves);
                }
            });
            let _ = remove_tree(&tree);
            done.store(true, Relaxed);
        });
        assert!(is_whole(&canary), "it went up into what is not the tree");
        let _ = fs::remove_dir_all(canary.join("moved"));
        let _ = fs::remove_dir_all(&tree);
    }
}

#[test]
fn a_tree_deeper_than_any_path_and_any_stack_is_removed() {
    const DEPTH: usize = 10_000;
    // In memory, where there is such a place: on a disk this takes seconds.
    let place = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let place = place.path().canonicalize().unwrap();
    let tree = place.join("tree");
    fs::create_dir(&tree).unwrap();
    let flags = OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let mut here: OwnedFd = open(&tree, flags, Mode::empty()).unwrap();
    for _ in 0..DEPTH {
        mkdirat(&here, "deeper", Mode::S_IRWXU).unwrap();
        here = openat(here.as_fd(), "deeper", flags, Mode::empty()).unwrap();
    }
    // As much stack as a thread may have at least: one page a level would not fit.
    let small = std::thread::Builder::new().stack_size(128 << 10);
    small.spawn(move || remove_tree(&tree).unwrap()).unwrap().join().unwrap();
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
}

#[test]
fn names_are_bytes_and_modes_do_not_matter() {
    let (_directory, place) = outside();
    let tree = place.join("tree");
    let inner = tree.join(OsStr::from_bytes(b"\xff\n\xfe"));
    fs::create_dir_all(inner.join("deeper")).unwrap();
    fs::write(inner.join(OsStr::from_bytes(b"\x80")), "").unwrap();
    symlink("nowhere", inner.join("link")).unwrap();
    for path in [inner.join("deeper"), inner, tree.clone()] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
    }
    remove_tree(&tree).unwrap();
    assert!(!tree.exists());
}

#[test]
fn what_is_not_our_directory_is_refused() {
    let (_directory, place) = outside();
    let canary = canary(&place);
    let (link, through) = (place.join("link"), place.join("above/canary"));
    symlink(&canary, &link).unwrap();
    symlink(&place, place.join("above")).unwrap();
    fs::write(place.join("file"), "").unwrap();
    for path in [&link, &through, &place.join("file"), &canary.join(".."), Path::new("/")] {
        let refused = remove_tree(path).unwrap_err();
        assert!(is_whole(&canary) && link.is_symlink(), "{path:?}: {refused}");
    }
    assert!(place.join("file").exists());
    if Uid::effective().is_root() {
        chown(&canary, Some(65534), None).unwrap();
        let refused = sandbox::chain(&remove_tree(&canary).unwrap_err());
        assert!(refused.contains("65534") && is_whole(&canary), "{refused}");
    }
}

/// A bind mount has the same device number as what is around it.
#[test]
fn a_mount_below_is_not_entered() {
    let (_directory, place) = outside();
    let (canary, tree) = (canary(&place), place.join("tree"));
    fs::create_dir_all(tree.join("deeper/mounted")).unwrap();
    let mounted = tree.join("deeper/mounted");
    // A mount namespace of this thread's own, which ends with it.
    let attempt = std::thread::spawn({
        let (canary, tree) = (canary.clone(), tree.clone());
        move || -> Result<_, Errno> {
            let none = None::<&str>;
            unshare(CloneFlags::CLONE_NEWNS)?;
            mount(none, "/", none, MsFlags::MS_PRIVATE | MsFlags::MS_REC, none)?;
            mount(Some(&canary), &mounted, none, MsFlags::MS_BIND, none)?;
            Ok(sandbox::chain(&remove_tree(&tree).unwrap_err()))
        }
    });
    match attempt.join().unwrap() {
        Err(errno) => common::skip(&format!("a mount namespace of its own: {errno}")),
        Ok(refused) => assert!(refused.contains("mounted on it"), "{refused}"),
    }
    assert!(is_whole(&canary));
    // Outside of that namespace nothing is mounted.
    remove_tree(&tree).unwrap();
}
