//! What an overlay of layers shows, read without mounting it, and without following a link that
//! leads out.
//!
//! The symbolic links of an image, and of a build's context, are untrusted. So a path is walked
//! here, one name at a time, from descriptor to descriptor, in all layers at once:
//!
//! ```text
//!   path      upper          lower 1              lower 2
//!   etc       directory      -                    directory       both are searched
//!   passwd    -                                   link to ../b    its text is walked, in all layers
//!   b         whiteout                            file            there is no such file
//! ```
//!
//! The kernel gets only single names, and never follows a link (`O_NOFOLLOW`); `..` of the root is
//! the root. The container crate reads the users of a root in the same way.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::{OsStrExt as _, OsStringExt as _},
    },
    path::{Path, PathBuf},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat, readlinkat},
    sys::stat::{FileStat, Mode, SFlag, fstat},
};

/// As many links as the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Longer than any path that the kernel takes (`PATH_MAX`).
const MOST_NAMES: usize = 4096;

/// The layers of a root, or one directory.
#[derive(Debug)]
pub struct View(Directory);

/// The directories of one name that overlayfs merges, the uppermost first; at least one, but for a
/// root of no layers.
#[derive(Debug)]
pub struct Directory(Vec<OwnedFd>);

/// What has a name.
#[derive(Debug)]
pub enum Node {
    /// A directory, with the status of the uppermost.
    Directory(Directory, FileStat),
    /// Anything else (`O_PATH`).
    Other(OwnedFd, FileStat),
}

/// Where a path leads, whether there is something or not.
#[derive(Debug)]
pub struct Located {
    /// The names from the root, with all links followed.
    pub names: Vec<OsString>,
    /// What is there.
    pub node: Option<Node>,
}

impl View {
    /// The view of these directories, the uppermost first.
    ///
    /// # Errors
    ///
    /// When one of them cannot be opened.
    pub fn of(layers: &[PathBuf]) -> io::Result<Self> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let open = |layer: &PathBuf| openat(AT_FDCWD, layer.as_path(), flags, Mode::empty());
        let layers = layers.iter().map(open).collect::<Result<Vec<_>, _>>()?;
        Ok(Self(Directory(layers)))
    }

    /// The root directory.
    #[must_use]
    pub fn root(&self) -> &Directory {
        &self.0
    }

    /// Follows `path` and all links in it.
    ///
    /// # Errors
    ///
    /// When a file stands where a directory should, the links go in a circle, or the kernel fails.
    pub fn locate(&self, path: &OsStr) -> io::Result<Located> {
        Ok(self.walk(path)?)
    }

    fn walk(&self, path: &OsStr) -> Result<Located, Errno> {
        let mut left = VecDeque::new();
        push_front(&mut left, path);
        // The names so far, each with its directory; none where nothing is.
        let mut above: Vec<(OsString, Option<(Directory, FileStat)>)> = Vec::new();
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            match name.as_bytes() {
                b"" | b"." => continue,
                b".." => {
                    above.pop();
                    continue;
                }
                _ => {}
            }
            let parent = match above.last() {
                None => Some(&self.0),
                Some((_, found)) => found.as_ref().map(|(directory, _)| directory),
            };
            let found = match parent {
                Some(directory) => directory.look_up(&name)?,
                None => None,
            };
            match found {
                None => above.push((name, None)),
                Some(Node::Directory(directory, stat)) => {
                    above.push((name, Some((directory, stat))));
                }
                Some(Node::Other(found, stat)) if kind(&stat) == SFlag::S_IFLNK => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::ELOOP);
                    }
                    let target = readlinkat(&found, "")?;
                    if target.as_bytes().starts_with(b"/") {
                        above.clear();
                    }
                    push_front(&mut left, &target);
                }
                Some(other) if left.iter().all(|name| name.is_empty()) => {
                    let names = above.into_iter().map(|(name, _)| name).chain([name]).collect();
                    return Ok(Located { names, node: Some(other) });
                }
                Some(Node::Other(..)) => return Err(Errno::ENOTDIR),
            }
            if above.len() + left.len() > MOST_NAMES {
                return Err(Errno::ENAMETOOLONG);
            }
        }
        let names = above.iter().map(|(name, _)| name.clone()).collect();
        let node = match above.pop() {
            Some((_, found)) => found.map(|(directory, stat)| Node::Directory(directory, stat)),
            None => self.0.itself()?,
        };
        Ok(Located { names, node })
    }

    /// The content of the regular file at `path`; empty if there is none.
    ///
    /// # Errors
    ///
    /// When it is something else, or larger than `most` bytes, or cannot be read.
    pub fn read_small(&self, path: &str, most: u64) -> io::Result<Vec<u8>> {
        let (found, stat) = match self.locate(OsStr::new(path))?.node {
            None => return Ok(Vec::new()),
            Some(Node::Directory(..)) => return Err(io::ErrorKind::IsADirectory.into()),
            Some(Node::Other(found, stat)) => (found, stat),
        };
        let mut content = Vec::new();
        open_regular(&found, &stat)?.take(most + 1).read_to_end(&mut content)?;
        match content.len() as u64 > most {
            true => Err(io::Error::other(format!("it has more than {most} bytes"))),
            false => Ok(content),
        }
    }
}

