//! Mount points in the upper layer of a root: what was made there only so that something could be mounted
//! on it. None of it is a change of the container's processes.
//!
//! ```text
//!   upper/etc/hosts     an empty file below the container's own
//!   upper/dev           an empty directory, if no lower layer has one
//! ```

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2},
    sys::stat::{Mode, SFlag, fstatat},
    unistd::{UnlinkatFlags, unlinkat},
};

/// Files that every container has of its own.
const FILES: [&str; 3] = ["hostname", "hosts", "resolv.conf"];
/// Directories that are mounted over or, `etc`, contain the files.
const DIRECTORIES: [&str; 4] = ["etc", "dev", "proc", "sys"];

/// The mount points in the directory `upper` over `lowers`, by their paths from the root: a file of that
/// name that a process itself has left empty was mounted over, and is one too. A directory that is one
/// has nothing else in it.
///
/// # Errors
///
/// When the directory cannot be read.
pub fn find(upper: &Path, lowers: &[PathBuf]) -> io::Result<Vec<String>> {
    let upper = open(upper)?;
    let mut found = Vec::new();
    let etc = below(&upper, "etc");
    if let Ok(etc) = &etc {
        found.extend(FILES.into_iter().filter(|name| is_empty_file(etc, name)).map(in_etc));
    }
    for name in DIRECTORIES {
        if is_lower(lowers, name) {
            continue;
        }
        let Ok(directory) = below(&upper, name) else { continue };
        let names = names(&directory)?;
        let is_found = |entry: &String| name == "etc" && found.contains(&in_etc(entry));
        if names.iter().all(is_found) {
            found.push(name.into());
        }
    }
    Ok(found)
}

/// Removes the mount points in the directory `upper` of a root that is not mounted any more.
///
/// # Errors
///
/// When the directory cannot be opened, or a file in it not be removed.
pub fn remove(upper: &Path, lowers: &[PathBuf]) -> io::Result<()> {
    let upper = open(upper)?;
    if let Ok(etc) = below(&upper, "etc") {
        for name in FILES.into_iter().filter(|name| is_empty_file(&etc, name)) {
            unlinkat(&etc, name, UnlinkatFlags::NoRemoveDir)?;
        }
    }
    for name in DIRECTORIES {
        // One that a lower layer has too was not made for this, and may hide what that has in it.
        if !is_lower(lowers, name) {
            let _ = unlinkat(&upper, name, UnlinkatFlags::RemoveDir);
        }
    }
    Ok(())
}

fn in_etc(name: impl AsRef<str>) -> String {
    format!("etc/{}", name.as_ref())
}

fn open(upper: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    Ok(openat(AT_FDCWD, upper, flags, Mode::empty())?)
}

/// A directory in it. A process may have made a link of any of these.
fn below(upper: &OwnedFd, name: &str) -> Result<OwnedFd, Errno> {
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS);
    openat2(upper, name, how)
}

fn is_lower(lowers: &[PathBuf], name: &str) -> bool {
    lowers.iter().any(|lower| lower.join(name).symlink_metadata().is_ok())
}

fn is_empty_file(directory: &OwnedFd, name: &str) -> bool {
    let about = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    about.is_ok_and(|about| {
        about.st_size == 0 && about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFREG.bits()
    })
}

fn names(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::from_fd(directory.try_clone()?)?.iter() {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if !matches!(&*name, "." | "..") {
            names.push(name.into_owned());
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn folders() -> (tempfile::TempDir, PathBuf, Vec<PathBuf>) {
        let folder = tempfile::tempdir().unwrap();
        let (upper, lower) = (folder.path().join("upper"), folder.path().join("lower"));
        for path in [upper.join("etc"), upper.join("dev"), upper.join("sys"), lower.join("proc")] {
            fs::create_dir_all(path).unwrap();
        }
        (folder, upper, vec![lower])
    }

    #[test]
    fn what_was_made_to_be_mounted_on_is_found_and_removed() {
        let (_folder, upper, lowers) = folders();
        fs::create_dir(upper.join("proc")).unwrap(); // a lower layer has it too
        fs::write(upper.join("sys/own"), "").unwrap();
        fs::write(upper.join("etc/hosts"), "").unwrap();
        assert_eq!(find(&upper, &lowers).unwrap(), ["etc/hosts", "etc", "dev"]);
        fs::write(upper.join("etc/passwd"), "").unwrap();
        fs::write(upper.join("etc/hostname"), "mine").unwrap();
        assert_eq!(find(&upper, &lowers).unwrap(), ["etc/hosts", "dev"]);
        remove(&upper, &lowers).unwrap();
        for (name, is_there) in [
            ("etc/hosts", false),
            ("etc/hostname", true),
            ("etc/passwd", true),
            ("dev", false),
            ("sys/own", true),
            ("proc", true),
        ] {
            assert_eq!(upper.join(name).exists(), is_there, "{name}");
        }
    }

    #[test]
    fn no_link_of_the_container_is_followed() {
        let (folder, upper, lowers) = folders();
        let outside = folder.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("hosts"), "").unwrap();
        fs::remove_dir(upper.join("etc")).unwrap();
        symlink(&outside, upper.join("etc")).unwrap();
        assert_eq!(find(&upper, &lowers).unwrap(), ["dev", "sys"]);
        remove(&upper, &lowers).unwrap();
        assert!(outside.join("hosts").exists());
    }
}
