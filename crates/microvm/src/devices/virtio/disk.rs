//! A disk image: the file of the host that a guest has for a disk.
//!
//! It is the disk byte for byte, "raw": what the guest writes to its disk is all that is in it, so
//! nothing in it is ever asked how the rest is to be read. A format with a header of its own, such
//! as qcow2, takes less room; but who reads a header that a guest could have written can be led by
//! it to any file of the host. So a file that looks as if it had another format is refused
//! ([`ImageFormat`]), unless its user says that it is raw. That is all that a guest gains that
//! writes such a header to its own disk.
//!
//! The file is locked for as long as it is open. Two guests that write one disk, each with its own
//! idea of the file system on it in memory, destroy it within minutes.

mod access;
mod error;

use std::{
    fs::{File, Metadata, OpenOptions, TryLockError},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FallocateFlags, fallocate},
};

use super::{Buffers, image_format::ImageFormat, vectored};
use crate::error::Error;

pub use access::{Access, SECTOR};
pub use error::DiskError;

/// So many zeros are written at once where the file system has no shorter way.
const ZEROS: u64 = 64 << 10;

/// A disk as a user names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFile {
    /// The file, or the disk of the host.
    pub path: PathBuf,
    /// What the guest may do with it.
    pub access: Access,
    /// Whether it is taken for raw whatever it looks like. So is one that is called `.raw`.
    pub is_raw: bool,
}

impl DiskFile {
    /// Opens it.
    ///
    /// # Errors
    ///
    /// As of [`Disk::open`].
    pub fn open(&self) -> Result<Disk, Error> {
        match self.is_raw || self.path.extension().is_some_and(|end| end == "raw") {
            true => Disk::open_raw(&self.path, self.access),
            false => Disk::open(&self.path, self.access),
        }
    }
}

/// An open disk image.
#[derive(Debug)]
pub struct Disk {
    file: File,
    bytes: u64,
    access: Access,
    /// A file can be made shorter while we use it; a disk of the host cannot.
    is_file: bool,
}

impl Disk {
    /// Opens the file or the disk at `path`, if it looks like the bytes of a disk.
    ///
    /// # Errors
    ///
    /// When it is none that a guest can have, or another guest has it.
    pub fn open(path: &Path, access: Access) -> Result<Self, Error> {
        let disk = open_file(path, access).and_then(|file| Self::locked(file, access, true));
        disk.map_err(|source| Error::Disk { file: path.to_owned(), source })
    }

    /// Opens the file or the disk at `path` whatever its content looks like.
    ///
    /// # Errors
    ///
    /// As of [`Disk::open`], except for the content.
    pub fn open_raw(path: &Path, access: Access) -> Result<Self, Error> {
        let disk = open_file(path, access).and_then(|file| Self::of(file, access));
        disk.map_err(|source| Error::Disk { file: path.to_owned(), source })
    }

    /// The disk in a file that is open.
    ///
    /// # Errors
    ///
    /// As of [`Disk::open_raw`].
    pub fn of(file: File, access: Access) -> Result<Self, DiskError> {
        Self::locked(file, access, false)
    }

    /// The same; with `looks` the content has to look like a raw image.
    fn locked(mut file: File, access: Access, looks: bool) -> Result<Self, DiskError> {
        let failed = |source| DiskError::Open { access, source };
        let kind =
            file.metadata().as_ref().map(Metadata::file_type).map_err(|_| DiskError::NoDisk)?;
        if !kind.is_file() && !kind.is_block_device() {
            return Err(DiskError::NoDisk);
        }
        let locked = match access {
            Access::Read => file.try_lock_shared(),
            Access::Write => file.try_lock(),
        };
        locked.map_err(|error| match error {
            TryLockError::WouldBlock => DiskError::InUse,
            TryLockError::Error(source) => DiskError::Lock(source),
        })?;
        let bytes = file.seek(SeekFrom::End(0)).map_err(failed)?;
        if looks && let Some(format) = ImageFormat::of(&file, bytes).map_err(failed)? {
            return Err(DiskError::NotRaw(format));
        }
        match bytes % SECTOR {
            0 if bytes > 0 => Ok(Self { file, bytes, access, is_file: kind.is_file() }),
            _ => Err(DiskError::Size { bytes }),
        }
    }

    /// Its size.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether it may only be read.
    pub fn is_read_only(&self) -> bool {
        self.access == Access::Read
    }

