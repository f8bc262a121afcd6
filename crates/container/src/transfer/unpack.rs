//! Unpacks a tar archive below an open directory.
//!
//! An archive is untrusted. Its names are looked up below the directory with `RESOLVE_BENEATH`: no
//! `..`, no absolute link and no magic link of procfs leads out, whether it comes from the archive
//! or existed before. Files are always new, so nothing is written through a link; targets of hard
//! links are looked up the same way. Devices and FIFOs are skipped. Lengths are bounded, or their
//! bytes must be there: sparse files, which expand a few bytes into many, are refused.

use std::{
    ffi::OsStr,
    io::{self, BufReader, Read},
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat2},
    sys::{
        stat::{Mode, mkdirat},
        time::TimeSpec,
    },
    unistd::linkat,
};
use tar::{Archive, EntryType};

use super::{
    found::refuse_proc,
    invalid::{invalid, refused_sparse},
    names::Names,
    tree::{self, Failed, Rules},
};

type TarEntry<'a, R> = tar::Entry<'a, R>;

/// Unpacks the archive at the beginning of `input` into `directory`.
pub(super) fn unpack(
    input: impl Read,
    directory: &OwnedFd,
    rules: &Rules,
    left_out: &mut Vec<String>,
) -> Result<(), Failed> {
    let mut input = BufReader::new(input);
    let mut unpacker =
        Unpacker { directory, rules, left_out, path: "the archive".into(), times: Vec::new() };
    unpacker.all(&mut input).map_err(|source| {
        let path = std::mem::take(&mut unpacker.path);
        Failed { path, source }
    })
}

struct Unpacker<'a> {
    directory: &'a OwnedFd,
    rules: &'a Rules,
    left_out: &'a mut Vec<String>,
    /// What is being unpacked, for messages.
    path: PathBuf,
    /// Directories that were made; their times are set at the end, because new files in them change
    /// these.
    times: Vec<(PathBuf, TimeSpec)>,
}

impl Unpacker<'_> {
    fn all<R: Read>(&mut self, input: &mut BufReader<R>) -> io::Result<()> {
        refuse_compressed(input)?;
        let mut names = Names::default();
        // Raw entries: the crate would read a name of any length into memory.
        let mut archive = Archive::new(&mut *input);
        for entry in archive.entries()?.raw(true) {
            let mut entry = entry?;
            if names.take(&mut entry)? {
                continue;
            }
            let (name, link) = names.of(&entry)?;
            self.path = Path::new(OsStr::from_bytes(&name)).to_owned();
            self.one(entry, &name, link.as_deref())?;
        }
        self.path = "the archive".into();
        for (path, modified) in self.times.drain(..).rev() {
            // A directory that is gone needs no time.
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            if let Ok(made) = beneath(self.directory, &path, flags) {
                nix::sys::stat::futimens(made.as_fd(), &modified, &modified)?;
            }
        }
        // Archives are padded to a whole record; reading the rest keeps the writer from failing at
        // the last block.
        const REST: u64 = 1 << 20;
        io::copy(&mut input.take(REST), &mut io::sink()).map(drop)
    }

    fn one<R: Read>(
        &mut self,
        mut entry: TarEntry<'_, R>,
        name: &[u8],
        link: Option<&[u8]>,
    ) -> io::Result<()> {
        let path = relative(name)?;
        let (parent, Some(last)) = (path.parent().unwrap_or(Path::new("")), path.file_name())
        else {
            return Ok(()); // the directory itself
        };
        let parent = self.parent(parent)?;
        refuse_proc(&parent)?;
        let target = (&parent, Path::new(last));
        let (mode, modified) = (entry.header().mode()?, modified(&entry)?);
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous => {
                let mut file = tree::new_file(target)?;
                let length = entry.size();
                match io::copy(&mut entry, &mut file)? == length {
                    true => tree::finish(
                        &file,
                        mode & self.rules.mode,
                        modified,
                        self.rules.owner.of(None),
                    ),
                    false => {
                        Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends in it"))
                    }
                }
            }
            EntryType::Directory => self.directory(&path, target, mode, modified),
            EntryType::Symlink => {
                let leads_to = link.filter(|link| !link.is_empty());
                let leads_to =
                    leads_to.ok_or_else(|| invalid("a symbolic link without a target"))?;
                tree::new_link(OsStr::from_bytes(leads_to), target, self.rules.owner.of(None))
            }
            EntryType::Link => self.hard_link(link.unwrap_or_default(), target),
            EntryType::GNUSparse => Err(refused_sparse()),
            kind => {
                let kind = match kind {
                    EntryType::Fifo => "FIFO",
                    EntryType::Char | EntryType::Block => "device",
                    _ => "kind of entry that isolab does not know",
                };
                self.left_out.push(format!("{}: a {kind}", path.display()));
                Ok(())
            }
        }
    }

    /// Opens the parent directory of a new entry; missing directories are made.
    fn parent(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        // From below, without recursion: an archive decides how deep they are.
        let mut missing: Vec<&Path> = Vec::new();
        let mut there = path;
        let mut opened = loop {
            let name = if there.as_os_str().is_empty() { Path::new(".") } else { there };
            match beneath(self.directory, name, flags) {
                Err(Errno::ENOENT) if name != Path::new(".") => {}
                opened => break opened?,
            }
            missing.push(there);
            there = there.parent().unwrap_or(Path::new(""));
        };
        for path in missing.into_iter().rev() {
            let name = Path::new(path.file_name().unwrap_or_default());
            self.make(&opened, name, 0o755, None)?;
            opened = beneath(self.directory, path, flags)?;
        }
        Ok(opened)
    }

    /// Makes a directory; false if it exists.
    fn make(
        &self,
        parent: &OwnedFd,
        name: &Path,
        mode: u32,
        modified: Option<TimeSpec>,
    ) -> io::Result<bool> {
        match mkdirat(parent, name, Mode::S_IRWXU) {
            Err(Errno::EEXIST) => return Ok(false),
            made => made?,
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
        let made = beneath(parent, name, flags)?;
        let (mode, owner) = (mode & self.rules.mode, self.rules.owner.of(None));
        tree::finish(&made, mode, modified.unwrap_or(TimeSpec::UTIME_NOW), owner)?;
        Ok(true)
    }

    fn directory(
        &mut self,
        path: &Path,
        (parent, name): (&OwnedFd, &Path),
        mode: u32,
        modified: TimeSpec,
    ) -> io::Result<()> {
        if self.make(parent, name, mode, Some(modified))? {
            self.times.push((path.to_owned(), modified));
            return Ok(());
        }
        // A symbolic link to a directory is accepted, as /bin is in many roots, but not beyond the
        // directory.
        Ok(beneath(self.directory, path, OFlag::O_PATH | OFlag::O_DIRECTORY).map(drop)?)
    }

    /// Makes a hard link to a file below the directory.
    fn hard_link(&self, of: &[u8], target: (&OwnedFd, &Path)) -> io::Result<()> {
        let path = relative(of)?;
        let name = path.file_name().ok_or_else(|| invalid("a hard link without a target"))?;
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let above = beneath(self.directory, above.unwrap_or(Path::new(".")), flags)?;
        refuse_proc(&above)?;
        if is_same((&above, name), target)? {
            return Ok(());
        }
        tree::make_room(target)?;
        // A symbolic link is not followed (linkat(2)).
        Ok(linkat(&above, name, target.0, target.1, AtFlags::empty())?)
    }
}

