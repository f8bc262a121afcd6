//! Question 3: what does it find inside? A Linux guest finds a kernel; this reads its file.
//!
//! A container needs none, it has the host's. Distributions ship a kernel as a *bzImage*: a small
//! program for real mode, a decompressor, and the kernel proper packed as its payload. Firmware
//! starts the first, which runs the second, which unpacks the third. Here the payload is unpacked on
//! the host, where memory is already there and nothing has to leave a guest for it, and the guest
//! begins in what was unpacked:
//!
//! ```text
//!   bzImage, "vmlinuz"                                  ELF file, "vmlinux"
//!   0x000  boot sector                                  segments with their addresses
//!   0x1f1  setup header: sectors, flags, payload  --->  64-bit entry: the ELF header's
//!   (setup_sects + 1) * 512 + payload_offset            PVH entry: a note of Xen's
//!          payload: gzip, bzip2, lzma, xz, lz4 or zstd
//! ```
//!
//! Sources: `Documentation/arch/x86/boot.rst` of the kernel, elf(5), and for the note
//! `xen/include/public/elfnote.h`.

mod bzimage;
mod checksum;
mod error;
mod unpack;
mod vmlinux;
mod whatis;

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _, Write},
    os::unix::fs::{FileExt, OpenOptionsExt as _},
    path::Path,
};

use object::read::ReadCache;

use crate::error::{Error, Result};

pub use error::KernelError;
pub use unpack::{Packing, UnpackError, unpack};

/// A packed kernel has some 15 MB; what is so much longer is none and is not even read.
const MAX_PACKED_BYTES: u64 = 256 << 20;
/// An unpacked one has some 50 MB, with all its debugging information nearly 1 GiB.
const MAX_BYTES: u64 = 2 << 30;
/// What is packed in a bzImage has no debugging information: the kernel's build strips it off.
pub const MAX_UNPACKED_BYTES: u64 = 512 << 20;
/// How much is copied at a time: little enough to stay in a processor's cache.
const CHUNK: usize = 128 << 10;
/// What precedes the release in the line that every kernel prints first.
const BANNER: &[u8] = b"Linux version ";
/// The longest release: `__NEW_UTS_LEN` of the kernel.
const MAX_RELEASE: usize = 64;

/// A part of the kernel: `file_bytes` of the ELF file from `offset` on, then zeros up to
/// `memory_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelSegment {
    /// Where it lies in the guest's physical memory.
    pub address: u64,
    /// Its length there.
    pub memory_bytes: u64,
    /// Where it begins in the ELF file.
    pub offset: u64,
    /// What is in the ELF file of it.
    pub file_bytes: u64,
}

impl KernelSegment {
    /// The first address after it.
    pub fn end(&self) -> u64 {
        self.address.saturating_add(self.memory_bytes)
    }
}

/// A kernel whose file was read and checked: nothing in it points outside of itself.
///
/// An ELF file stays where it is and is read when it is loaded, so that the launcher never holds
/// 50 MB of kernel. What was packed is held unpacked.
#[derive(Debug)]
pub struct KernelImage {
    elf: Contents,
    packing: Packing,
    release: Option<String>,
    headers: vmlinux::Headers,
}

#[derive(Debug)]
enum Contents {
    File(File),
    Memory(Vec<u8>),
}

/// Opens what may be no file, and tells what it is. A named pipe would make open(2) wait for a
/// writer, which `O_NONBLOCK` does not; for files it means nothing.
pub(crate) fn open_file(path: &Path) -> io::Result<(File, Metadata)> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let about = file.metadata()?;
    Ok((file, about))
}

impl KernelImage {
    /// The kernel in `file`: an ELF file (`vmlinux`) or a bzImage (`vmlinuz`).
    ///
    /// `room` is the guest's memory. A few kilobytes of a packed file can stand for gigabytes, and
    /// they would be this process's before any limit of the guest's counts: no more is unpacked than
    /// the guest could hold, and never more than [`MAX_UNPACKED_BYTES`].
    ///
    /// # Errors
    ///
    /// [`Error::Kernel`] with what is wrong with the file: no kernel, truncated, for another
    /// processor, without 64-bit entry, or packed in a way that is not known here.
    pub fn read(file: &Path, room: u64) -> Result<Self> {
        Self::open(file, room).map_err(|source| Error::Kernel { file: file.to_owned(), source })
    }

    fn open(path: &Path, room: u64) -> std::result::Result<Self, KernelError> {
        let (file, about) = open_file(path)?;
        if !about.is_file() {
            return Err(KernelError::NotKernel { what: whatis::kind(about.file_type()).into() });
        }
        if about.len() >= 4 && vmlinux::is_elf(&file)? {
            if about.len() > MAX_BYTES {
                return Err(KernelError::TooLarge { bytes: about.len(), limit: MAX_BYTES });
            }
            let headers = vmlinux::headers(&ReadCache::new(&file))?;
            let (elf, packing) = (Contents::File(file), Packing::None);
            return Ok(Self { elf, packing, release: None, headers });
        }
        if about.len() > MAX_PACKED_BYTES {
            let mut start = vec![0; whatis::START_BYTES];
            file.read_exact_at(&mut start, 0)?;
            return Err(whatis::refuse(&start));
        }
        let mut bytes = Vec::new();
        // It may have grown since.
        file.take(MAX_PACKED_BYTES).read_to_end(&mut bytes)?;
        Self::from_bytes(bytes, room)
    }

