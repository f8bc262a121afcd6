//! What only root can change: what root may build and run.
//!
//! A path is walked from `/` by descriptors, each of its directories looked at before the next one
//! is opened in it; of a tree all that is in it. Where every directory is root's alone, nobody else
//! can put another file in the place of one that was looked at.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, open, openat, readlinkat, statat},
    io::Errno,
};

/// As many links the kernel follows, too (path_resolution(7)).
const MOST_LINKS: u32 = 40;
const WRITE_OF_OTHERS: u32 = 0o022;
const STICKY: u32 = 0o1000;

/// Why a path is not root's alone.
#[derive(Debug)]
pub struct Doubt {
    /// What was looked at.
    pub path: PathBuf,
    /// What is wrong with it.
    pub why: Why,
}

/// What is wrong with it.
#[derive(Debug)]
pub enum Why {
    /// It is another user's.
    Owner(u32),
    /// Its group, or everybody, may write to it.
    Mode(u32),
    /// It leads elsewhere.
    Link,
    /// It could not be looked at.
    Unseen(io::Error),
}

/// Whether root alone can change what `path` leads to, and where it leads.
pub(crate) fn path(path: &Path) -> Result<OwnedFd, Doubt> {
    let mut walk = Walk::from_root()?;
    walk.along(path, &mut 0)?;
    // A directory in which everybody may write is one to pass through, not to use.
    let own = fstat(walk.here()).map_err(unseen(path))?;
    sole(&own, path, false)?;
    Ok(walk.opened.pop().expect("a walk has the root at least"))
}

/// Whether root alone can change what the path leads to, or put something there.
pub(crate) fn may_hold(it: &Path) -> bool {
    let is_absent = |doubt: &Doubt| matches!(&doubt.why, Why::Unseen(error) if error.kind() == io::ErrorKind::NotFound);
    for folder in it.ancestors() {
        match path(folder) {
            Err(doubt) if is_absent(&doubt) => {}
            seen => return seen.is_ok(),
        }
    }
    false
}

/// Whether root alone can change the directory, all that is in it and the way to it.
pub(crate) fn tree(root: &Path) -> Result<(), Doubt> {
    below(path(root)?.as_fd(), root)
}

