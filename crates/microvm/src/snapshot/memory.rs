//! Question 2, in the middle of a life: what had the guest found in its memory?
//!
//! The file has the size of the memory, and holes where that is zero: pages that nobody touched
//! take no room. What is not zero is listed in extents, each with its checksum.
//!
//! ```text
//!   memory of the guest   |code data|000000000000000|heap|00000|stack|
//!   file                  |code data|     hole      |heap|hole |stack|
//!   list                   0x0 +9 xxh3               0x18 +4 xxh3 ...
//! ```
//!
//! A restored guest has the file for its memory, mapped privately: what it reads comes from the
//! host's page cache, the same pages for every clone, when it reads it; what it writes is its own.
//! XXH3 is no proof against forgery, and need not be: whoever can write the file can write the list.

use std::{
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::FileExt},
    thread,
};

use nix::unistd::{Whence, lseek};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;
use vm_memory::{Bytes, GuestAddress};

use crate::hex::Hex;
use crate::{
    layout::{MAX_BYTES, PAGE},
    memory::Memory,
};

/// What is zero is left out in such blocks. Of 4 KiB, the list would be ten times as long for a few
/// MiB less.
const BLOCK: usize = 64 << 10;
/// No extent is longer, so that damage has a place, and checking it needs a buffer that stays in
/// the processor's cache.
const EXTENT: usize = 256 << 10;
/// Checking is divided among so many threads, if the host has as many processors.
const THREADS: usize = 4;

/// What is in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The length of the file, and the size of the memory.
    pub bytes: u64,
    /// All that is not zero, from the start to the end.
    pub extents: Vec<Extent>,
}

/// A part of the file: where it begins, its length, and its checksum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent(Hex, Hex, Hex);

impl Extent {
    fn start(&self) -> u64 {
        self.0.0
    }

    fn end(&self) -> u64 {
        self.0.0.saturating_add(self.1.0)
    }
}

/// Why the file is not what was written.
#[derive(Debug)]
pub enum Wrong {
    /// Here it differs.
    Here(u64),
    /// It could not be read.
    Unreadable(io::Error),
}

impl From<io::Error> for Wrong {
    fn from(error: io::Error) -> Self {
        Self::Unreadable(error)
    }
}

impl Content {
    /// Writes all of `memory` to `file`, which is empty, and asks `go_on` every now and then. The
    /// file may end before the memory does, where that is zero.
    ///
    /// # Errors
    ///
    /// When the file takes no more, and what `go_on` says.
    pub fn write(
        memory: &Memory,
        file: &File,
        go_on: impl Fn() -> io::Result<()>,
    ) -> io::Result<Self> {
        let mut content = Self { bytes: memory.bytes(), extents: Vec::new() };
        let (mut piece, zeros) = (vec![0; EXTENT], vec![0; BLOCK]);
        let mut place = 0;
        for (address, bytes, _) in memory.pieces() {
            for offset in (0..bytes).step_by(EXTENT) {
                go_on()?;
                let length = EXTENT.min((bytes - offset) as usize);
                let piece = &mut piece[..length];
                let from = GuestAddress(address + offset);
                memory.ram().read_slice(piece, from).map_err(io::Error::other)?;
                let blocks: Vec<&[u8]> = piece.chunks(BLOCK).collect();
                let is_zero = |block: &&[u8]| **block == zeros[..block.len()];
                let mut at = place + offset;
                for run in blocks.chunk_by(|one, next| is_zero(one) == is_zero(next)) {
                    let (start, length) = (at, run.iter().map(|block| block.len()).sum::<usize>());
                    at += length as u64;
                    if !is_zero(&run[0]) {
                        let first = (start - place - offset) as usize;
                        let bytes = &piece[first..first + length];
                        file.write_all_at(bytes, start)?;
                        let sum = XxHash3_64::oneshot(bytes);
                        content.extents.push(Extent(Hex(start), Hex(length as u64), Hex(sum)));
                    }
                }
            }
            place += bytes;
        }
        Ok(content)
    }

    /// Whether a list can be one of ours: in order, without overlaps, within the memory.
    pub fn is_sound(&self) -> bool {
        let mut end = 0;
        let in_order = self.extents.iter().all(|extent| {
            let fits = extent.start() >= end && extent.end() > extent.start();
            end = extent.end();
            fits && extent.1.0 <= EXTENT as u64
        });
        let whole = self.bytes.is_multiple_of(PAGE) && (PAGE..=MAX_BYTES).contains(&self.bytes);
        in_order && whole && end <= self.bytes
    }

    /// Compares `file`, which has the right length, with the list.
    ///
    /// # Errors
    ///
    /// At the first difference that is found.
    pub fn check(&self, file: &File) -> Result<(), Wrong> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(THREADS);
        let share = self.extents.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            let check_all = |extents: &[Extent]| {
                let mut room = vec![0; EXTENT];
                extents.iter().try_for_each(|extent| extent.check(file, &mut room))
            };
            let parts = self.extents.chunks(share);
            let checks: Vec<_> =
                parts.map(|extents| scope.spawn(move || check_all(extents))).collect();
            let gaps = self.check_gaps(file);
            let checked = checks
                .into_iter()
                .map(|check| check.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            checked.chain([gaps]).collect()
        })
    }

    /// Between the extents all is zero. As a rule the file has holes there, and need not be read.
    fn check_gaps(&self, file: &File) -> Result<(), Wrong> {
        let mut start = 0;
        let ends = self.extents.iter().map(|extent| (extent.start(), extent.end()));
        for (end, next) in ends.chain([(self.bytes, self.bytes)]) {
            check_zero(file, start, end)?;
            start = next;
        }
        Ok(())
    }
}

