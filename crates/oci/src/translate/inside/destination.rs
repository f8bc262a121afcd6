//! Where a mount goes if a symbolic link of the root leads to what is not there yet: `/var/run` of an
//! image without `/run`. The missing directories are made, as other runtimes do.

use std::{
    collections::VecDeque,
    ffi::OsString,
    os::fd::OwnedFd,
    path::{Component, Path, PathBuf},
};

use container::{Mount, without_steps_up};
use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat},
    sys::stat::Mode,
};

/// How many links are followed (path_resolution(7)).
const LINKS: usize = 40;

/// `destination` as a path from the root, without `..`. If it leads through a link to something that is
/// missing, it is the place that is missing. This names a place only: the path is looked up again when
/// something is mounted there, and by then in the container's own root.
///
/// What is below one of `others`, the mounts before it, is not the root's, and stays as it is.
pub(super) fn within(root: Option<&OwnedFd>, others: &[Mount], destination: &Path) -> PathBuf {
    let destination = without_steps_up(destination);
    let Some(root) = root else { return destination };
    if others.iter().any(|other| destination.starts_with(&other.destination)) {
        return destination;
    }
    match open(root, &destination) {
        Err(Errno::ENOENT) => resolved(root, &destination).unwrap_or(destination),
        _ => destination,
    }
}

/// The root, to look up destinations in it.
pub(super) fn root(path: &Path) -> Option<OwnedFd> {
    openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok()
}

fn open(root: &OwnedFd, path: &Path) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    openat2(root, path, OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve))
}

/// Follows each link by its text; `None` if there are too many.
fn resolved(root: &OwnedFd, path: &Path) -> Option<PathBuf> {
    let mut found = PathBuf::from("/");
    let mut rest: VecDeque<OsString> = names(path);
    let mut links = 0;
    while let Some(name) = rest.pop_front() {
        if name == ".." {
            found.pop();
            continue;
        }
        let link = open(root, &found).and_then(|parent| readlinkat(parent, &*name));
        let Ok(target) = link else {
            found.push(name);
            continue;
        };
        links += 1;
        if links > LINKS {
            return None;
        }
        let target = PathBuf::from(target);
        if target.is_absolute() {
            found = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            rest.push_front(name);
        }
    }
    Some(found)
}

fn names(path: &Path) -> VecDeque<OsString> {
    let name = |part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    };
    path.components().filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn a_link_to_what_is_missing_leads_within_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("var")).unwrap();
        fs::create_dir_all(root.join("there")).unwrap();
        symlink("/run", root.join("var/run")).unwrap();
        symlink("../../../..", root.join("up")).unwrap();
        symlink("/there", root.join("link")).unwrap();
        symlink("loop", root.join("loop")).unwrap();
        symlink(folder.path(), root.join("out")).unwrap();
        let outside = folder.path().join("x");
        for (given, expected) in [
            ("/var/run/secrets", Path::new("/run/secrets")),
            ("/up/x/../y", Path::new("/y")),
            ("/link", Path::new("/link")),
            ("/loop/x", Path::new("/loop/x")),
            // The same words, but below the root.
            ("/out/x", &*outside),
            ("new/../other", Path::new("/other")),
        ] {
            let opened = super::root(&root);
            assert_eq!(within(opened.as_ref(), &[], Path::new(given)), expected, "{given}");
        }
    }

    #[test]
    fn a_link_that_another_mount_covers_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("dev")).unwrap();
        symlink("/elsewhere", folder.path().join("dev/link")).unwrap();
        let root = root(folder.path());
        let given = Path::new("/dev/link/x");
        let cover = Mount {
            destination: "/dev".into(),
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            options: Vec::new(),
        };
        assert_eq!(within(root.as_ref(), &[], given), Path::new("/elsewhere/x"));
        assert_eq!(within(root.as_ref(), &[cover], given), given);
    }
}
