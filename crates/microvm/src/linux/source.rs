//! Bytes on their way into a guest: a file of the user's, or what isolab makes as it is loaded.

use std::{
    fs::File,
    io::{self, Write},
    path::Path,
};

use crate::{
    error::{Error, Result},
    initramfs::Root,
    kernel,
    memory::Memory,
};

/// A piece of an initramfs, wherever its bytes are.
#[derive(Debug)]
pub enum Source {
    /// In a file, which is read when it is loaded.
    File {
        /// The file.
        file: File,
        /// Its length when it was opened.
        length: u64,
    },
    /// In this process.
    Bytes(Vec<u8>),
    /// A root, of which the archive is written straight into the guest's memory.
    Root(Root),
}

impl Source {
    /// The regular file at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be opened, or is none.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |source| Error::Read { program: path.to_owned(), source };
        let (file, about) = kernel::open_file(path).map_err(failed)?;
        if !about.is_file() {
            return Err(failed(io::Error::other("it is not a regular file")));
        }
        Ok(Self::File { file, length: about.len() })
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        match self {
            Self::File { length, .. } => *length,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Root(root) => root.bytes(),
        }
    }

    /// Copies all of it to the guest's `address`; a file's bytes go there straight.
    ///
    /// # Errors
    ///
    /// When a file has shrunk, or there is no room.
    pub fn copy_to(&self, memory: &Memory, address: u64) -> Result<()> {
        match self {
            Self::File { file, length } => {
                let length = usize::try_from(*length).unwrap_or(usize::MAX);
                memory.fill("initramfs", address, file, length)
            }
            Self::Bytes(bytes) => memory.write("initramfs", address, bytes),
            Self::Root(root) => {
                root.write(io::BufWriter::with_capacity(1 << 16, Writer { memory, address }))?;
                Ok(())
            }
        }
    }
}

/// Writes into a guest's memory, on from an address.
struct Writer<'m> {
    memory: &'m Memory,
    address: u64,
}

impl Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.memory.write("initramfs", self.address, bytes);
        written.map_err(io::Error::other)?;
        self.address += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