    /// The same kernel from the contents of its file.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_bytes(bytes: Vec<u8>, room: u64) -> std::result::Result<Self, KernelError> {
        let (elf, packing, release) = match bzimage::parse(&bytes)? {
            Some(image) => {
                let (elf, packing) = bzimage::unpack_payload(image.payload, room)?;
                (elf, packing, image.release)
            }
            None if bytes.starts_with(vmlinux::MAGIC) => (bytes, Packing::None, None),
            None => return Err(whatis::refuse(&bytes)),
        };
        let headers = vmlinux::headers(&*elf)?;
        Ok(Self { elf: Contents::Memory(elf), packing, release, headers })
    }

    /// How the kernel was packed in its file.
    pub fn packing(&self) -> Packing {
        self.packing
    }

    /// The physical address of the 64-bit entry: long mode, paging on, `rsi` at the boot parameters.
    pub fn entry(&self) -> u64 {
        self.headers.entry
    }

    /// The physical address of the PVH entry, if it has one: 32-bit protected mode without paging,
    /// `ebx` at the start info.
    pub fn pvh_entry(&self) -> Option<u32> {
        self.headers.pvh_entry
    }

    /// What is to be loaded where.
    pub fn segments(&self) -> &[KernelSegment] {
        &self.headers.segments
    }

    /// The first physical address after the kernel.
    pub fn end(&self) -> u64 {
        self.segments().iter().map(KernelSegment::end).max().unwrap_or(0)
    }

    /// The length of the unpacked ELF file.
    ///
    /// # Errors
    ///
    /// When the file cannot be asked.
    pub fn elf_bytes(&self) -> io::Result<u64> {
        match &self.elf {
            Contents::File(file) => Ok(file.metadata()?.len()),
            Contents::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `buffer` from the unpacked ELF file, from `offset` on.
    ///
    /// # Errors
    ///
    /// When the file ends before, or cannot be read any more.
    pub fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        match &self.elf {
            Contents::File(file) => file.read_exact_at(buffer, offset),
            Contents::Memory(bytes) => {
                let from = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
                let part = from.and_then(|rest| rest.get(..buffer.len()));
                buffer.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
                Ok(())
            }
        }
    }

    /// Calls `each` with what is in `length` bytes of the ELF file from `offset` on, piece by piece,
    /// and how far into them a piece begins.
    fn pieces<E: From<io::Error>>(
        &self,
        offset: u64,
        length: u64,
        mut each: impl FnMut(u64, &[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut buffer = vec![0; CHUNK];
        let mut done = 0;
        while done < length {
            let piece = &mut buffer[..(length - done).min(CHUNK as u64) as usize];
            self.read_at(offset + done, piece)?;
            each(done, piece)?;
            done += piece.len() as u64;
        }
        Ok(())
    }

    /// Hands every segment's bytes to `write`, piece by piece, with the physical address of each.
    /// What a segment has beyond its bytes is zeros, as fresh guest memory is.
    ///
    /// # Errors
    ///
    /// When the file is not readable any more, and what `write` says.
    pub fn load<E: From<io::Error>>(
        &self,
        mut write: impl FnMut(u64, &[u8]) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        for segment in self.segments() {
            self.pieces(segment.offset, segment.file_bytes, |done, piece| {
                write(segment.address + done, piece)
            })?;
        }
        Ok(())
    }

    /// Writes the unpacked ELF file.
    ///
    /// # Errors
    ///
    /// When one of the two files fails.
    pub fn write_elf(&self, to: &mut impl Write) -> io::Result<()> {
        self.pieces(0, self.elf_bytes()?, |_, piece| to.write_all(piece))
    }

    /// The kernel's release, what `uname -r` says in it: `6.1.0-56-cloud-amd64`.
    ///
    /// A bzImage names it in its header. In an ELF file it is found in the line that the kernel
    /// prints first, for which the file is searched.
    ///
    /// # Errors
    ///
    /// When the file is not readable any more.
    pub fn release(&self) -> io::Result<Option<String>> {
        if self.release.is_some() {
            return Ok(self.release.clone());
        }
        let mut found = None;
        for segment in self.segments() {
            // What is left of one piece may be the beginning of the line.
            let mut left: Vec<u8> = Vec::new();
            self.pieces(segment.offset, segment.file_bytes, |_, piece| {
                if found.is_none() {
                    left.extend_from_slice(piece);
                    found = release_in(&left);
                    left.drain(..left.len().saturating_sub(BANNER.len() + MAX_RELEASE));
                }
                io::Result::Ok(())
            })?;
        }
        Ok(found)
    }
}

/// The line in which the kernel in `file` names its release, its maker and what it was built for.
/// `None` of a file that has no setup header, such as an ELF file.
pub fn version(file: &Path) -> Option<String> {
    // The line lies in the real-mode part, whose offset of it has 16 bits.
    const START: u64 = 0x200 + 0x1_0000 + 512;
    let mut start = Vec::new();
    let file = File::open(file).ok().filter(|file| file.metadata().is_ok_and(|it| it.is_file()))?;
    file.take(START).read_to_end(&mut start).ok()?;
    bzimage::version_line(&start)
}

/// The word after the banner, if it is a release and all of it is there.
fn release_in(bytes: &[u8]) -> Option<String> {
    memchr::memmem::find_iter(bytes, BANNER).find_map(|at| release_of(&bytes[at + BANNER.len()..]))
}

/// The word at the beginning of `text`, if it is a release.
fn release_of(text: &[u8]) -> Option<String> {
    let end =
        text.iter().take(MAX_RELEASE + 1).position(|byte| matches!(byte, 0 | b' ' | b'\n'))?;
    let word = &text[..end];
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b".-+_~".contains(byte);
    let right = word.first().is_some_and(u8::is_ascii_digit) && word.iter().all(plain);
    right.then(|| String::from_utf8_lossy(word).into_owned())
}

#[cfg(test)]
pub(crate) mod tests;
