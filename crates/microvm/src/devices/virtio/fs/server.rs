//! What becomes of a guest's messages: a file system that is only read.
//!
//! There is no call in here that changes anything of the host's: files are opened for reading alone,
//! and all messages that would change something are answered EROFS before it is asked what they
//! mean ([`message`](super::message)).

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
};

use rustix::{
    fs::{FileType, OFlags, RawDir, SeekFrom, Stat, fstat, fstatfs, readlinkat, seek},
    io::Errno,
};

use super::{
    super::{Buffers, vectored},
    handles::{Handles, Kind},
    message::{Forgotten, Operation, Request, Span},
    nodes::{Identity, Nodes},
    reply::{DirectoryEntry, Reply},
    tree::SharedTree,
};

/// The version of FUSE that is spoken: that of Linux 5.4, which every later kernel speaks too.
const VERSION: [u32; 2] = [7, 31];
/// A read has so many pages of the guest's at most.
pub const PAGES: u32 = 252;
const PAGE: u32 = 4096;
/// So much of a directory is read at once.
const NAMES: usize = 32 << 10;

/// Features (`FUSE_INIT`).
mod feature {
    /// Several reads of a file at once.
    pub const ASYNC_READ: u32 = 1 << 0;
    /// Several lookups in a directory at once.
    pub const PARALLEL_DIROPS: u32 = 1 << 18;
    /// Reads of more than 32 pages.
    pub const MAX_PAGES: u32 = 1 << 22;
}

/// The file system behind a device.
#[derive(Debug)]
pub struct Server {
    tree: SharedTree,
    nodes: Nodes,
    handles: Handles,
}

impl Server {
    /// One for `tree`, of which a guest may have so many files open.
    pub fn new(tree: SharedTree, open: usize) -> Self {
        let nodes = Nodes::new(tree.identity());
        Self { tree, nodes, handles: Handles::new(open) }
    }

    /// Forgets all that the guest knew and had open.
    pub fn reset(&mut self) {
        self.nodes.clear();
        self.handles.clear();
    }

    /// The guest no longer knows these files.
    pub fn forget(&mut self, files: &[Forgotten]) {
        files.iter().for_each(|each| self.nodes.forget(each.node, each.count));
    }

    /// Does what is asked for, puts the answer into `room`, and gives its length.
    ///
    /// # Errors
    ///
    /// What the guest's kernel is to be told instead.
    pub fn answer(&mut self, request: Request<'_>, room: Buffers<'_>) -> Result<usize, Errno> {
        let Request { node, operation, .. } = request;
        let reply = match operation? {
            Operation::Init { major, max_readahead, flags } => {
                self.reset();
                agree(major, max_readahead, flags)
            }
            Operation::Lookup(name) => self.look_up(node, name)?,
            Operation::GetAttributes(handle) => {
                let stat = match handle {
                    Some(handle) => fstat(self.handles.any(handle)?)?,
                    None => self.find(node)?.1,
                };
                Reply::default().attributes_alone(self.tree.inode(&stat), &stat)
            }
            Operation::ReadLink => {
                let (link, _) = self.find(node)?;
                Reply::default().bytes(readlinkat(&link, "", Vec::new())?.as_bytes())
            }
            Operation::Open(flags) => self.open_file(node, flags)?,
            Operation::OpenDirectory => self.open_directory(node)?,
            Operation::Read(span) => return self.read(span, room),
            Operation::ReadDirectory(span) => self.read_directory(span, room.length())?,
            Operation::Release(handle) => {
                self.handles.close(handle);
                Reply::default()
            }
            Operation::FileSystem => Reply::default().file_system(&fstatfs(self.tree.root())?),
            Operation::Destroy => {
                self.reset();
                Reply::default()
            }
            Operation::Forget(files) => {
                self.forget(&files);
                Reply::default()
            }
        };
        reply.put(&room)
    }

    fn look_up(&mut self, parent: u64, name: &[u8]) -> Result<Reply, Errno> {
        let (directory, _) = self.find(parent)?;
        let stat = fstat(self.tree.find_in(directory.as_fd(), name)?)?;
        let node = self.nodes.found(parent, name, Identity::from(&stat))?;
        Ok(Reply::default().entry(node, self.tree.inode(&stat), &stat))
    }

