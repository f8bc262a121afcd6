//! Sparse files: a map says where the pieces of the content belong; the rest are holes.
//!
//! ```text
//!   GNU          the map is in the header, and in blocks after it
//!   PAX 0.0      records: GNU.sparse.offset, GNU.sparse.numbytes, ..
//!   PAX 0.1      a record: GNU.sparse.map
//!   PAX 1.0      decimal lines before the content, padded to 512 bytes
//! ```
//!
//! Source: GNU tar's manual, "Storing Sparse Files".

use std::{
    collections::VecDeque,
    io::{self, Read},
};

use tar::{GnuExtSparseHeader, GnuSparseHeader, Header};

use super::{
    blocks::{BLOCK, MAX_EXTENSION, Reader},
    error::invalid,
    records::{Records, number},
};

/// How many pieces a file may have: an old map costs an archive 24 bytes for each.
const MAX_PIECES: usize = MAX_EXTENSION as usize / 16;

/// Where the content of a sparse file belongs.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// The length of the file.
    pub(super) size: u64,
    /// Offset and length of each piece.
    pub(super) pieces: Vec<(u64, u64)>,
}

impl Map {
    /// Refuses a map in which pieces overlap or go beyond the file, or that is of another content.
    pub(super) fn verify(&self, content: u64) -> io::Result<()> {
        let (mut end, mut sum) = (0, 0);
        for (offset, length) in &self.pieces {
            let begins = *offset >= end;
            let stop = offset.checked_add(*length).filter(|stop| begins && *stop <= self.size);
            end = stop.ok_or_else(|| invalid("the pieces of a sparse file are out of order"))?;
            sum += length;
        }
        match sum == content && i64::try_from(self.size).is_ok() {
            true => Ok(()),
            false => Err(invalid("the map of a sparse file does not fit its content")),
        }
    }

    fn add(&mut self, pieces: &[GnuSparseHeader]) -> io::Result<()> {
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            self.pieces.push((piece.offset()?, piece.length()?));
        }
        if self.pieces.len() > MAX_PIECES { Err(too_many()) } else { Ok(()) }
    }
}

/// The content of a sparse file with zeros in its holes.
pub(crate) struct Filled<'a, R> {
    archive: &'a mut Reader<R>,
    size: u64,
    /// The next byte of the file.
    at: u64,
    /// Offset and length of the pieces that were not read to their ends.
    pieces: VecDeque<(u64, u64)>,
}

impl<'a, R> Filled<'a, R> {
    /// A file of `size` bytes, of which the archive has `pieces`.
    pub(super) fn new(archive: &'a mut Reader<R>, size: u64, pieces: Vec<(u64, u64)>) -> Self {
        Self { archive, size, at: 0, pieces: pieces.into() }
    }
}

impl<R: Read> Read for Filled<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.pieces.front().is_some_and(|(offset, length)| offset + length <= self.at) {
            self.pieces.pop_front();
        }
        let next = self.pieces.front().copied();
        let (is_hole, end) = match next {
            Some((offset, length)) if offset <= self.at => (false, offset + length),
            Some((offset, _)) => (true, offset),
            None => (true, self.size),
        };
        let most = usize::try_from(end - self.at).unwrap_or(usize::MAX).min(buffer.len());
        let buffer = &mut buffer[..most];
        let length = if is_hole {
            buffer.fill(0);
            most
        } else {
            self.archive.read(buffer)?
        };
        self.at += length as u64;
        Ok(length)
    }
}

/// The map of GNU's own format, which goes on in blocks before the content.
pub(super) fn of_header<R: Read>(reader: &mut Reader<R>, header: &Header) -> io::Result<Map> {
    let gnu = header.as_gnu().ok_or_else(|| invalid("a sparse file without GNU's header"))?;
    let mut map = Map { size: gnu.real_size()?, pieces: Vec::new() };
    map.add(&gnu.sparse)?;
    let mut continues = gnu.is_extended();
    while continues {
        let mut more = GnuExtSparseHeader::new();
        more.as_mut_bytes().copy_from_slice(&reader.block()?);
        map.add(more.sparse())?;
        continues = more.is_extended();
    }
    Ok(map)
}

/// The map of a PAX archive, if the file is sparse.
pub(super) fn of_records<R: Read>(
    reader: &mut Reader<R>,
    records: &Records,
) -> io::Result<Option<Map>> {
    let sparse = &records.sparse;
    let is_sparse = sparse.version.is_some() || sparse.size.is_some() || !sparse.numbers.is_empty();
    if !is_sparse {
        return Ok(None);
    }
    let size = sparse.size.ok_or_else(|| invalid("a sparse file without its size"))?;
    let numbers = match sparse.version.as_deref() {
        None | Some(b"0") => sparse.numbers.clone(),
        Some(b"1") => numbers_of_content(reader)?,
        Some(_) => return Err(invalid("a sparse file of a version that isolab does not know")),
    };
    if numbers.len() % 2 != 0 {
        return Err(invalid("the map of a sparse file is cut off"));
    }
    let pieces = numbers.chunks_exact(2).map(|piece| (piece[0], piece[1]));
    Ok(Some(Map { size, pieces: pieces.collect() }))
}

/// The lines before the content: how many pieces, and an offset and a length for each.
fn numbers_of_content<R: Read>(reader: &mut Reader<R>) -> io::Result<Vec<u64>> {
    let (mut numbers, mut line, mut expected) = (Vec::new(), Vec::new(), None);
    loop {
        for byte in reader.block_of_content()? {
            if byte != b'\n' {
                line.push(byte);
                continue;
            }
            let parsed =
                number(&line).ok_or_else(|| invalid("the map of a sparse file is not numbers"))?;
            line.clear();
            match expected {
                None => {
                    let pieces = usize::try_from(parsed).ok().filter(|it| *it <= MAX_PIECES);
                    expected = Some(2 * pieces.ok_or_else(too_many)?);
                }
                Some(_) => numbers.push(parsed),
            }
            if expected == Some(numbers.len()) {
                return Ok(numbers);
            }
        }
        if line.len() > BLOCK {
            return Err(invalid("the map of a sparse file is not numbers"));
        }
    }
}

fn too_many() -> io::Error {
    invalid("a sparse file of too many pieces")
}
