//! The archive that an initramfs is: cpio of the "newc" kind.
//!
//! For every entry a header of hexadecimal digits, the name, and the content, each padded to a
//! multiple of four bytes (Documentation/driver-api/early-userspace/buffer-format.rst).

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Component, Path, PathBuf},
};

use super::error::InitramfsError;

pub(super) const DIRECTORY: u32 = 0o040_000;
pub(super) const FILE: u32 = 0o100_000;
pub(super) const LINK: u32 = 0o120_000;
/// The name that ends the archive.
const TRAILER: &[u8] = b"TRAILER!!!";
const HEADER_BYTES: u64 = 110;
/// The kernel's PATH_MAX, with the NUL at the end.
pub(super) const MAX_NAME: usize = 4096;

/// An archive that is being written. Everything in it belongs to root and has no time, so that the
/// same files give the same bytes; [`Root`](super::Root) knows owners and times.
#[derive(Debug)]
pub struct Archive<Output> {
    output: Output,
    entries: u32,
    directories: BTreeSet<PathBuf>,
}

impl<Output: Write> Archive<Output> {
    /// An empty archive.
    pub fn new(output: Output) -> Self {
        Self { output, entries: 0, directories: BTreeSet::new() }
    }

    /// Adds a directory, and those above it, where they are not there yet.
    ///
    /// # Errors
    ///
    /// When the output takes no more; so of the other entries.
    pub fn directory(&mut self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = inside(path.as_ref()).map_err(io::Error::other)?;
        let mut above: Vec<&Path> = path.ancestors().collect();
        above.reverse();
        for directory in above.into_iter().filter(|path| !path.as_os_str().is_empty()) {
            if self.directories.insert(directory.to_owned()) {
                self.entry(directory.as_os_str(), DIRECTORY | 0o755, &[])?;
            }
        }
        Ok(())
    }

    /// Adds a file with these permissions, such as `0o644`.
    ///
    /// # Errors
    ///
    /// When it has 4 GiB or more, for which the format has no digits.
    pub fn file(&mut self, path: impl AsRef<Path>, mode: u32, content: &[u8]) -> io::Result<()> {
        let path = self.below_its_directories(path.as_ref())?;
        self.entry(path.as_os_str(), FILE | mode & 0o7777, content)
    }

    /// Adds a symbolic link to `target`.
    ///
    /// # Errors
    ///
    /// As of [`Self::directory`].
    pub fn link(&mut self, path: impl AsRef<Path>, target: impl AsRef<OsStr>) -> io::Result<()> {
        let target = target.as_ref();
        check_name(Path::new(target)).map_err(io::Error::other)?;
        let path = self.below_its_directories(path.as_ref())?;
        self.entry(path.as_os_str(), LINK | 0o777, target.as_bytes())
    }

    /// Adds what is at `from` on this host as `path`: a file, a link, or a directory with all that
    /// is in it. What is none of these, such as a socket, is left out.
    ///
    /// # Errors
    ///
    /// When it cannot be read either.
    pub fn tree(&mut self, path: impl AsRef<Path>, from: &Path) -> io::Result<()> {
        let path = path.as_ref();
        let metadata = fs::symlink_metadata(from)?;
        if metadata.is_symlink() {
            return self.link(path, fs::read_link(from)?);
        }
        if metadata.is_file() {
            return self.file(path, metadata.permissions().mode(), &fs::read(from)?);
        }
        if !metadata.is_dir() {
            return Ok(());
        }
        self.directory(path)?;
        let mut names = fs::read_dir(from)?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        names.iter().try_for_each(|name| self.tree(path.join(name), &from.join(name)))
    }

