//! The blocks of a tar archive: headers, and the content behind them.

use std::io::{self, Read};

use tar::Header;

use super::error::invalid;

/// The unit of an archive.
pub(super) const BLOCK: usize = 512;

/// How long a name, the records of an entry, or a map may be, as in Go's archive/tar.
pub(super) const MAX_EXTENSION: u64 = 1 << 20;

/// An archive that is being read.
pub(crate) struct Reader<R> {
    input: R,
    /// Bytes of the last entry's content that were not read, and its padding.
    pub(super) left: u64,
    padding: u64,
}

impl<R: Read> Reader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self { input, left: 0, padding: 0 }
    }

    /// A block that is a header; none at the end, which is a block of zeros or of the input.
    pub(super) fn header(&mut self) -> io::Result<Option<Header>> {
        let mut header = Header::new_old();
        let block = header.as_mut_bytes();
        let mut length = 0;
        while length < BLOCK {
            match self.input.read(&mut block[length..]) {
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(cut_off()),
                Ok(more) => length += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        /// The checksum's own field counts as spaces.
        const CHECKSUM: std::ops::Range<usize> = 148..156;
        let own = block[CHECKSUM].iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let all = block.iter().map(|byte| u32::from(*byte)).sum::<u32>();
        let sum = all - own + 8 * u32::from(b' ');
        match header.cksum() {
            Ok(stated) if stated == sum => Ok(Some(header)),
            _ => Err(invalid("not a tar archive, or damaged: the checksum of a header is wrong")),
        }
    }

    /// Whether the first block is a header, so that this is an archive.
    pub(crate) fn begins_with_a_header(mut self) -> bool {
        self.header().is_ok_and(|header| header.is_some())
    }

    /// Reads up to a buffer of the entry's content; 0 at its end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        loop {
            match self.input.read(&mut buffer[..most]) {
                Ok(0) => return Err(cut_off()),
                Ok(length) => {
                    self.left -= length as u64;
                    return Ok(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Blocks between a header and its content.
    pub(super) fn block(&mut self) -> io::Result<[u8; BLOCK]> {
        let mut block = [0; BLOCK];
        self.input.read_exact(&mut block)?;
        Ok(block)
    }

    /// A block of the content.
    pub(super) fn block_of_content(&mut self) -> io::Result<[u8; BLOCK]> {
        self.left = self
            .left
            .checked_sub(BLOCK as u64)
            .ok_or_else(|| invalid("the map of a sparse file does not end"))?;
        self.block()
    }

    pub(super) fn content(&mut self, size: u64) -> io::Result<()> {
        let end = size.checked_next_multiple_of(BLOCK as u64);
        let end = end.ok_or_else(|| invalid("the size of an entry is out of range"))?;
        (self.left, self.padding) = (size, end - size);
        Ok(())
    }

    pub(super) fn extension(&mut self, size: u64) -> io::Result<Vec<u8>> {
        if size > MAX_EXTENSION {
            let text = format!("a name or record is longer than {MAX_EXTENSION} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        self.content(size)?;
        let mut bytes = vec![0; usize::try_from(size).expect("it was just compared")];
        self.input.read_exact(&mut bytes)?;
        self.left = 0;
        Ok(bytes)
    }

    pub(super) fn skip(&mut self) -> io::Result<()> {
        let rest = self.left.saturating_add(self.padding);
        (self.left, self.padding) = (0, 0);
        let skipped = io::copy(&mut (&mut self.input).take(rest), &mut io::sink())?;
        if skipped < rest { Err(cut_off()) } else { Ok(()) }
    }
}

fn cut_off() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the archive is cut off")
}