    /// Whether `length` bytes from `offset` on are there, now.
    fn check(&self, offset: u64, length: u64) -> io::Result<()> {
        // By lseek(2), for statx(2) takes a path, and has no place in a cell. All else is read and
        // written at an offset of its own.
        let now = if self.is_file { (&self.file).seek(SeekFrom::End(0))? } else { self.bytes };
        match offset.checked_add(length) {
            Some(end) if end <= self.bytes.min(now) => Ok(()),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Reads from `offset` on, until `into` is full.
    ///
    /// # Errors
    ///
    /// When the file ends before, or the host cannot read it.
    pub fn read(&self, offset: u64, into: Buffers<'_>) -> io::Result<()> {
        self.check(offset, into.length() as u64)?;
        all_of(into.length(), vectored::read_at(&self.file, offset, into)?)
    }

    /// Writes all of `from` from `offset` on.
    ///
    /// # Errors
    ///
    /// When the file ends before, or the host cannot write it: it has no room, for one.
    pub fn write(&self, offset: u64, from: Buffers<'_>) -> io::Result<()> {
        self.check(offset, from.length() as u64)?;
        all_of(from.length(), vectored::write_at(&self.file, offset, from)?)
    }

    /// Returns when all that was written is on the disk, and would be there after a power failure.
    ///
    /// # Errors
    ///
    /// When the host could not write it.
    pub fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Gives the room of `length` bytes back to the host, which may then read as zeros or not.
    ///
    /// # Errors
    ///
    /// When the file ends before, or the host cannot.
    pub fn discard(&self, offset: u64, length: u64) -> io::Result<()> {
        self.check(offset, length)?;
        match self.allocate(FallocateFlags::FALLOC_FL_PUNCH_HOLE, offset, length) {
            // It was only advice.
            Err(Errno::EOPNOTSUPP) => Ok(()),
            result => Ok(result?),
        }
    }

    /// Makes `length` bytes zero; with `discard` their room may go back to the host.
    ///
    /// # Errors
    ///
    /// When the file ends before, or the host cannot.
    pub fn write_zeros(&self, offset: u64, length: u64, discard: bool) -> io::Result<()> {
        self.check(offset, length)?;
        let way = match discard {
            true => FallocateFlags::FALLOC_FL_PUNCH_HOLE,
            false => FallocateFlags::FALLOC_FL_ZERO_RANGE,
        };
        match self.allocate(way, offset, length) {
            Err(Errno::EOPNOTSUPP) => {}
            result => return Ok(result?),
        }
        let zeros = vec![0; ZEROS as usize];
        let mut done = 0;
        while done < length {
            let count = (length - done).min(ZEROS);
            self.file.write_all_at(&zeros[..count as usize], offset + done)?;
            done += count;
        }
        Ok(())
    }

    fn allocate(&self, way: FallocateFlags, offset: u64, length: u64) -> nix::Result<()> {
        let flags = way | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        // The range lies within the file, whose size is an `i64`.
        fallocate(&self.file, flags, offset as i64, length as i64)
    }
}

fn open_file(path: &Path, access: Access) -> Result<File, DiskError> {
    OpenOptions::new()
        .read(true)
        .write(access == Access::Write)
        // Opening a pipe would wait for somebody at its other end.
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(|source| DiskError::Open { access, source })
}

/// What was moved is all that was to be.
fn all_of(length: usize, moved: usize) -> io::Result<()> {
    if moved == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, os::unix::fs::MetadataExt};

    use tempfile::NamedTempFile;
    use vm_memory::{Bytes, GuestAddress, GuestMemoryBackend};

    use super::{super::driver, *};
    use crate::ram::Ram;

    /// An image of so many bytes, each the number of its sector.
    pub fn image(bytes: usize) -> NamedTempFile {
        let file = NamedTempFile::new().unwrap();
        let content: Vec<u8> = (0..bytes).map(|at| (at / SECTOR as usize) as u8).collect();
        fs::write(&file, content).unwrap();
        file
    }

    /// A disk on which the host has no room for anything.
    pub fn full_disk(bytes: u64) -> Disk {
        let file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
        Disk { file, bytes, access: Access::Write, is_file: false }
    }

    fn refused(path: impl AsRef<Path>, access: Access) -> DiskError {
        match Disk::open(path.as_ref(), access) {
            Err(Error::Disk { source, .. }) => source,
            other => panic!("{other:?}"),
        }
    }

    fn buffers(memory: &Ram, ranges: &[(u64, usize)]) -> Buffers<'static> {
        let memory: &'static Ram = Box::leak(Box::new(memory.clone()));
        let mut all = Buffers::default();
        for &(address, length) in ranges {
            let slices = memory.get_slices(GuestAddress(address), length);
            slices.for_each(|slice| all.add(slice.unwrap()));
        }
        all
    }

