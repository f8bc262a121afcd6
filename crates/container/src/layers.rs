//! Reads a small file of a root before the container exists: as the container will see it, and
//! without following links that lead out.
//!
//! A root may be a stack of directories, of which overlayfs shows the topmost entry of each name,
//! and its symbolic links are untrusted. So the path is walked here, one name at a time, from
//! descriptor to descriptor, in all layers at once:
//!
//! ```text
//!   path      upper          lower 1              lower 2
//!   etc       directory      -                    directory       both are searched
//!   passwd    -                                   link to ../b    its text is walked, in all layers
//!   b         whiteout                            file            there is no such file
//! ```
//!
//! The kernel gets only single names, and never follows a link (`O_NOFOLLOW`): a link of procfs is
//! just its text, like any other, and `..` of the root is the root. Directories that overlayfs has
//! renamed (`redirect_dir`) are not supported.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read as _},
    os::{
        fd::{AsRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, OFlag, openat, readlinkat},
    sys::stat::{FileStat, Mode, SFlag, fstat},
};

use crate::{
    Error,
    error::file,
    layer,
    spec::root::{Root, Upper},
};

/// As many links as the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Larger than any file of users; a larger file is refused.
const MOST_BYTES: u64 = 1 << 20;

/// The directories of a root, the topmost first.
pub(crate) struct Layers(Vec<OwnedFd>);

/// What a name resolves to.
enum LayerEntry {
    /// The directories of that name that overlayfs merges.
    Directories(Vec<OwnedFd>),
    /// Anything else (`O_PATH`), with its status.
    Other(OwnedFd, FileStat),
}

impl Layers {
    /// The layers of `root`; none if it is empty.
    pub(crate) fn of(root: &Root) -> Result<Self, Error> {
        let open = |path: &Path| directory(path).map_err(|errno| file("open", path)(errno.into()));
        let host = Path::new("/");
        let layers = match root {
            Root::Host => vec![open(host)?],
            Root::Empty => Vec::new(),
            Root::Directory(path) => vec![open(path)?],
            Root::Overlay { lowers, upper } => {
                let kept = match upper {
                    Upper::Kept(kept) => upper_of(kept)?,
                    Upper::ThrowAway => None,
                };
                let lowers =
                    lowers.iter().map(|lower| open(lower)).collect::<Result<Vec<_>, _>>()?;
                kept.into_iter().chain(lowers).collect()
            }
        };
        Ok(Self(layers))
    }

    /// The content of the file `path`; empty if there is none.
    ///
    /// # Errors
    ///
    /// When it is not a regular file, or more than a mebibyte of it, or it cannot be read.
    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, Error> {
        let failed = |source| file("read, in the root of the container,", path)(source);
        let (found, stat) = match self.walk(Path::new(path)) {
            Ok(Some(LayerEntry::Other(found, stat))) => (found, stat),
            Ok(Some(LayerEntry::Directories(_))) => {
                return Err(failed(io::ErrorKind::IsADirectory.into()));
            }
            Ok(None) => return Ok(Vec::new()),
            Err(errno) => return Err(failed(errno.into())),
        };
        read_regular(&found, &stat).map_err(failed)
    }

    fn walk(&self, path: &Path) -> Result<Option<LayerEntry>, Errno> {
        let mut names = VecDeque::new();
        push_front(&mut names, path.as_os_str());
        // The directories from the root to the current one.
        let mut above: Vec<Vec<OwnedFd>> = Vec::new();
        let mut links = 0;
        while let Some(name) = names.pop_front() {
            match name.as_bytes() {
                b"" | b"." => continue,
                b".." => {
                    above.pop();
                    continue;
                }
                _ => {}
            }
            match look_up(above.last().unwrap_or(&self.0), &name)? {
                None => return Ok(None),
                Some(LayerEntry::Directories(found)) => above.push(found),
                Some(LayerEntry::Other(found, stat)) if kind(&stat) == SFlag::S_IFLNK => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(Errno::ELOOP);
                    }
                    let target = readlinkat(&found, "")?;
                    if target.as_bytes().starts_with(b"/") {
                        above.clear();
                    }
                    push_front(&mut names, &target);
                }
                Some(other) if names.is_empty() => return Ok(Some(other)),
                Some(_) => return Ok(None), // a file is not a directory
            }
        }
        Ok(above.pop().map(LayerEntry::Directories))
    }
}

/// Inserts the names of a path before the remaining ones.
fn push_front(names: &mut VecDeque<OsString>, path: &OsStr) {
    for name in path.as_bytes().rsplit(|byte| *byte == b'/') {
        names.push_front(OsStr::from_bytes(name).to_owned());
    }
}