    /// Adds an entry with all that a header can say of it. Its directories must be there.
    ///
    /// # Errors
    ///
    /// When `content` has fewer bytes than `about` says, and as of [`Self::directory`].
    pub(super) fn whole(
        &mut self,
        name: &OsStr,
        about: &Header,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        self.header(escaped(name), about)?;
        let length = about.length.into();
        match io::copy(&mut content.take(length), &mut self.output)? {
            copied if copied == length => self.pad(length),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Ends the archive and gives the output back.
    ///
    /// # Errors
    ///
    /// As of [`Self::directory`].
    pub fn finish(mut self) -> io::Result<Output> {
        let about = Header { number: self.entries + 1, links: 1, ..Header::default() };
        self.header(OsStr::from_bytes(TRAILER), &about)?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn below_its_directories(&mut self, path: &Path) -> io::Result<PathBuf> {
        let path = inside(path).map_err(io::Error::other)?;
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        Ok(path)
    }

    fn entry(&mut self, name: &OsStr, mode: u32, content: &[u8]) -> io::Result<()> {
        let too_long =
            |_| io::Error::new(io::ErrorKind::FileTooLarge, "an initramfs holds files below 4 GiB");
        let length = u32::try_from(content.len()).map_err(too_long)?;
        self.entries += 1;
        let about = Header { number: self.entries, links: 1, mode, length, ..Header::default() };
        self.header(escaped(name), &about)?;
        self.output.write_all(content)?;
        self.pad(length.into())
    }

    fn header(&mut self, name: &OsStr, about: &Header) -> io::Result<()> {
        let name = name.as_bytes();
        let Header { number, mode, user, group, links, time, length, device } = *about;
        let (major, minor) = device;
        // Of the two devices the first is the one on which the file was. A name is shorter than
        // 4 KiB (PATH_MAX), and the checksum is another format's.
        let name_bytes = name.len() as u32 + 1;
        let fields =
            [number, mode, user, group, links, time, length, 0, 0, major, minor, name_bytes, 0];
        let mut header = "070701".to_owned();
        for field in fields {
            header += &format!("{field:08x}");
        }
        self.output.write_all(header.as_bytes())?;
        self.output.write_all(name)?;
        self.output.write_all(&[0])?;
        self.pad(HEADER_BYTES + u64::from(name_bytes))
    }

    fn pad(&mut self, length: u64) -> io::Result<()> {
        self.output.write_all(&[0; 4][..padding(length) as usize])
    }
}

/// How many bytes an entry takes in the archive.
pub(super) fn entry_bytes(name: &OsStr, length: u64) -> u64 {
    let head = HEADER_BYTES + escaped(name).len() as u64 + 1;
    head + padding(head) + length + padding(length)
}

/// How many bytes the end of an archive takes.
pub(super) fn trailer_bytes() -> u64 {
    let head = HEADER_BYTES + TRAILER.len() as u64 + 1;
    head + padding(head)
}

/// The name of an entry; one of the trailer's name would end the archive.
fn escaped(name: &OsStr) -> &OsStr {
    match name.as_bytes() {
        TRAILER => OsStr::new("./TRAILER!!!"),
        _ => name,
    }
}

fn padding(length: u64) -> u64 {
    length.next_multiple_of(4) - length
}

/// What a header says of an entry, besides its name.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Header {
    /// The same for all names of a file, and else for none.
    pub(super) number: u32,
    /// How many names it has.
    pub(super) links: u32,
    /// Its kind and permissions, as st_mode of inode(7).
    pub(super) mode: u32,
    pub(super) user: u32,
    pub(super) group: u32,
    /// Seconds since 1970.
    pub(super) time: u32,
    pub(super) length: u32,
    /// Which device it is: major and minor number.
    pub(super) device: (u32, u32),
}

/// `path` as the archive names it, from its root on.
pub(super) fn inside(path: &Path) -> Result<PathBuf, InitramfsError> {
    let parts = path.components();
    let parts = parts.filter(|part| !matches!(part, Component::RootDir | Component::CurDir));
    let named = parts.map(|part| match part {
        Component::Normal(name) => Ok(name),
        _ => Err(InitramfsError::Outside { path: path.to_owned() }),
    });
    let path = named.collect::<Result<PathBuf, _>>()?;
    check_name(&path)?;
    Ok(path)
}

/// Refuses a name, or where a link leads, that the kernel would leave out or cut off.
pub(super) fn check_name(path: &Path) -> Result<(), InitramfsError> {
    let name = path.as_os_str().as_bytes();
    if name.len() >= MAX_NAME {
        return Err(InitramfsError::TooLongName { path: path.to_owned() });
    }
    if name.contains(&0) {
        return Err(InitramfsError::ZeroInName { path: path.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::tests::read, *};

    /// Name, mode and content of every entry.
    fn entries(bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let read = read(bytes).into_iter();
        read.map(|entry| (entry.name, entry.about.mode, entry.content)).collect()
    }

    #[test]
    fn every_entry_is_read_as_it_was_written_and_below_its_directories() {
        let mut archive = Archive::new(Vec::new());
        archive.file("/init", 0o755, b"\x7fELF").unwrap();
        archive.file("lib/modules/x.ko", 0o644, b"12345").unwrap();
        archive.link("lib/y.ko", "modules/x.ko").unwrap();
        archive.directory("lib/modules").unwrap();
        let found = entries(&archive.finish().unwrap());
        let expected: [(&str, u32, &[u8]); 5] = [
            ("init", 0o100_755, b"\x7fELF"),
            ("lib", 0o040_755, b""),
            ("lib/modules", 0o040_755, b""),
            ("lib/modules/x.ko", 0o100_644, b"12345"),
            ("lib/y.ko", 0o120_777, b"modules/x.ko"),
        ];
        assert_eq!(found, expected.map(|(name, mode, bytes)| (name.into(), mode, bytes.into())));
    }

    #[test]
    fn a_tree_comes_with_its_links_and_permissions_always_in_the_same_order() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir(root.join("b")).unwrap();
        fs::write(root.join("b/script"), "#!").unwrap();
        fs::set_permissions(root.join("b/script"), fs::Permissions::from_mode(0o750)).unwrap();
        std::os::unix::fs::symlink("b/script", root.join("a")).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
        let mut archive = Archive::new(Vec::new());
        archive.tree("work", root).unwrap();
        let found = entries(&archive.finish().unwrap());
        let names: Vec<_> = found.iter().map(|(name, mode, _)| (name.as_str(), *mode)).collect();
        let expected = [
            ("work", 0o040_755),
            ("work/a", 0o120_777),
            ("work/b", 0o040_755),
            ("work/b/script", 0o100_750),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn no_entry_leads_out_of_the_archive() {
        let mut archive = Archive::new(Vec::new());
        assert!(archive.file("../etc/passwd", 0o644, b"").is_err());
        assert!(archive.directory("a/../..").is_err());
        // The kernel reads a name up to its first zero.
        assert!(archive.file("a/..\0", 0o644, b"").is_err());
        assert!(archive.link("a", "..\0b").is_err());
    }

    #[test]
    fn what_the_kernel_would_leave_out_is_refused() {
        let mut archive = Archive::new(Vec::new());
        let long = "x".repeat(MAX_NAME);
        assert!(archive.file(&long, 0o644, b"").is_err());
        assert!(archive.link("a", &long).is_err());
        assert!(archive.link("a", &long[1..]).is_ok());
    }

    #[test]
    fn a_file_of_the_trailers_name_ends_nothing() {
        let mut archive = Archive::new(Vec::new());
        archive.file("TRAILER!!!", 0o644, b"1").unwrap();
        archive.file("behind", 0o644, b"2").unwrap();
        let found = entries(&archive.finish().unwrap());
        let names: Vec<_> = found.iter().map(|(name, ..)| name.as_str()).collect();
        assert_eq!(names, ["./TRAILER!!!", "behind"]);
    }
}