/// Opens a regular file for reading, after it is known to be one: opening a device can have side
/// effects.
///
/// # Errors
///
/// When it is not a regular file, or cannot be opened.
pub fn open_regular(found: &OwnedFd, stat: &FileStat) -> io::Result<File> {
    if kind(stat) != SFlag::S_IFREG {
        return Err(io::Error::other("it is not a regular file"));
    }
    File::open(itself(found))
}

/// The text of a symbolic link.
///
/// # Errors
///
/// When it is not one.
pub fn link_text(found: &OwnedFd) -> io::Result<OsString> {
    Ok(readlinkat(found, "")?)
}

/// What kind of file a status is of.
#[must_use]
pub fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

impl Directory {
    /// An empty directory.
    #[must_use]
    pub fn empty() -> Self {
        Self(Vec::new())
    }

    /// The topmost entry of that name, with all directories that overlayfs merges with it.
    ///
    /// # Errors
    ///
    /// When the kernel fails, other than by not finding it.
    pub fn look_up(&self, name: &OsStr) -> Result<Option<Node>, Errno> {
        let mut merged = Vec::new();
        let mut first = None;
        for layer in &self.0 {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let found = match openat(layer, name, flags, Mode::empty()) {
                Err(Errno::ENOENT) => continue,
                found => found?,
            };
            let stat = fstat(&found)?;
            match kind(&stat) {
                SFlag::S_IFDIR => {
                    let hides = is_opaque(&found);
                    first.get_or_insert(stat);
                    merged.push(found);
                    if hides {
                        break;
                    }
                }
                // A whiteout, or a file below a directory: all further ones are hidden by it.
                _ if is_whiteout(&stat) || !merged.is_empty() => break,
                _ => return Ok(Some(Node::Other(found, stat))),
            }
        }
        Ok(first.map(|stat| Node::Directory(Self(merged), stat)))
    }

    /// The names in it, sorted, with what has them.
    ///
    /// # Errors
    ///
    /// When one of the directories cannot be read.
    pub fn entries(&self) -> io::Result<BTreeMap<OsString, Node>> {
        let mut entries = BTreeMap::new();
        for name in self.names()? {
            if let Some(node) = self.look_up(&name)? {
                entries.insert(name, node);
            }
        }
        Ok(entries)
    }

    /// The names in it, sorted; of some there may be nothing to see.
    pub(crate) fn names(&self) -> io::Result<BTreeSet<OsString>> {
        let mut names = BTreeSet::new();
        for layer in &self.0 {
            names.extend(names_of(layer)?);
        }
        Ok(names)
    }

