//! Question 3: what does it find inside? A Linux guest's first file system, written in memory.
//!
//! The kernel unpacks an archive that the machine puts beside it into a file system in RAM, and
//! starts `/init` in there. The archive is of cpio's "newc" kind: for every entry a header of
//! hexadecimal digits, the name, and the content, each padded to a multiple of four bytes
//! (Documentation/driver-api/early-userspace/buffer-format.rst). See `container::rootfs` for the
//! other answer.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fs,
    io::{self, Write},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Component, Path, PathBuf},
};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;

/// An archive that is being written. Everything in it belongs to root and has no time, so that the
/// same files give the same bytes.
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
        let path = inside(path.as_ref())?;
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
        let path = self.below_its_directories(path.as_ref())?;
        self.entry(path.as_os_str(), LINK | 0o777, target.as_ref().as_bytes())
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

    /// Ends the archive and gives the output back.
    ///
    /// # Errors
    ///
    /// As of [`Self::directory`].
    pub fn finish(mut self) -> io::Result<Output> {
        self.entry(OsStr::new("TRAILER!!!"), 0, &[])?;
        self.output.flush()?;
        Ok(self.output)
    }

    fn below_its_directories(&mut self, path: &Path) -> io::Result<PathBuf> {
        let path = inside(path)?;
        if let Some(parent) = path.parent() {
            self.directory(parent)?;
        }
        Ok(path)
    }

    fn entry(&mut self, name: &OsStr, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entries += 1;
        let name = name.as_bytes();
        let [size, name_size] = [content.len(), name.len() + 1].map(u32::try_from);
        let too_long =
            |_| io::Error::new(io::ErrorKind::FileTooLarge, "an initramfs holds files below 4 GiB");
        let (size, name_size) = (size.map_err(too_long)?, name_size.map_err(too_long)?);
        let (number, links) = (self.entries, 1);
        // Inode, mode, user, group, links, time, size, two devices of two numbers, name, checksum.
        let fields = [number, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        let mut header = "070701".to_owned();
        for field in fields {
            header += &format!("{field:08x}");
        }
        self.output.write_all(header.as_bytes())?;
        self.output.write_all(name)?;
        self.output.write_all(&[0])?;
        self.pad(header.len() + name.len() + 1)?;
        self.output.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.output.write_all(&[0; 4][..length.next_multiple_of(4) - length])
    }
}

/// `path` as the archive names it, from its root on.
fn inside(path: &Path) -> io::Result<PathBuf> {
    let parts = path.components();
    let parts = parts.filter(|part| !matches!(part, Component::RootDir | Component::CurDir));
    parts
        .map(|part| match part {
            Component::Normal(name) => Ok(name),
            _ => Err(io::Error::other(format!("{path:?} leads out of the initramfs"))),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Name, mode and content of every entry, read as the kernel reads them.
    fn entries(mut bytes: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            assert_eq!(&bytes[..6], b"070701");
            let field = |index: usize| {
                let digits = std::str::from_utf8(&bytes[6 + 8 * index..14 + 8 * index]).unwrap();
                u32::from_str_radix(digits, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = String::from_utf8(bytes[110..110 + name_size - 1].to_vec()).unwrap();
            let content = (110 + name_size).next_multiple_of(4);
            if name == "TRAILER!!!" {
                assert_eq!(bytes.len(), content);
                return found;
            }
            found.push((name, mode, bytes[content..content + size].to_vec()));
            bytes = &bytes[(content + size).next_multiple_of(4)..];
        }
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
    }
}
