//! Copies files out of the guest: the content of a directory, as one archive on a disk.
//!
//! The archive is cpio of the "newc" kind, as an initramfs is
//! (Documentation/driver-api/early-userspace/buffer-format.rst), because that takes the least code.
//! Only directories and files are copied; anything else has no meaning outside.

use core::ffi::CStr;

use crate::{
    calls::{self, Errno, Result},
    files, pages,
};

/// PATH_MAX of Linux.
const MAX_NAME: usize = 4096;
/// The maximum nesting of directories; each level takes a part of the stack.
const MAX_DEPTH: usize = 64;
const KIND: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;

/// Writes the archive of `directory` to the beginning of `disk`.
pub fn pack(directory: &CStr, disk: &CStr) -> Result<()> {
    let mut archive = Archive {
        disk: calls::open_device(disk)?,
        buffer: pages::buffer(BUFFER_BYTES)?,
        filled: 0,
        name: [0; MAX_NAME],
    };
    let root = files::open_at(files::HERE, directory)?;
    archive.directory(root, 0, 0)?;
    calls::close(root);
    let length = archive.extend_name(0, END)?;
    archive.header(length, 0, 0)?;
    // A disk is written in whole blocks.
    while !archive.filled.is_multiple_of(BLOCK_BYTES) {
        archive.add_byte(0)?;
    }
    archive.flush()?;
    calls::close(archive.disk);
    Ok(())
}

/// The name of the entry that ends an archive.
const END: &[u8] = b"TRAILER!!!";
/// A multiple of every disk's block size, so that the kernel need not read blocks before they are
/// overwritten.
const BLOCK_BYTES: usize = 4096;
const BUFFER_BYTES: usize = 32 * BLOCK_BYTES;

struct Archive {
    disk: usize,
    buffer: &'static mut [u8],
    filled: usize,
    /// The path of the entry being packed; a directory is identified by the length of its path.
    name: [u8; MAX_NAME],
}

impl Archive {
    /// Packs the content of the open directory, whose own path is the first `length` bytes of the
    /// name.
    fn directory(&mut self, directory: usize, length: usize, depth: usize) -> Result<()> {
        if depth == MAX_DEPTH {
            return Err(Errno::TOO_LONG);
        }
        let mut entries = [0; 1024];
        loop {
            let count = files::read_directory(directory, &mut entries)?;
            if count == 0 {
                return Ok(());
            }
            for name in files::names(entries.get(..count).unwrap_or_default()) {
                self.entry(directory, name, length, depth)?;
            }
        }
    }

    fn entry(&mut self, directory: usize, name: &CStr, length: usize, depth: usize) -> Result<()> {
        let about = files::status(directory, name)?;
        let kind = about.mode & KIND;
        if kind != DIRECTORY && kind != FILE {
            return Ok(());
        }
        let length = self.extend_name(length, name.to_bytes())?;
        let opened = files::open_at(directory, name)?;
        if kind == DIRECTORY {
            self.header(length, about.mode, 0)?;
            self.directory(opened, length, depth + 1)?;
        } else {
            self.header(length, about.mode, about.bytes)?;
            self.content(opened, about.bytes)?;
        }
        calls::close(opened);
        Ok(())
    }

    /// Appends a name to the path with this length, and returns the new length.
    fn extend_name(&mut self, length: usize, name: &[u8]) -> Result<usize> {
        let slash = if length > 0 { Some(b'/') } else { None };
        let mut end = length;
        for byte in slash.iter().chain(name) {
            *self.name.get_mut(end).ok_or(Errno::TOO_LONG)? = *byte;
            end += 1;
        }
        Ok(end)
    }

    /// Thirteen numbers of eight hexadecimal digits, and the name, of that length.
    fn header(&mut self, length: usize, mode: u32, bytes: usize) -> Result<()> {
        let bytes = u32::try_from(bytes).map_err(|_| Errno::TOO_LARGE)?;
        self.add(b"070701")?;
        for field in [0, mode, 0, 0, 1, 0, bytes, 0, 0, 0, 0, length as u32 + 1, 0] {
            for shift in (0..8).rev() {
                let digit = (field >> (4 * shift) & 0xf) as u8;
                self.add_byte(digit + if digit < 10 { b'0' } else { b'a' - 10 })?;
            }
        }
        for index in 0..length {
            let byte = self.name.get(index).copied().unwrap_or_default();
            self.add_byte(byte)?;
        }
        self.add_byte(0)?;
        self.pad()
    }

    /// Copies this many bytes of an open file; zeros if it has become shorter.
    fn content(&mut self, file: usize, mut bytes: usize) -> Result<()> {
        while bytes > 0 {
            let end = self.buffer.len().min(self.filled + bytes);
            let Some(room @ [_, ..]) = self.buffer.get_mut(self.filled..end) else {
                self.flush()?;
                continue;
            };
            match calls::read(file, room)? {
                0 => return self.zeros(bytes),
                count => {
                    self.filled += count;
                    bytes = bytes.saturating_sub(count);
                }
            }
        }
        self.pad()
    }

    fn zeros(&mut self, bytes: usize) -> Result<()> {
        for _ in 0..bytes {
            self.add_byte(0)?;
        }
        self.pad()
    }

    /// Every header and content begins at a multiple of four bytes, as every block does.
    fn pad(&mut self) -> Result<()> {
        while !self.filled.is_multiple_of(4) {
            self.add_byte(0)?;
        }
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        bytes.iter().try_for_each(|byte| self.add_byte(*byte))
    }

    #[inline(never)]
    fn add_byte(&mut self, byte: u8) -> Result<()> {
        if self.filled == self.buffer.len() {
            self.flush()?;
        }
        if let Some(place) = self.buffer.get_mut(self.filled) {
            *place = byte;
            self.filled += 1;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        let mut rest = self.buffer.get(..self.filled).unwrap_or_default();
        while !rest.is_empty() {
            let count = calls::write(self.disk, rest)?;
            rest = rest.get(count..).unwrap_or_default();
        }
        self.filled = 0;
        Ok(())
    }
}