    /// The uppermost of the directories that are merged; none of a root of no layers.
    pub(crate) fn uppermost(&self) -> Option<&OwnedFd> {
        self.0.first()
    }

    fn itself(&self) -> Result<Option<Node>, Errno> {
        let Some(uppermost) = self.0.first() else { return Ok(None) };
        let stat = fstat(uppermost)?;
        let again = |fd: &OwnedFd| fd.try_clone().map_err(|_| Errno::EMFILE);
        let all = self.0.iter().map(again).collect::<Result<Vec<_>, _>>()?;
        Ok(Some(Node::Directory(Self(all), stat)))
    }
}

fn names_of(directory: &OwnedFd) -> io::Result<BTreeSet<OsString>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let readable = openat(directory, ".", flags, Mode::empty())?;
    let mut names = BTreeSet::new();
    for entry in Dir::from_fd(readable)?.iter() {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.insert(OsString::from_vec(name));
        }
    }
    Ok(names)
}

/// Inserts the names of a path before the remaining ones.
fn push_front(names: &mut VecDeque<OsString>, path: &OsStr) {
    for name in path.as_bytes().rsplit(|byte| *byte == b'/') {
        names.push_front(OsStr::from_bytes(name).to_owned());
    }
}

fn is_whiteout(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// Whether this directory is opaque: it hides those of the layers below (kernel:
/// filesystems/overlayfs.rst, "whiteouts and opaque directories").
fn is_opaque(directory: &OwnedFd) -> bool {
    let path = itself(directory).join(".");
    ["trusted.overlay.opaque", "user.overlay.opaque"].iter().any(|name| {
        let mut value = [0; 8];
        matches!(rustix::fs::getxattr(&path, *name, &mut value[..]), Ok(1) if value[0] == b'y')
    })
}

/// A path to an open file of this process, even if its name has changed.
fn itself(found: &OwnedFd) -> PathBuf {
    Path::new("/proc/self/fd").join(found.as_raw_fd().to_string())
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use nix::{sys::stat::mknod, unistd::mkfifo};
    use tempfile::TempDir;

    use super::*;

    /// A directory with these entries: a path that ends in `/`, `path=content`, `path -> target`,
    /// or `path!`, a whiteout.
    fn folder(entries: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for entry in entries {
            let end = entry.find([' ', '=', '!']).unwrap_or(entry.len());
            let path = folder.path().join(&entry[..end]);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match &entry[end..] {
                "!" => mknod(&path, SFlag::S_IFCHR, Mode::empty(), 0).unwrap(),
                "" => fs::create_dir_all(path).unwrap(),
                rest => match rest.strip_prefix(" -> ") {
                    Some(target) => symlink(target, path).unwrap(),
                    None => fs::write(path, &rest[1..]).unwrap(),
                },
            }
        }
        folder
    }

    fn view(folders: &[&TempDir]) -> View {
        let paths: Vec<PathBuf> = folders.iter().map(|folder| folder.path().to_owned()).collect();
        View::of(&paths).unwrap()
    }

    fn read(folders: &[&TempDir], path: &str) -> String {
        String::from_utf8(view(folders).read_small(path, 100).unwrap()).unwrap()
    }

    fn names(located: &Located) -> String {
        let names: Vec<_> = located.names.iter().map(|name| name.to_str().unwrap()).collect();
        names.join("/")
    }

    #[test]
    fn a_link_leads_nowhere_out() {
        let secret = folder(&["secret=outside"]);
        let outside = secret.path().join("secret").display().to_string();
        let up = format!("{}{outside}", "../".repeat(30));
        let open = File::open(&outside).unwrap();
        let magic = format!("/proc/self/fd/{}", open.as_raw_fd());
        for target in [&outside, &up, &magic, "/proc/1/root/etc/passwd"] {
            let root = folder(&["etc/", &format!("etc/passwd -> {target}")]);
            assert_eq!(read(&[&root], "/etc/passwd"), "", "{target}");
        }
        // As if procfs were mounted in it: its links are their texts.
        let host = View::of(&[PathBuf::from("/")]).unwrap();
        assert_eq!(host.read_small(&magic, 100).unwrap(), b"outside");
        let proc = View::of(&[PathBuf::from("/proc")]).unwrap();
        assert!(proc.locate(OsStr::new(&magic[5..])).unwrap().node.is_none());
    }

    #[test]
    fn layers_are_merged_as_overlayfs_does() {
        let upper =
            folder(&["etc/passwd=upper", "etc/link -> /usr/far", "file=x", "gone!", "dir/a!"]);
        let lower = folder(&[
            "etc/passwd=lower",
            "etc/group=lower",
            "usr/far=far",
            "file/a=x",
            "gone/a=x",
            "dir/a=1",
            "dir/b=2",
        ]);
        let both = [&upper, &lower];
        assert_eq!(read(&both, "/etc/passwd"), "upper");
        assert_eq!(read(&both, "/etc/group"), "lower");
        assert_eq!(read(&both, "/etc/link"), "far");
        assert_eq!(read(&both, "/gone/a"), "");
        let error = view(&both).locate(OsStr::new("file/a")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(nix::libc::ENOTDIR));
        let entries = view(&both).root().entries().unwrap();
        assert_eq!(entries.keys().collect::<Vec<_>>(), ["dir", "etc", "file", "usr"]);
        let Some(Node::Directory(dir, _)) = entries.get(OsStr::new("dir")) else { panic!("dir") };
        assert_eq!(dir.entries().unwrap().keys().collect::<Vec<_>>(), ["b"]);
    }

    #[test]
    fn an_opaque_directory_hides_what_is_below() {
        let upper = folder(&["etc/group=upper"]);
        let lower = folder(&["etc/passwd=lower"]);
        let flags = rustix::fs::XattrFlags::empty();
        let set =
            rustix::fs::setxattr(upper.path().join("etc"), "user.overlay.opaque", b"y", flags);
        if set.is_err() {
            return println!("skipped: {} has no attributes of users", upper.path().display());
        }
        assert_eq!(read(&[&upper, &lower], "/etc/passwd"), "");
        let etc = view(&[&upper, &lower]).locate(OsStr::new("etc")).unwrap();
        let Some(Node::Directory(etc, _)) = etc.node else { panic!("etc") };
        assert_eq!(etc.entries().unwrap().keys().collect::<Vec<_>>(), ["group"]);
    }

    #[test]
    fn where_nothing_is_the_path_is_known_all_the_same() {
        let root = folder(&["bin -> usr/bin", "usr/", "a -> /b/./c", "up -> ../../../x"]);
        let view = view(&[&root]);
        for (path, names_there) in [
            ("/bin/new/file", "usr/bin/new/file"),
            ("a/d", "b/c/d"),
            ("up", "x"),
            ("../usr/../new", "new"),
            ("/", ""),
        ] {
            let located = view.locate(OsStr::new(path)).unwrap();
            assert_eq!(names(&located), names_there, "{path}");
        }
        let nothing = View::of(&[]).unwrap().locate(OsStr::new("/a/b")).unwrap();
        assert!(names(&nothing) == "a/b" && nothing.node.is_none());
    }

    #[test]
    fn circles_devices_and_large_files_are_refused() {
        let root = folder(&["a -> b", "b -> a", "large="]);
        mkfifo(&root.path().join("pipe"), Mode::S_IRWXU).unwrap();
        File::create(root.path().join("large")).unwrap().set_len(1 << 40).unwrap();
        for (path, message) in
            [("a", "symbolic links"), ("pipe", "regular"), ("large", "more than")]
        {
            let error = view(&[&root]).read_small(path, 100).unwrap_err();
            assert!(error.to_string().contains(message), "{path}: {error}");
        }
    }
}
