//! A directory of the host's, which a guest reads. virtio, section 5.11.
//!
//! A disk gives a guest blocks, and what they mean is the guest's affair: two kernels cannot have one
//! disk mounted and write to it. Here the host keeps its file system, and the guest asks for files.
//! What it asks in is FUSE, the language in which Linux speaks with a file system outside of its
//! kernel; here outside is on the other side of the machine's wall.
//!
//! ```text
//!   guest: open("/data/a")        | host: this folder
//!   virtiofs, a driver of Linux  --> message: what is asked for, judged
//!   queue                       <-->  server: does it, read-only
//!                                     nodes: the files that the guest knows   handles: what it has open
//!                                     tree: the way to them, openat2(2) from one descriptor
//!                                <--  reply: as Linux lays answers out
//! ```
//!
//! Why this and not 9P, the other protocol for it: the kernels that distributions make for virtual
//! machines have this driver, and Debian's lack the other.

mod handles;
mod message;
mod nodes;
mod reply;
mod server;
#[cfg(test)]
mod tests;
mod tree;

pub use tree::SharedTree;

use message::{LONGEST, Operation, Request};
use server::{PAGES, Server};

use super::{Broken, Chain, Device, Queues, Shape};

/// The length of a device's name in its configuration (section 5.11.4).
const TAG: usize = 36;
/// One queue for what must not wait (files to forget), and one for all else.
const URGENT: Shape = Shape { size: 16, bytes: LONGEST as u64 };
const REQUESTS: Shape =
    Shape { size: 256, bytes: message::HEADER as u64 + PAGES as u64 * 4096 + LONGEST as u64 };

/// A shared directory of a guest.
#[derive(Debug)]
pub struct SharedDirectory {
    server: Server,
    tag: String,
}

impl SharedDirectory {
    /// The directory `tree`, which the guest mounts by the name `tag` and has at most so many files
    /// `open` of.
    pub fn new(tree: SharedTree, tag: impl Into<String>, open: usize) -> Self {
        Self { server: Server::new(tree, open), tag: tag.into() }
    }

    /// Answers one message, and gives the number of bytes.
    fn answer(&mut self, chain: &mut Chain<'_>) -> Result<usize, Broken> {
        let length = chain.readable.length();
        let mut bytes = vec![0; length.min(LONGEST)];
        chain.readable.copy_to(&mut bytes);
        let request = Request::of(&bytes, length).ok_or(Broken::Malformed("header"))?;
        if let (Ok(Operation::Forget(files)), true) =
            (&request.operation, chain.writable.is_empty())
        {
            self.server.forget(files);
            return Ok(0);
        }
        let mut room = std::mem::take(&mut chain.writable);
        let header = room.take(reply::HEADER);
        if header.length() < reply::HEADER {
            return Err(Broken::Malformed("room for an answer"));
        }
        let unique = request.unique;
        let result = self.server.answer(request, room);
        header.copy_from(&reply::header(unique, result));
        Ok(reply::HEADER + result.unwrap_or(0))
    }
}

impl Device for SharedDirectory {
    fn name(&self) -> &'static str {
        "virtio-fs"
    }

    fn number(&self) -> u32 {
        26
    }

    fn queues(&self) -> Vec<Shape> {
        vec![URGENT, REQUESTS]
    }

    fn config(&self) -> Vec<u8> {
        let mut config = self.tag.clone().into_bytes();
        config.resize(TAG, 0);
        config.extend(1u32.to_le_bytes()); // queues for requests
        config
    }

    fn serve(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        while let Some(mut chain) = queues.pop(number)? {
            let written = self.answer(&mut chain)?;
            queues.push(number, chain.head, written as u32)?;
        }
        Ok(())
    }

    fn reset(&mut self) {
        self.server.reset();
    }

    /// It opens files, which no virtual CPU can.
    fn needs_its_own_thread(&self) -> bool {
        true
    }
}
