//! Bytes in memory of a fixed size.

/// A buffer that is filled from its start.
pub struct Buffer {
    bytes: &'static mut [u8],
    length: usize,
    /// Whether anything was written to it since its pages were last released.
    is_touched: bool,
}

impl Buffer {
    /// An empty buffer in this memory.
    pub fn new(bytes: &'static mut [u8]) -> Self {
        Self { bytes, length: 0, is_touched: false }
    }

    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    pub fn filled(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The space behind what is filled.
    pub fn spare(&mut self) -> &mut [u8] {
        self.is_touched = true;
        &mut self.bytes[self.length..]
    }

    /// That many bytes of the spare space are filled now.
    pub fn grow(&mut self, count: usize) {
        self.length += count;
    }

    /// Adds bytes, for which there must be space.
    pub fn push(&mut self, bytes: &[u8]) {
        self.spare()[..bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len();
    }

    /// Removes that many bytes at the start.
    pub fn consume(&mut self, count: usize) {
        self.bytes.copy_within(count..self.length, 0);
        self.length -= count;
    }

    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// The whole memory, if it holds nothing and was used since the last time.
    pub fn unused(&mut self) -> Option<&mut [u8]> {
        let is_unused = self.length == 0 && self.is_touched;
        self.is_touched &= !is_unused;
        is_unused.then_some(&mut *self.bytes)
    }
}
