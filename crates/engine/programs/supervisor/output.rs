//! One stream of the container's output: it is read in chunks, and the next one only when all who
//! want this one have it.

use crate::{
    buffer::Buffer,
    calls::{Descriptor, Errno, Polled, Result},
    pages,
};

/// How much is read at once, and the most bytes of output in one frame.
pub const CHUNK: usize = 64 << 10;

/// One stream.
pub struct Output {
    descriptor: Option<Descriptor>,
    /// What was read and not yet delivered to all.
    chunk: Buffer,
    /// How much is read at most after the process has ended.
    budget: Option<usize>,
    /// No one has the terminal open at the moment, so that there is nothing to wait for.
    is_deserted: bool,
}

impl Output {
    pub fn new() -> Result<Self> {
        let chunk = pages::buffer(CHUNK)?;
        Ok(Self { descriptor: None, chunk, budget: None, is_deserted: false })
    }

    pub fn open(&mut self, descriptor: Option<Descriptor>) {
        self.descriptor = descriptor;
    }

    /// The process has ended: what it wrote is in the pipe. What else may hold the other end, such as
    /// a command in the background, does not keep this process: it reads on while there is something,
    /// but no more than the largest pipe holds (pipe(7), /proc/sys/fs/pipe-max-size).
    pub fn end(&mut self) {
        self.budget = Some(1 << 20);
    }

    /// Whether everything was read and delivered.
    pub fn is_finished(&self) -> bool {
        self.descriptor.is_none() && self.chunk.is_empty()
    }

    /// What is to be delivered.
    pub fn chunk(&self) -> &[u8] {
        self.chunk.filled()
    }

    /// Everyone has the chunk.
    pub fn delivered(&mut self) {
        self.chunk.clear();
    }

    /// Whether there might be something to read that [`Self::polled`] does not tell of.
    pub fn is_deserted(&self) -> bool {
        self.is_deserted && self.descriptor.is_some()
    }

    /// Reads the next chunk if this one is delivered. Returns whether there is one.
    pub fn read(&mut self) -> bool {
        let Some(descriptor) = self.descriptor.as_ref().filter(|_| self.chunk.is_empty()) else {
            return false;
        };
        self.is_deserted = false;
        match descriptor.read(self.chunk.spare()) {
            Ok(count @ 1..) => {
                self.chunk.grow(count);
                self.budget = self.budget.map(|budget| budget.saturating_sub(count));
                if self.budget == Some(0) {
                    self.descriptor = None;
                }
                return true;
            }
            Err(Errno::INTERRUPTED) => {}
            Err(Errno::AGAIN) if self.budget.is_none() => {}
            // A terminal that no process has open now: some init systems open it again.
            Err(Errno::IO) if self.budget.is_none() => self.is_deserted = true,
            _ => self.descriptor = None,
        }
        false
    }

    /// What to wait for.
    pub fn polled(&self) -> Polled {
        match &self.descriptor {
            Some(descriptor) if self.chunk.is_empty() && !self.is_deserted => {
                Polled::of(descriptor, Polled::READ)
            }
            _ => Polled::NONE,
        }
    }

    /// The buffer, to release its memory.
    pub fn buffer(&mut self) -> &mut Buffer {
        &mut self.chunk
    }
}
