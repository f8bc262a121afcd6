//! A new tmpfs that begins with a copy of what the root has at its place (`tmpcopyup`): a container
//! with a read-only root finds its `/run` and `/var` as the image has them, and can write there.
//!
//! The launcher lists the directory; the child, in its own root and user namespace, makes each file
//! again. Whatever has become of the directory meanwhile, no link in it is followed.

mod original;

use std::{
    ffi::OsStr,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2, readlinkat},
    sys::stat::{Mode, SFlag, fstat, fstatat},
};

use original::Original;

use crate::{
    Error, Root, error,
    mount::Mount,
    plan::{Slot, SyscallPlan},
    spec::{self, power::IdMaps},
};

/// How many files are copied at most: each takes some steps of the plan, in memory.
const MOST: usize = 16 << 10;

/// The owners of copies, as the container sees them.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owners<'a> {
    /// Those that the launcher sees.
    Same,
    /// Those of a new user namespace; an owner that it does not have becomes its root.
    Mapped(&'a IdMaps),
    /// The namespace's ids are not known: all copies belong to its root.
    Root,
}

/// What is copied.
#[derive(Debug, Default)]
pub(crate) struct CopyUp {
    /// From the root to the leaves; the first one is the directory itself.
    files: Vec<Original>,
}

impl CopyUp {
    /// What the root has at the destination of mount `number`. A new file system that is mounted over
    /// it before has nothing there.
    pub(crate) fn of(
        inside: &spec::Inside,
        number: usize,
        owners: Owners<'_>,
    ) -> Result<Self, Error> {
        let Some(Mount { destination, .. }) = inside.mounts.get(number) else {
            return Ok(Self::default());
        };
        let refused = |why| Error::CopyUp { path: destination.clone(), why };
        let mut earlier = inside.mounts.iter().take(number);
        match earlier.rfind(|it| destination.starts_with(&it.destination) && !it.is_remount()) {
            Some(over) if over.is_bind() => {
                return Err(refused("a bind mount is over it; mount the tmpfs before that"));
            }
            Some(_) => return Ok(Self::default()),
            None => {}
        }
        let Root::Directory(root) = &inside.root else {
            return Err(refused("the root is not a directory of its own"));
        };
        let root = openat(AT_FDCWD, root, DIRECTORY, Mode::empty());
        let root = root.map_err(error::call("open the root"))?;
        let inside_root = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let top = match openat2(&root, destination, how(DIRECTORY, inside_root)) {
            Err(Errno::ENOENT) => return Ok(Self::default()),
            opened => opened.map_err(failed(destination))?,
        };
        let mut copied = Self::default();
        let about = fstat(&top).map_err(failed(destination))?;
        copied.files.push(Original::new(PathBuf::new(), &about, owners));
        let mut waiting = vec![PathBuf::new()];
        while let Some(directory) = waiting.pop() {
            copied.list(&top, &directory, owners, &mut waiting).map_err(failed(destination))?;
            if copied.files.len() > MOST {
                return Err(refused("it has more than 16384 files; use a volume instead"));
            }
        }
        Ok(copied)
    }

    /// Adds what is in one directory.
    fn list(
        &mut self,
        top: &OwnedFd,
        directory: &Path,
        owners: Owners<'_>,
        waiting: &mut Vec<PathBuf>,
    ) -> Result<(), Errno> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let below = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS;
        let relative = if directory == Path::new("") { Path::new(".") } else { directory };
        let opened = openat2(top, relative, how(flags, below))?;
        for found in Dir::from_fd(opened.try_clone().map_err(|_| Errno::EMFILE)?)?.iter() {
            let found = found?;
            let name = found.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || self.files.len() > MOST {
                continue;
            }
            let about = fstatat(&opened, name, AtFlags::AT_SYMLINK_NOFOLLOW)?;
            let name = Path::new(OsStr::from_bytes(name.to_bytes()));
            let mut original = Original::new(directory.join(name), &about, owners);
            match original.kind {
                SFlag::S_IFDIR => waiting.push(original.path.clone()),
                SFlag::S_IFLNK => original.target = readlinkat(opened.as_fd(), name)?.into(),
                SFlag::S_IFREG | SFlag::S_IFIFO => {}
                _ => continue,
            }
            self.files.push(original);
        }
        Ok(())
    }

    /// The steps that make it again in `to`, from the open directory `from`.
    pub(crate) fn fill(&self, plan: &mut SyscallPlan, from: Slot, to: Slot) -> Result<(), Error> {
        self.files.iter().try_for_each(|file| file.copy(plan, from, to))
    }
}

const DIRECTORY: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

fn how(flags: OFlag, resolve: ResolveFlag) -> OpenHow {
    OpenHow::new().flags(flags).resolve(resolve)
}

fn failed(path: &Path) -> impl Fn(Errno) -> Error {
    move |errno| error::file("list", path)(errno.into())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    fn listed(root: &Path, destination: &str) -> Result<Vec<String>, Error> {
        let mount = Mount {
            destination: destination.into(),
            kind: "tmpfs".into(),
            source: "tmpfs".into(),
            options: vec!["tmpcopyup".into()],
        };
        let mut inside = spec::Inside::bare();
        (inside.root, inside.mounts) = (Root::Directory(root.into()), vec![mount]);
        let copied = CopyUp::of(&inside, 0, Owners::Same)?;
        let mut all: Vec<String> =
            copied.files.iter().map(|file| file.path.display().to_string()).collect();
        all.sort();
        Ok(all)
    }

    #[test]
    fn the_list_stays_within_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        fs::create_dir_all(root.join("run/deep")).unwrap();
        fs::write(folder.path().join("secret"), "secret").unwrap();
        fs::write(root.join("run/deep/file"), "x").unwrap();
        symlink(folder.path(), root.join("run/out")).unwrap();
        symlink("/run", root.join("link")).unwrap();
        symlink(folder.path(), root.join("outside")).unwrap();
        let expected = ["", "deep", "deep/file", "out"];
        assert_eq!(listed(&root, "/run").unwrap(), expected);
        assert_eq!(listed(&root, "/link").unwrap(), expected);
        assert_eq!(listed(&root, "/outside").unwrap(), [""; 0]);
        assert_eq!(listed(&root, "/missing").unwrap(), [""; 0]);
    }
}