fn below(directory: BorrowedFd<'_>, path: &Path) -> Result<(), Doubt> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = openat(directory, ".", flags, Mode::empty()).map_err(unseen(path))?;
    for entry in Dir::read_from(&directory).map_err(unseen(path))? {
        let entry = entry.map_err(unseen(path))?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let path = path.join(OsStr::from_bytes(name.to_bytes()));
        let found = match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Gone since it was listed.
            Err(Errno::NOENT) => continue,
            found => found.map_err(unseen(&path))?,
        };
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind != FileType::Socket {
            sole(&found, &path, false)?;
        }
        match kind {
            FileType::Symlink => return Err(Doubt { path, why: Why::Link }),
            FileType::Directory => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let inner = openat(&directory, name, flags, Mode::empty());
                below(inner.map_err(unseen(&path))?.as_fd(), &path)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The directories that were opened on the way, from `/` on.
struct Walk {
    opened: Vec<OwnedFd>,
}

impl Walk {
    fn from_root() -> Result<Self, Doubt> {
        let root = Path::new("/");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { opened: vec![open(root, flags, Mode::empty()).map_err(unseen(root))?] })
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.opened.last().expect("the root is never left").as_fd()
    }

    fn along(&mut self, path: &Path, links: &mut u32) -> Result<(), Doubt> {
        for component in path.components() {
            match component {
                Component::RootDir => self.opened.truncate(1),
                Component::ParentDir if self.opened.len() > 1 => drop(self.opened.pop()),
                Component::Normal(name) => self.step(name, path, links)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn step(&mut self, name: &OsStr, path: &Path, links: &mut u32) -> Result<(), Doubt> {
        let directory = fstat(self.here()).map_err(unseen(path))?;
        sole(&directory, path, true)?;
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let next = openat(self.here(), name, flags, Mode::empty()).map_err(unseen(path))?;
        let found = fstat(&next).map_err(unseen(path))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            sole(&found, path, true)?;
            self.opened.push(next);
            return Ok(());
        }
        sole(&found, path, true)?;
        *links += 1;
        if *links > MOST_LINKS {
            return Err(unseen(path)(Errno::LOOP));
        }
        let target = readlinkat(&next, "", Vec::new()).map_err(unseen(path))?;
        self.along(Path::new(&OsString::from_vec(target.into_bytes())), links)
    }
}

/// Whether it is root's, and nobody else may write to it. In a directory to `pass` where each may
/// remove only what is theirs, as /tmp is, what is root's stays.
fn sole(found: &Stat, path: &Path, pass: bool) -> Result<(), Doubt> {
    let doubt = |why| Err(Doubt { path: path.to_owned(), why });
    if found.st_uid != 0 {
        return doubt(Why::Owner(found.st_uid));
    }
    let kind = FileType::from_raw_mode(found.st_mode);
    // Everybody may do everything to a link, says its mode, and that means nothing.
    let writable = kind != FileType::Symlink && found.st_mode & WRITE_OF_OTHERS != 0;
    let sticky = kind == FileType::Directory && found.st_mode & STICKY != 0;
    match writable && !(pass && sticky) {
        true => doubt(Why::Mode(found.st_mode & 0o7777)),
        false => Ok(()),
    }
}

fn unseen<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> Doubt {
    let path = path.to_owned();
    move |error| Doubt { path, why: Why::Unseen(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, chown, symlink},
    };

    /// A tree of root's, or why there can be none.
    fn of_root() -> Option<tempfile::TempDir> {
        if !nix::unistd::Uid::effective().is_root() {
            eprintln!("skipped: only root has what root alone can change");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("tree/labs")).unwrap();
        for name in ["tree", "tree/labs"] {
            let mode = fs::Permissions::from_mode(0o755);
            fs::set_permissions(folder.path().join(name), mode).unwrap();
        }
        fs::write(folder.path().join("tree/labs/file"), "").unwrap();
        fs::set_permissions(folder.path().join("tree/labs/file"), PermissionsExt::from_mode(0o644))
            .unwrap();
        Some(folder)
    }

    #[test]
    fn what_another_user_can_change_is_named() {
        let Some(folder) = of_root() else { return };
        let (root, file) = (folder.path().join("tree"), folder.path().join("tree/labs/file"));
        tree(&root).unwrap();
        fs::set_permissions(&file, PermissionsExt::from_mode(0o664)).unwrap();
        let doubt = tree(&root).unwrap_err();
        assert!(matches!(doubt.why, Why::Mode(0o664)) && doubt.path == file, "{doubt:?}");
        fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
        chown(&file, Some(65534), None).unwrap();
        let doubt = tree(&root).unwrap_err();
        assert!(matches!(doubt.why, Why::Owner(65534)) && doubt.path == file, "{doubt:?}");
        fs::remove_file(&file).unwrap();
        symlink("/etc/passwd", &file).unwrap();
        assert!(matches!(tree(&root).unwrap_err().why, Why::Link));
        fs::remove_file(&file).unwrap();
        tree(&root).unwrap();
        assert!(may_hold(&file) && !may_hold(&std::env::temp_dir().join("isolab-absent")));
        // The way there counts too.
        chown(folder.path(), Some(65534), None).unwrap();
        assert!(matches!(tree(&root).unwrap_err().why, Why::Owner(65534)));
        chown(folder.path(), Some(0), None).unwrap();
    }

    #[test]
    fn a_link_of_roots_is_followed_and_one_of_somebody_else_is_not() {
        let Some(folder) = of_root() else { return };
        let (file, link) = (folder.path().join("tree/labs/file"), folder.path().join("link"));
        symlink("tree/../tree/labs/file", &link).unwrap();
        path(&link).unwrap();
        fs::remove_file(&link).unwrap();
        symlink("link", &link).unwrap();
        assert!(matches!(path(&link).unwrap_err().why, Why::Unseen(_)));
        let other = std::env::temp_dir().join(format!("isolab-trust-{}", std::process::id()));
        symlink(&file, &other).unwrap();
        path(&other).unwrap();
        std::os::unix::fs::lchown(&other, Some(65534), None).unwrap();
        assert!(matches!(path(&other).unwrap_err().why, Why::Owner(65534)));
        fs::remove_file(&other).unwrap();
        // A directory for everybody's files is no place for root's.
        assert!(matches!(path(Path::new("/tmp")).unwrap_err().why, Why::Mode(_)));
    }
}
