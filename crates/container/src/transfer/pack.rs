//! Packs a file, or a directory with its content, as a tar archive.

use std::{
    ffi::OsStr,
    io::{self, Read as _, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::{
    fcntl::readlinkat,
    sys::stat::FileStat,
    unistd::{Gid, Uid},
};
use tar::{Builder, EntryType, Header};

use super::{
    found::{self, DEPTH, Found, Kind},
    tree::Failed,
};

/// Writes `name` of the directory `source` to `output`; for `.`, its content. Unpacked, it gives
/// what `isolab cp` would make: files of the caller without set-user-ID bits.
pub(super) fn pack(
    source: &OwnedFd,
    name: &Path,
    output: impl Write,
    left_out: &mut Vec<String>,
) -> Result<(), Failed> {
    let mut packer =
        Packer { archive: Builder::new(output), left_out, path: PathBuf::new(), depth: 0 };
    let packed = match name == Path::new(".") {
        true => packer.contents(source),
        false => packer.below(source, name.as_os_str()),
    };
    packed.and_then(|()| packer.archive.finish()).map_err(|source| {
        let path = std::mem::take(&mut packer.path);
        Failed { path, source }
    })
}

struct Packer<'a, W: Write> {
    archive: Builder<W>,
    left_out: &'a mut Vec<String>,
    /// What is being packed, by its name in the archive.
    path: PathBuf,
    depth: usize,
}

impl<W: Write> Packer<'_, W> {
    fn below(&mut self, directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
        self.path.push(name);
        self.one(directory, name)?;
        self.path.pop();
        Ok(())
    }

    fn one(&mut self, directory: &OwnedFd, name: &OsStr) -> io::Result<()> {
        let Found { descriptor, about, kind } = Found::at(directory, name)?;
        match kind {
            Kind::File => {
                let length = u64::try_from(about.st_size).unwrap_or(0);
                // The length is written before the content: a file that has become shorter is
                // padded, and appended data is ignored.
                let content = found::reopen(&descriptor)?.chain(io::repeat(0)).take(length);
                let mut header = header(EntryType::Regular, &about, length);
                self.archive.append_data(&mut header, &self.path, content)
            }
            Kind::Directory => {
                let mut header = header(EntryType::Directory, &about, 0);
                self.archive.append_data(&mut header, &self.path, io::empty())?;
                self.contents(&descriptor)
            }
            Kind::Link => {
                let leads_to = readlinkat(&descriptor, "")?;
                let mut header = header(EntryType::Symlink, &about, 0);
                self.archive.append_link(&mut header, &self.path, Path::new(&leads_to))
            }
            Kind::Other(kind) => {
                self.left_out.push(format!("{}: a {kind}", self.path.display()));
                Ok(())
            }
        }
    }

    fn contents(&mut self, directory: &OwnedFd) -> io::Result<()> {
        if self.depth >= DEPTH {
            return Err(io::Error::other(format!("more than {DEPTH} nested directories")));
        }
        self.depth += 1;
        for name in found::names_in(directory)? {
            self.below(directory, &name)?;
        }
        self.depth -= 1;
        Ok(())
    }
}

fn header(kind: EntryType, about: &FileStat, length: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(about.st_mode & 0o777);
    header.set_uid(Uid::effective().as_raw().into());
    header.set_gid(Gid::effective().as_raw().into());
    header.set_mtime(u64::try_from(about.st_mtime).unwrap_or(0));
    header.set_size(length);
    header
}
