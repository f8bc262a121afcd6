//! A chain of buffers: one request of a driver.
//!
//! First come the buffers that the device reads, then those that it writes. How the driver cuts a
//! request into buffers is its own affair (virtio, section 2.6.4): a device sees two runs of bytes.
//!
//! ```text
//!   readable  [header..][data.........]
//!   writable                            [data....][status]
//! ```
//!
//! All buffers were found in the guest's memory when the chain was taken. From then on they are
//! ranges of this process, and nothing that the guest does moves them.

use vm_memory::{GuestAddress, GuestMemoryBackend, VolatileSlice};

use super::{Broken, descriptor::Descriptor};
use crate::ram::Ram;

/// A request.
#[derive(Debug)]
pub struct Chain<'m> {
    /// The number of its first descriptor, by which it is given back.
    pub head: u16,
    /// What the driver wrote for us.
    pub readable: Buffers<'m>,
    /// Where the driver wants an answer.
    pub writable: Buffers<'m>,
    /// It may have no more bytes than these.
    limit: u64,
}

impl<'m> Chain<'m> {
    pub(super) fn new(head: u16, limit: u64) -> Self {
        Self { head, readable: Buffers::default(), writable: Buffers::default(), limit }
    }

    /// Adds the buffer of `descriptor`.
    pub(super) fn add(&mut self, memory: &'m Ram, descriptor: &Descriptor) -> Result<(), Broken> {
        let (address, length) = (descriptor.address(), descriptor.length() as usize);
        if descriptor.is_indirect() {
            return Err(Broken::Indirect);
        }
        if (self.readable.length() + self.writable.length() + length) as u64 > self.limit {
            return Err(Broken::TooLong { limit: self.limit });
        }
        let buffers = match descriptor.is_writable() {
            true => &mut self.writable,
            false if self.writable.is_empty() => &mut self.readable,
            false => return Err(Broken::Order),
        };
        // A buffer may lie across two regions of memory.
        for slice in memory.get_slices(GuestAddress(address), length) {
            let slice = slice.map_err(|_| Broken::Outside { address, length: length as u64 })?;
            buffers.slices.push(slice);
            buffers.length += slice.len();
        }
        Ok(())
    }
}

/// A run of bytes in the guest's memory.
#[derive(Debug, Default)]
pub struct Buffers<'m> {
    slices: Vec<VolatileSlice<'m>>,
    length: usize,
}

impl<'m> Buffers<'m> {
    /// Number of bytes.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Whether there is not one byte.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The pieces in which they lie in this process.
    pub fn slices(&self) -> &[VolatileSlice<'m>] {
        &self.slices
    }

    /// Cuts the first `count` bytes off, or all if there are fewer, and gives them.
    pub fn take(&mut self, count: usize) -> Buffers<'m> {
        let mut taken = Buffers::default();
        let mut kept = Buffers::default();
        for slice in self.slices.drain(..) {
            let place = (count - taken.length).min(slice.len());
            let (first, second) = slice.split_at(place).expect("the place is within the slice");
            taken.add(first);
            kept.add(second);
        }
        *self = kept;
        taken
    }

    /// Cuts the last `count` bytes off; none if there are fewer.
    pub fn take_last(&mut self, count: usize) -> Option<Buffers<'m>> {
        let rest = self.length.checked_sub(count)?;
        let first = self.take(rest);
        Some(std::mem::replace(self, first))
    }

    pub(super) fn add(&mut self, slice: VolatileSlice<'m>) {
        if !slice.is_empty() {
            self.length += slice.len();
            self.slices.push(slice);
        }
    }

    /// Copies the bytes out to `to`, as many as fit, and gives their number.
    pub fn copy_to(&self, to: &mut [u8]) -> usize {
        let mut done = 0;
        for slice in &self.slices {
            done += slice.copy_to(&mut to[done..]);
        }
        done
    }

    /// Copies `from` in, as much as fits, and gives the number of bytes.
    pub fn copy_from(&self, from: &[u8]) -> usize {
        let mut done = 0;
        for slice in &self.slices {
            let count = slice.len().min(from.len() - done);
            slice.copy_from(&from[done..done + count]);
            done += count;
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use vm_memory::Bytes;

    use super::*;

    /// "abcdefghij" in pieces of 3, 0, 5 and 2 bytes.
    fn cut(memory: &Ram) -> Buffers<'_> {
        memory.write_slice(b"abcdefghij", GuestAddress(0)).unwrap();
        let mut buffers = Buffers::default();
        for (address, length) in [(0, 3), (3, 0), (3, 5), (8, 2)] {
            let slices = memory.get_slices(GuestAddress(address), length);
            slices.for_each(|slice| buffers.add(slice.unwrap()));
        }
        buffers
    }

    fn text(buffers: &Buffers<'_>) -> String {
        let mut bytes = vec![0; buffers.length()];
        assert_eq!(buffers.copy_to(&mut bytes), bytes.len());
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_run_of_bytes_is_cut_at_any_place() {
        let memory = super::super::driver::memory();
        for place in 0..=10 {
            let mut rest = cut(&memory);
            let first = rest.take(place);
            assert_eq!((text(&first) + &text(&rest)).as_str(), "abcdefghij");
            assert_eq!(first.length(), place);
            let mut first = cut(&memory);
            let last = first.take_last(place).unwrap();
            assert_eq!((text(&first) + &text(&last)).as_str(), "abcdefghij");
            assert_eq!(last.length(), place);
        }
    }

    #[test]
    fn there_is_no_more_to_cut_off_than_there_is() {
        let memory = super::super::driver::memory();
        assert_eq!(cut(&memory).take(11).length(), 10);
        assert!(cut(&memory).take_last(11).is_none());
    }

    #[test]
    fn a_copy_ends_with_the_shorter_side() {
        let memory = super::super::driver::memory();
        let buffers = cut(&memory);
        let mut four = [0; 4];
        assert_eq!((buffers.copy_to(&mut four), &four), (4, b"abcd"));
        assert_eq!(buffers.copy_to(&mut [0; 20]), 10);
        assert_eq!(buffers.copy_from(b"ABCD"), 4);
        assert_eq!(text(&buffers), "ABCDefghij");
        assert_eq!(buffers.copy_from(&[b'x'; 20]), 10);
        assert_eq!(text(&buffers), "xxxxxxxxxx");
    }
}