impl Extent {
    fn check(&self, file: &File, room: &mut [u8]) -> Result<(), Wrong> {
        let bytes = &mut room[..self.1.0 as usize];
        file.read_exact_at(bytes, self.start())?;
        match XxHash3_64::oneshot(bytes) == self.2.0 {
            true => Ok(()),
            false => Err(Wrong::Here(self.start())),
        }
    }
}

fn check_zero(file: &File, start: u64, end: u64) -> Result<(), Wrong> {
    let seek = |at: u64, whence| lseek(file.as_fd(), at as i64, whence);
    let mut at = start;
    while at < end {
        // lseek(2): there is no data from here on (ENXIO), or this file system knows no holes.
        at = match seek(at, Whence::SeekData) {
            Ok(data) => data as u64,
            Err(nix::errno::Errno::ENXIO) => return Ok(()),
            Err(_) => at,
        };
        let stop = end.min(at.saturating_add(BLOCK as u64));
        if at < stop {
            let mut bytes = vec![0; (stop - at) as usize];
            file.read_exact_at(&mut bytes, at)?;
            if let Some(place) = bytes.iter().position(|byte| *byte != 0) {
                return Err(Wrong::Here(at + place as u64));
            }
            at = stop;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use sandbox::Trace;

    use super::*;

    fn memory(bytes: u64) -> Memory {
        Memory::of_a_pc(bytes, &mut Trace::default()).unwrap()
    }

    /// A memory with something at these places, and the file of it.
    fn written(bytes: u64, places: &[u64]) -> (Content, File) {
        let memory = memory(bytes);
        places.iter().for_each(|place| memory.write("test", *place, b"here").unwrap());
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        (Content::write(&memory, &file, || Ok(())).unwrap(), file)
    }

    #[test]
    fn what_was_never_touched_takes_no_room() {
        let (content, file) = written(64 << 20, &[0x1000, (32 << 20) - 2, (64 << 20) - 4]);
        let about = file.metadata().unwrap();
        assert_eq!(about.len(), 64 << 20);
        assert!(about.blocks() * 512 <= 5 * BLOCK as u64, "{} blocks", about.blocks());
        assert_eq!(content.extents.len(), 4);
        assert!(content.is_sound());
        content.check(&file).unwrap();
    }

    #[test]
    fn a_restored_memory_is_the_same_and_writes_to_itself_alone() {
        let (content, file) = written(4 << 20, &[0x1000, (4 << 20) - 4]);
        let trace = &mut Trace::default();
        let clones = [(); 2].map(|()| Memory::of_file(&file, content.bytes, trace).unwrap());
        let look = |memory: &Memory, at: u64| {
            let mut bytes = [0; 4];
            memory.read("test", at, &mut bytes).unwrap();
            bytes
        };
        clones[0].write("test", 0x1000, b"mine").unwrap();
        assert_eq!((&look(&clones[0], 0x1000), &look(&clones[1], 0x1000)), (b"mine", b"here"));
        assert_eq!((&look(&clones[1], (4 << 20) - 4), look(&clones[1], 0x2000)), (b"here", [0; 4]));
        content.check(&file).unwrap();
    }

    #[test]
    fn any_flipped_bit_is_found_in_its_place() {
        let (content, file) = written(4 << 20, &[0x1000, 3 << 20]);
        for (place, found) in [(0x1001, 0), (0x8000, 0), (3 << 20, 3 << 20), (2 << 20, 2 << 20)] {
            let mut byte = [0];
            file.read_exact_at(&mut byte, place).unwrap();
            file.write_all_at(&[byte[0] ^ 0x10], place).unwrap();
            let wrong = content.check(&file);
            assert!(matches!(wrong, Err(Wrong::Here(at)) if at == found), "{place:#x}: {wrong:?}");
            file.write_all_at(&byte, place).unwrap();
            content.check(&file).unwrap();
        }
        file.set_len(1 << 20).unwrap();
        assert!(matches!(content.check(&file), Err(Wrong::Unreadable(_))));
    }

    #[test]
    fn a_list_that_is_none_of_ours_is_not_believed() {
        let list = |bytes, extents: &[(u64, u64)]| {
            let extent = |(at, length): &(u64, u64)| Extent(Hex(*at), Hex(*length), Hex(0));
            Content { bytes, extents: extents.iter().map(extent).collect() }.is_sound()
        };
        assert!(list(PAGE, &[(0, 5), (5, 10)]));
        assert!(!list(PAGE, &[(5, 10), (0, 5)]));
        assert!(!list(PAGE, &[(0, 5), (4, 5)]));
        assert!(!list(PAGE, &[(0, 0)]));
        assert!(!list(PAGE, &[(PAGE - 1, 2)]));
        assert!(!list(PAGE, &[(u64::MAX, 1)]));
        assert!(!list(MAX_BYTES, &[(0, 64 << 20)]));
        assert!(!list(0, &[]) && !list(PAGE + 1, &[]) && !list(u64::MAX - PAGE + 1, &[]));
    }
}
