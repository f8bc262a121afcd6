//! What a guest has open: a number for each, and the host's descriptor behind it.

use std::{
    collections::HashMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::io::Errno;

/// What was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file, for reading.
    File,
    /// A directory.
    Directory,
}

/// The table of them.
#[derive(Debug)]
pub struct Handles {
    open: HashMap<u64, (Kind, OwnedFd)>,
    next: u64,
    most: usize,
}

impl Handles {
    /// An empty one, for `most` at once: the launcher's descriptors are numbered.
    pub fn new(most: usize) -> Self {
        Self { open: HashMap::new(), next: 1, most }
    }

    /// Whether another fits in.
    ///
    /// # Errors
    ///
    /// ENFILE if not.
    pub fn have_room(&self) -> Result<(), Errno> {
        if self.open.len() < self.most { Ok(()) } else { Err(Errno::NFILE) }
    }

    /// Keeps it open.
    pub fn add(&mut self, kind: Kind, file: OwnedFd) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, (kind, file));
        number
    }

    /// What is open under that number, whatever it is.
    ///
    /// # Errors
    ///
    /// EBADF if nothing is.
    pub fn any(&self, number: u64) -> Result<BorrowedFd<'_>, Errno> {
        self.open.get(&number).map(|(_, file)| file.as_fd()).ok_or(Errno::BADF)
    }

    /// What is open under that number, of that kind.
    ///
    /// # Errors
    ///
    /// EBADF if nothing is.
    pub fn get(&self, kind: Kind, number: u64) -> Result<BorrowedFd<'_>, Errno> {
        let found = self.open.get(&number).filter(|(its, _)| *its == kind);
        found.map(|(_, file)| file.as_fd()).ok_or(Errno::BADF)
    }

    /// Closes it.
    pub fn close(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Closes all.
    pub fn clear(&mut self) {
        self.open.clear();
    }
}
