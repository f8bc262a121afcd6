//! What was read last from the process, for all clients that want it: the next piece is read when all
//! of them have this one. So a slow client slows the process down, and nothing is lost or piles up.

use super::{
    buffer::Buffer,
    calls::{Descriptor, Result},
    entry::Stream,
    pages,
};

/// How much is read at once.
const PIECE: usize = 64 << 10;

/// A piece of output.
pub struct Output {
    pub stream: Stream,
    buffer: Buffer,
}

impl Output {
    pub fn new() -> Result<Self> {
        Ok(Self { stream: Stream::Stdout, buffer: pages::buffer(PIECE)? })
    }

    /// Reads the next piece; how much it is, 0 at the end of the stream.
    pub fn read(&mut self, from: &Descriptor, stream: Stream) -> Result<usize> {
        self.stream = stream;
        self.buffer.clear();
        let count = from.read(self.buffer.spare())?;
        self.buffer.grow(count);
        Ok(count)
    }

    /// The piece.
    pub fn bytes(&self) -> &[u8] {
        self.buffer.filled()
    }

    /// Forgets it.
    pub fn clear(&mut self) {
        self.buffer.clear();
    }

    /// Returns its memory.
    pub fn release(&mut self) {
        pages::release(&mut self.buffer);
    }
}