/// Whether both names are the same file, which must not be removed to make room for itself.
fn is_same(one: (&OwnedFd, &OsStr), other: (&OwnedFd, &Path)) -> io::Result<bool> {
    let look = |directory: &OwnedFd, name: &Path| {
        let found = nix::sys::stat::fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
        found.map(|found| (found.st_dev, found.st_ino))
    };
    let first = look(one.0, Path::new(one.1))?;
    Ok(look(other.0, other.1) == Ok(first))
}

/// A name of the archive as a path from the directory down.
fn relative(name: &[u8]) -> io::Result<PathBuf> {
    if name.contains(&0) {
        return Err(invalid("a name with a null byte in it"));
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(name)).components() {
        match component {
            Component::Normal(name) => path.push(name),
            // Like tar(1), which removes the leading slash.
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
            Component::ParentDir => {
                return Err(invalid("its name leads out of the directory by `..`"));
            }
        }
    }
    Ok(path)
}

/// Opens a path below `directory`, which nothing on the way can lead out of.
fn beneath(directory: &OwnedFd, path: &Path, flags: OFlag) -> nix::Result<OwnedFd> {
    let resolve = ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
    let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).resolve(resolve);
    /// A rename anywhere on the host can make a lookup fail with EAGAIN (openat2(2)).
    const RACES: usize = 64;
    for _ in 0..RACES {
        match openat2(directory, path, how) {
            Err(Errno::EAGAIN) => {}
            opened => return opened,
        }
    }
    Err(Errno::EAGAIN)
}

fn modified<R: Read>(entry: &TarEntry<'_, R>) -> io::Result<TimeSpec> {
    let seconds = i64::try_from(entry.header().mtime()?).unwrap_or(0);
    Ok(TimeSpec::new(seconds, 0))
}

/// A compressed archive is a common mistake.
fn refuse_compressed<R: Read>(input: &mut BufReader<R>) -> io::Result<()> {
    let known: [(&[u8], &str); 4] = [
        (b"\x1f\x8b", "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ", "xz"),
        (b"\x28\xb5\x2f\xfd", "zstd"),
    ];
    let begin = io::BufRead::fill_buf(input)?;
    match known.iter().find(|(magic, _)| begin.starts_with(magic)) {
        Some((_, name)) => Err(io::Error::other(format!(
            "it is compressed: decompress it first, as in `{name} -dc FILE | isolab cp - NAME:/PATH`"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
