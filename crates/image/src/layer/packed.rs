//! The archive of a layer on its way into the store: hashed as it is, and compressed.

use std::io::{self, Write};

use flate2::write::GzEncoder;

use crate::{
    compression,
    digest::{Algorithm, Digest, Digester},
};

/// Compresses an archive by gzip, and computes its diff id.
pub(crate) struct Packed<W: Write> {
    encoder: GzEncoder<W>,
    digester: Digester,
}

impl<W: Write> Packed<W> {
    /// One whose compressed bytes go to `output`.
    pub(crate) fn new(output: W) -> Self {
        Self { encoder: compression::gzip(output), digester: Digester::new(Algorithm::Sha256) }
    }

    /// Ends the compression; the diff id of what went in.
    pub(crate) fn finish(self) -> io::Result<Digest> {
        self.encoder.finish()?.flush()?;
        Ok(self.digester.finish())
    }
}

impl<W: Write> Write for Packed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.encoder.write(bytes)?;
        self.digester.update(&bytes[..length]);
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.flush()
    }
}