    /// Finds a file that the guest knows, without opening it.
    fn find(&self, node: u64) -> Result<(OwnedFd, Stat), Errno> {
        self.open(node, OFlags::PATH)
    }

    /// Opens a file that the guest knows, and sees that it is still the one.
    fn open(&self, node: u64, flags: OFlags) -> Result<(OwnedFd, Stat), Errno> {
        let file =
            self.tree.open_at(&self.nodes.path(node)?, flags).map_err(|errno| match errno {
                // A directory on the way is gone, or something else stands there.
                Errno::NOENT | Errno::LOOP | Errno::NOTDIR => Errno::STALE,
                errno => errno,
            })?;
        let stat = fstat(&file)?;
        match Identity::from(&stat) == self.nodes.identity(node)? {
            true => Ok((file, stat)),
            false => Err(Errno::STALE),
        }
    }

    fn open_file(&mut self, node: u64, flags: u32) -> Result<Reply, Errno> {
        let flags = OFlags::from_bits_retain(flags);
        if flags.intersects(OFlags::ACCMODE | OFlags::TRUNC | OFlags::CREATE) {
            return Err(Errno::ROFS);
        }
        self.handles.have_room()?;
        let is_file = |stat: &Stat| match FileType::from_raw_mode(stat.st_mode).is_file() {
            true => Ok(()),
            false => Err(Errno::ACCESS),
        };
        // First it is found only: opening a pipe or a device of the host's does something to it.
        is_file(&self.find(node)?.1)?;
        let (file, stat) = self.open(node, OFlags::RDONLY)?;
        is_file(&stat)?;
        Ok(Reply::default().opened(self.handles.add(Kind::File, file)))
    }

    fn open_directory(&mut self, node: u64) -> Result<Reply, Errno> {
        self.handles.have_room()?;
        let (directory, _) = self.open(node, OFlags::RDONLY | OFlags::DIRECTORY)?;
        Ok(Reply::default().opened(self.handles.add(Kind::Directory, directory)))
    }

    fn read(&self, span: Span, mut room: Buffers<'_>) -> Result<usize, Errno> {
        let file = self.handles.get(Kind::File, span.handle)?;
        let into = room.take(span.size as usize);
        vectored::read_at(file, span.offset, into).map_err(|error| errno(&error))
    }

    fn read_directory(&self, span: Span, room: usize) -> Result<Reply, Errno> {
        let directory = self.handles.get(Kind::Directory, span.handle)?;
        let own = self.tree.inode(&fstat(directory)?);
        let most = room.min(span.size as usize).min(NAMES);
        seek(directory, SeekFrom::Start(span.offset))?;
        let mut buffer = [MaybeUninit::uninit(); NAMES];
        let mut names = RawDir::new(directory, &mut buffer);
        let mut reply = Reply::default();
        while let Some(entry) = names.next() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            // What is above the shared directory has no number in here.
            let inode = if matches!(name, b"." | b"..") { own } else { entry.ino() };
            let next = entry.next_entry_cookie();
            if !reply.name(most, &DirectoryEntry { inode, next, kind: entry.file_type(), name }) {
                // An empty answer would be the directory's end.
                return if reply.is_empty() { Err(Errno::INVAL) } else { Ok(reply) };
            }
        }
        Ok(reply)
    }
}

/// The answer to a kernel that begins (`struct fuse_init_out`).
fn agree(major: u32, max_readahead: u32, flags: u32) -> Reply {
    // With another first number a kernel asks again, in the language that it was told.
    let known = match major == VERSION[0] {
        true => feature::ASYNC_READ | feature::PARALLEL_DIROPS | feature::MAX_PAGES,
        false => 0,
    };
    let most = PAGES * PAGE;
    Reply::default()
        .words(&VERSION)
        .words(&[max_readahead.min(most), flags & known])
        // Requests in the background, of which some are congestion: the kernel's own choice.
        .words(&[0])
        // The longest write, and to what a time is exact: to the nanosecond.
        .words(&[PAGE, 1])
        .words(&[PAGES])
        .words(&[0; 8])
}

fn errno(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}