    #[test]
    fn what_is_no_disk_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for path in [&pipe, folder.path(), Path::new("/dev/null")] {
            assert!(matches!(refused(path, Access::Read), DiskError::NoDisk), "{path:?}");
        }
        assert!(matches!(refused(folder.path(), Access::Write), DiskError::Open { .. }));
        assert!(matches!(refused(image(0), Access::Read), DiskError::Size { bytes: 0 }));
        assert!(matches!(refused(image(513), Access::Read), DiskError::Size { bytes: 513 }));
        let error = Disk::open(&folder.path().join("none"), Access::Write).unwrap_err();
        assert!(error.to_string().contains("none"), "{error}");
    }

    #[test]
    fn another_format_is_refused_with_the_conversion_unless_it_is_said_to_be_raw() {
        let folder = tempfile::tempdir().unwrap();
        let mut vhd = vec![0; 4096];
        vhd[4096 - 512..4096 - 504].copy_from_slice(b"conectix");
        let qcow2 = [&b"QFI\xfb\0\0\0\x03"[..], &[0; 504]].concat();
        // Not even a number of sectors, which is not what is wrong with it.
        let gzip = [&b"\x1f\x8b\x08"[..], &[0; 98]].concat();
        for (name, content, word, command) in [
            ("a.vhd", &vhd, "a VHD image", "qemu-img convert -f vpc -O raw "),
            ("a.img", &qcow2, "a qcow2 image", "qemu-img convert -f qcow2 -O raw "),
            ("a.gz", &gzip, "compressed by gzip", "gunzip -k "),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            let file = DiskFile { path: path.clone(), access: Access::Write, is_raw: false };
            let refused = file.open().unwrap_err();
            let Error::Disk { source, .. } = &refused else { panic!("{refused}") };
            assert!(source.to_string().contains(word), "{source}");
            let fix = refused.fix().unwrap();
            assert!(fix.contains(command) && fix.contains(&format!("{name}:raw")), "{fix}");
            assert_eq!(fs::read(&path).unwrap(), *content, "it was changed");
            // A guest may have written these bytes to its raw disk.
            if content.len() % 512 == 0 {
                DiskFile { is_raw: true, ..file }.open().unwrap();
                let raw = path.with_extension("raw");
                fs::rename(&path, &raw).unwrap();
                DiskFile { path: raw, access: Access::Write, is_raw: false }.open().unwrap();
            }
        }
    }

    #[test]
    fn a_disk_that_is_written_belongs_to_one_guest() {
        let image = image(512);
        let first = Disk::open(image.path(), Access::Write).unwrap();
        for access in [Access::Read, Access::Write] {
            assert!(matches!(refused(&image, access), DiskError::InUse));
        }
        drop(first);
        let readers = [(); 2].map(|()| Disk::open(image.path(), Access::Read).unwrap());
        assert!(matches!(refused(&image, Access::Write), DiskError::InUse));
        drop(readers);
        Disk::open(image.path(), Access::Write).unwrap();
    }

    #[test]
    fn more_buffers_than_one_call_takes_are_moved_all() {
        let image = image(4096);
        let disk = Disk::open(image.path(), Access::Write).unwrap();
        let memory = driver::memory();
        let bytes: Vec<(u64, usize)> = (0..2048).map(|at| (2 * at, 1)).collect();
        disk.read(1024, buffers(&memory, &bytes)).unwrap();
        let read: Vec<u8> =
            bytes.iter().map(|(at, _)| memory.read_obj(GuestAddress(*at)).unwrap()).collect();
        assert_eq!(read, fs::read(&image).unwrap()[1024..3072]);
        disk.write(0, buffers(&memory, &bytes)).unwrap();
        assert_eq!(fs::read(&image).unwrap()[..2048], read);
    }

    #[test]
    fn zeros_are_written_and_room_is_given_back() {
        let image = image(1 << 20);
        let disk = Disk::open(image.path(), Access::Write).unwrap();
        let full = image.as_file().metadata().unwrap().blocks();
        disk.write_zeros(512, 200_000, false).unwrap();
        let content = fs::read(&image).unwrap();
        assert!(content[512..200_512].iter().all(|byte| *byte == 0));
        assert_eq!((content[511], content[200_512]), (0, (200_512 / 512 % 256) as u8));
        disk.discard(512 << 10, 256 << 10).unwrap();
        disk.write_zeros(256 << 10, 256 << 10, true).unwrap();
        let less = image.as_file().metadata().unwrap().blocks();
        assert!(less < full, "{less} of {full} sectors");
        assert_eq!(fs::read(&image).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_file_that_was_cut_is_neither_read_beyond_its_end_nor_made_longer() {
        let image = image(8192);
        let disk = Disk::open(image.path(), Access::Write).unwrap();
        let memory = driver::memory();
        image.as_file().set_len(4096).unwrap();
        let page = || buffers(&memory, &[(0, 4096)]);
        assert!(disk.read(0, page()).is_ok());
        assert!(disk.read(2048, page()).is_err());
        assert!(disk.write(4096, page()).is_err());
        assert!(disk.write_zeros(4096, 512, false).is_err());
        assert!(disk.discard(u64::MAX, 512).is_err());
        assert_eq!(image.as_file().metadata().unwrap().len(), 4096);
    }

    #[test]
    fn a_host_without_room_says_so() {
        let memory = driver::memory();
        let error = full_disk(4096).write(0, buffers(&memory, &[(0, 512)])).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    }
}