/// The topmost entry of that name, with all directories that overlayfs merges with it.
fn look_up(layers: &[OwnedFd], name: &OsStr) -> Result<Option<LayerEntry>, Errno> {
    let mut merged = Vec::new();
    for layer in layers {
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let found = match openat(layer, name, flags, Mode::empty()) {
            Err(Errno::ENOENT) => continue,
            found => found?,
        };
        let stat = fstat(&found)?;
        match kind(&stat) {
            SFlag::S_IFDIR => {
                let hides = is_opaque(&found);
                merged.push(found);
                if hides {
                    break;
                }
            }
            // A whiteout, or a file below a directory: all further ones are hidden by it.
            _ if is_whiteout(&stat) || !merged.is_empty() => break,
            _ => return Ok(Some(LayerEntry::Other(found, stat))),
        }
    }
    Ok((!merged.is_empty()).then_some(LayerEntry::Directories(merged)))
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

fn is_whiteout(stat: &FileStat) -> bool {
    kind(stat) == SFlag::S_IFCHR && stat.st_rdev == 0
}

/// Whether this directory is opaque: it hides those of the layers below.
fn is_opaque(directory: &OwnedFd) -> bool {
    layer::opaque_mark(&itself(directory).join(".")).is_some()
}

/// A path to an open file of this process, even if its name has changed.
fn itself(found: &OwnedFd) -> std::path::PathBuf {
    Path::new("/proc/self/fd").join(found.as_raw_fd().to_string())
}

/// Opens it for reading only after it is known to be a regular file: opening a device can have side
/// effects.
fn read_regular(found: &OwnedFd, stat: &FileStat) -> io::Result<Vec<u8>> {
    if kind(stat) != SFlag::S_IFREG {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut content = Vec::new();
    File::open(itself(found))?.take(MOST_BYTES + 1).read_to_end(&mut content)?;
    match content.len() as u64 {
        0..=MOST_BYTES => Ok(content),
        _ => Err(io::Error::other("it has more than 1 MiB")),
    }
}

fn directory(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    openat(AT_FDCWD, path, flags, Mode::empty())
}

/// The upper layer in the directory `kept`, if it was used before; never a symbolic link.
fn upper_of(kept: &Path) -> Result<Option<OwnedFd>, Error> {
    let failed = |errno: Errno| file("open", kept.join("upper"))(errno.into());
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let kept = match directory(kept) {
        Err(Errno::ENOENT) => return Ok(None),
        kept => kept.map_err(failed)?,
    };
    match openat(&kept, "upper", flags, Mode::empty()) {
        Err(Errno::ENOENT) => Ok(None),
        upper => upper.map(Some).map_err(failed),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use nix::{sys::stat::mknod, unistd::mkfifo};
    use tempfile::TempDir;

    use super::*;

    /// Directories with these entries: a path that ends in `/`, `path=content` or `path -> target`.
    fn folder(entries: &[&str]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        for entry in entries {
            let end = entry.find([' ', '=']).unwrap_or(entry.len());
            let path = folder.path().join(&entry[..end]);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match entry[end..].strip_prefix(" -> ") {
                Some(target) => symlink(target, path).unwrap(),
                None if end == entry.len() => fs::create_dir_all(path).unwrap(),
                None => fs::write(path, &entry[end + 1..]).unwrap(),
            }
        }
        folder
    }

    fn read_of(folders: &[&TempDir], path: &str) -> Result<String, String> {
        let lowers = folders.iter().map(|folder| folder.path().to_owned()).collect();
        let layers = Layers::of(&Root::Overlay { lowers, upper: Upper::ThrowAway }).unwrap();
        let text = layers.read(path).map(|text| String::from_utf8(text).unwrap());
        text.map_err(|error| sandbox::chain(&sandbox::Error::from(error)))
    }

    fn passwd_of(folder: &TempDir) -> Result<String, String> {
        read_of(&[folder], "/etc/passwd")
    }

    #[test]
    fn a_link_leads_nowhere_out_of_the_root() {
        let secret = folder(&["secret=outside", "etc/secret=outside"]);
        let outside = secret.path().join("secret");
        let up = format!("{}{}", "../".repeat(30), outside.display());
        // Open here, with a number that a link of procfs could name.
        let open = File::open(&outside).unwrap();
        let number = open.as_raw_fd();
        for target in [
            outside.display().to_string(),
            up,
            "/etc/shadow".into(),
            format!("/proc/self/fd/{number}"),
            format!("/proc/{}/root{}", std::process::id(), outside.display()),
            "/proc/1/root/etc/passwd".into(),
            "/dev/stdin".into(),
        ] {
            let root = folder(&["etc/", &format!("etc/passwd -> {target}")]);
            assert_eq!(passwd_of(&root).as_deref(), Ok(""), "{target}");
        }
        let root = folder(&[&format!("etc -> {}", secret.path().join("etc").display())]);
        assert_eq!(read_of(&[&root], "/etc/secret").as_deref(), Ok(""));
    }

    #[test]
    fn a_link_of_procfs_is_its_text() {
        let secret = folder(&["secret=outside"]);
        let open = File::open(secret.path().join("secret")).unwrap();
        let fd = format!("/self/fd/{}", open.as_raw_fd());
        // As if procfs were mounted in the root: its own links say where they lead, and that is
        // looked for in the root.
        let layers = Layers(vec![directory(Path::new("/proc")).unwrap()]);
        assert_eq!(layers.read(&fd).unwrap(), b"");
        let layers = Layers(vec![directory(Path::new("/")).unwrap()]);
        assert_eq!(layers.read(&format!("/proc{fd}")).unwrap(), b"outside");
    }

    #[test]
    fn links_within_the_root_are_followed() {
        for link in ["/usr/lib/passwd", "../usr/lib/passwd", "../../../usr//./lib/../lib/passwd"] {
            let root = folder(&["usr/lib/passwd=mine", "etc/", &format!("etc/passwd -> {link}")]);
            assert_eq!(passwd_of(&root).as_deref(), Ok("mine"), "{link}");
        }
        let root = folder(&["etc -> /usr/etc", "usr/etc/passwd=mine"]);
        assert_eq!(passwd_of(&root).as_deref(), Ok("mine"));
    }

    #[test]
    fn what_is_no_small_regular_file_is_refused_and_not_waited_for() {
        let circle = folder(&["etc/passwd -> group", "etc/group -> passwd"]);
        assert!(passwd_of(&circle).unwrap_err().contains("/etc/passwd"));
        let directory = folder(&["etc/passwd/"]);
        assert!(passwd_of(&directory).unwrap_err().contains("directory"));
        let pipe = folder(&["etc/"]);
        mkfifo(&pipe.path().join("etc/passwd"), Mode::S_IRWXU).unwrap();
        assert!(passwd_of(&pipe).unwrap_err().contains("regular file"));
        let large = folder(&["etc/passwd="]);
        File::create(large.path().join("etc/passwd")).unwrap().set_len(2 << 30).unwrap();
        assert!(passwd_of(&large).unwrap_err().contains("1 MiB"));
    }

    #[test]
    fn the_uppermost_layer_counts() {
        let upper = folder(&["etc/passwd=upper", "etc/link -> /usr/far", "etc/file=x"]);
        let lower = folder(&["etc/passwd=lower", "etc/group=lower", "usr/far=far", "etc/file/a=x"]);
        let read = |path| read_of(&[&upper, &lower], path).unwrap();
        assert_eq!(read("/etc/passwd"), "upper");
        assert_eq!(read("/etc/group"), "lower");
        assert_eq!(read("/etc/link"), "far", "a link of one layer to a file of another");
        assert_eq!(read("/etc/file/a"), "", "a file hides a directory");
    }

    #[test]
    fn what_was_removed_above_is_not_found_below() {
        let whiteout = |folder: &TempDir, path: &str| {
            mknod(&folder.path().join(path), SFlag::S_IFCHR, Mode::empty(), 0)
        };
        let lower = folder(&["etc/passwd=lower"]);
        let file_gone = folder(&["etc/"]);
        whiteout(&file_gone, "etc/passwd").unwrap();
        assert_eq!(read_of(&[&file_gone, &lower], "/etc/passwd").as_deref(), Ok(""));
        let folder_gone = folder(&[]);
        whiteout(&folder_gone, "etc").unwrap();
        assert_eq!(read_of(&[&folder_gone, &lower], "/etc/passwd").as_deref(), Ok(""));
        let above = folder(&["etc/passwd=again"]);
        assert_eq!(read_of(&[&above, &folder_gone, &lower], "/etc/passwd").as_deref(), Ok("again"));
    }

    #[test]
    fn nothing_shows_through_an_opaque_directory() {
        let upper = folder(&["etc/group=upper"]);
        let lower = folder(&["etc/passwd=lower"]);
        let path = std::ffi::CString::new(upper.path().join("etc").as_os_str().as_bytes()).unwrap();
        let name = c"user.overlay.opaque".as_ptr();
        // SAFETY: both strings end in a null, and one byte is read of the value.
        let set = unsafe { libc::setxattr(path.as_ptr(), name, b"y".as_ptr().cast(), 1, 0) };
        if set != 0 {
            return println!("skipped: {} has no attributes of users", upper.path().display());
        }
        assert_eq!(read_of(&[&upper, &lower], "/etc/passwd").as_deref(), Ok(""));
        assert_eq!(read_of(&[&upper, &lower], "/etc/group").as_deref(), Ok("upper"));
    }

    #[test]
    fn a_kept_layer_is_above_the_others_and_may_be_missing() {
        let lower = folder(&["etc/passwd=lower"]);
        let read = |kept: &Path| {
            let lowers = vec![lower.path().to_owned()];
            let upper = Upper::Kept(kept.to_owned());
            Layers::of(&Root::Overlay { lowers, upper })?.read("/etc/passwd")
        };
        let kept = folder(&["upper/etc/passwd=kept"]);
        assert_eq!(read(kept.path()).unwrap(), b"kept");
        assert_eq!(read(folder(&[]).path()).unwrap(), b"lower");
        assert_eq!(read(&kept.path().join("not made yet")).unwrap(), b"lower");
        assert!(read(folder(&["upper -> /etc"]).path()).is_err());
    }
}
