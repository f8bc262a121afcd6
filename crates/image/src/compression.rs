//! How a layer's archive is compressed, and how it is read and written.
//!
//! A few bytes can become many: 1 MiB of gzip up to a gigabyte. So what comes out is counted against
//! what went in.

use std::io::{self, BufRead, BufReader, Read, Write};

use bzip2::bufread::MultiBzDecoder;
use flate2::{Compression as Level, GzBuilder, bufread::MultiGzDecoder, write::GzEncoder};
use lzma_rust2::XzReader;
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder, errors::FrameDecoderError};

/// How a layer's archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
}

/// What may come out of a compressed archive.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How many bytes at most.
    pub max_bytes: u64,
    /// How many bytes for each that went in, once `any_ratio` came out. A tar archive of zeros has a
    /// ratio of a thousand in gzip; programs and texts have one of ten.
    pub max_ratio: u64,
    /// So many bytes may come out of any archive.
    pub any_ratio: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 40, max_ratio: 200, any_ratio: 256 << 20 }
    }
}

const GZIP: [u8; 3] = [0x1f, 0x8b, 8];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BZIP2: [u8; 3] = *b"BZh";
const XZ: [u8; 6] = *b"\xfd7zXZ\0";

/// How much of a frame's content a decoder must remember: what `zstd -19` takes is 8 MiB, and that is
/// what every decoder should have by RFC 8878, "Window Descriptor". `zstd --ultra --long` takes more.
const MAX_WINDOW: u64 = 32 << 20;

/// What `xz -9` takes to decompress is 65 MiB (xz(1), `-9`).
const MAX_XZ_KIB: u32 = 80 << 10;

/// Read at once from a file.
const PIECE: usize = 128 << 10;

/// The uncompressed bytes of `input`, whose beginning says how it is compressed.
///
/// # Errors
///
/// When it cannot be read. A decoder's errors come when its bytes are read: that it is cut off or
/// damaged, or that more comes out than `limits` allow.
pub fn decoder<'r>(input: impl Read + Send + 'r, limits: &Limits) -> io::Result<Decoder<'r>> {
    let mut input =
        BufReader::with_capacity(PIECE, Counting { inner: input, bytes: Counter::default() });
    let counter = input.get_ref().bytes.clone();
    let compression = of_bytes(input.fill_buf()?);
    let inner: Box<dyn Read + Send + 'r> = match compression {
        Compression::None => Box::new(input),
        Compression::Gzip => Box::new(MultiGzDecoder::new(input)),
        Compression::Zstd => Box::new(Frames::new(input)),
    };
    Ok(Decoder { inner, compression, limits: *limits, read: counter, bytes: 0 })
}

/// The same of an archive that is no layer: it may be compressed by bzip2 or xz as well, as `docker
/// load`, `docker import` and `ADD` take it.
///
/// # Errors
///
/// Those of [`decoder`].
pub fn archive_decoder<'r>(
    input: impl Read + Send + 'r,
    limits: &Limits,
) -> io::Result<Decoder<'r>> {
    let mut input =
        BufReader::with_capacity(PIECE, Counting { inner: input, bytes: Counter::default() });
    let read = input.get_ref().bytes.clone();
    let inner: Box<dyn Read + Send + 'r> = match input.fill_buf()? {
        bytes if bytes.starts_with(&BZIP2) => Box::new(MultiBzDecoder::new(input)),
        bytes if bytes.starts_with(&XZ) => {
            Box::new(XzReader::new_mem_limit(input, true, MAX_XZ_KIB))
        }
        _ => return decoder(input, limits),
    };
    Ok(Decoder { inner, compression: Compression::None, limits: *limits, read, bytes: 0 })
}

/// How an archive that begins with these bytes is compressed.
pub fn of_bytes(beginning: &[u8]) -> Compression {
    match beginning {
        bytes if bytes.starts_with(&GZIP) => Compression::Gzip,
        bytes if bytes.starts_with(&ZSTD) => Compression::Zstd,
        _ => Compression::None,
    }
}

type Counter = std::sync::Arc<std::sync::atomic::AtomicU64>;

struct Counting<R> {
    inner: R,
    bytes: Counter,
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.bytes.fetch_add(length as u64, std::sync::atomic::Ordering::Relaxed);
        Ok(length)
    }
}

/// An archive without its compression.
pub struct Decoder<'r> {
    inner: Box<dyn Read + Send + 'r>,
    compression: Compression,
    limits: Limits,
    read: Counter,
    bytes: u64,
}

impl Decoder<'_> {
    /// How it was compressed; [`Compression::None`] for what is no layer's.
    pub fn compression(&self) -> Compression {
        self.compression
    }

    /// How many bytes came out.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.bytes += length as u64;
        let Limits { max_bytes, max_ratio, any_ratio } = self.limits;
        let refused = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        if self.bytes > max_bytes {
            return refused(format!(
                "more than {max_bytes} bytes come out of it: it may be a bomb"
            ));
        }
        let read = self.read.load(std::sync::atomic::Ordering::Relaxed);
        if self.bytes > any_ratio && self.bytes / max_ratio > read {
            let text = format!(
                "more than {max_ratio} bytes come out for each that is in it: it may be a bomb"
            );
            return refused(text);
        }
        Ok(length)
    }
}

/// The frames of a zstd file, one after the other.
struct Frames<R> {
    input: R,
    decoder: FrameDecoder,
    is_in_frame: bool,
}

impl<R: BufRead> Frames<R> {
    fn new(input: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self { input, decoder, is_in_frame: false }
    }

    /// Begins the next frame that has content; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        loop {
            if self.input.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.decoder.init(&mut self.input) {
                Ok(()) => return Ok(true),
                Err(error) => skip(&mut self.input, error)?,
            }
        }
    }
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.is_in_frame {
                self.is_in_frame = self.next()?;
                if !self.is_in_frame {
                    return Ok(0);
                }
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.input, one).map_err(invalid)?;
            }
            let length = self.decoder.read(buffer)?;
            if length > 0 || buffer.is_empty() {
                return Ok(length);
            }
            self.is_in_frame = false;
        }
    }
}

fn invalid(error: FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Skips a frame that is not content. Layers of zstd:chunked have their table of contents in such.
fn skip(input: &mut impl BufRead, error: FrameDecoderError) -> io::Result<()> {
    use ruzstd::decoding::errors::ReadFrameHeaderError::SkipFrame;
    let FrameDecoderError::ReadFrameHeaderError(SkipFrame { length, .. }) = error else {
        return Err(invalid(error));
    };
    let skipped = io::copy(&mut input.take(length.into()), &mut io::sink())?;
    if skipped < length.into() { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

/// Compresses by gzip, the same bytes for the same archive: without a time and a name.
pub fn gzip<W: Write>(output: W) -> GzEncoder<W> {
    // 255: made on an unknown system, as Go's encoder writes it.
    GzBuilder::new().mtime(0).operating_system(255).write(output, Level::new(6))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = gzip(Vec::new());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        decoder(bytes, &Limits::default())?.read_to_end(&mut all).map(|_| all)
    }

    #[test]
    fn an_archive_that_is_no_layer_may_be_compressed_by_bzip2_or_xz() {
        let unpacked = |bytes: &[u8]| {
            let mut all = Vec::new();
            archive_decoder(bytes, &Limits::default())?.read_to_end(&mut all).map(|_| all)
        };
        // What bzip2 and xz write for the same ten bytes.
        let by_bzip2 = b"\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xf3\x01\x21\xff\x00\x00\x00\x91\x80\x40\x00\x2a\x61\x11\x00\x20\x00\x22\x00\xda\x42\x0c\x98\x85\xb6\x34\x10\xfc\x5d\xc9\x14\xe1\x42\x43\xcc\x04\x87\xfc";
        let by_xz = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x16\x00\x00\x00\x74\x2f\xe5\xa3\x01\x00\x09\x61\x6e\x20\x61\x72\x63\x68\x69\x76\x65\x00\x00\x00\x80\xbb\x59\xba\xe3\x08\x61\x76\x00\x01\x22\x0a\x15\x1a\xe1\x67\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";
        for packed in [&by_bzip2[..], by_xz, &packed(b"an archive"), b"an archive"] {
            assert_eq!(unpacked(packed).unwrap(), b"an archive");
            assert!(packed.len() < 20 || unpacked(&packed[..packed.len() - 9]).is_err());
        }
        // One that wants 512 MiB to be decompressed.
        let greedy = b"\xfd\x37\x7a\x58\x5a\x00\x00\x04\xe6\xd6\xb4\x46\x02\x00\x21\x01\x22\x00\x00\x00\x82\x40\xac\xdc\x01\x00\x00\x78\x00\x00\x00\x00\x45\xae\xef\x83\xf8\xee\x16\x0a\x00\x01\x19\x01\xa5\x2c\x81\xcc\x1f\xb6\xf3\x7d\x01\x00\x00\x00\x00\x04\x59\x5a";
        let error = unpacked(greedy).unwrap_err().to_string();
        assert!(error.contains("mem"), "{error}");
    }

    #[test]
    fn what_was_compressed_comes_out_and_always_the_same_way() {
        let bytes: Vec<u8> = (0..100_000u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(unpacked(&packed(&bytes)).unwrap(), bytes);
        assert_eq!(packed(&bytes), packed(&bytes));
        assert_eq!(unpacked(&bytes).unwrap(), bytes);
        // Several members are one archive.
        let both = [packed(b"one"), packed(b"two")].concat();
        assert_eq!(unpacked(&both).unwrap(), b"onetwo");
    }

    #[test]
    fn zstd_is_read_frame_by_frame() {
        let frame = |bytes: &[u8]| {
            ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
        };
        let both = [frame(b"one"), frame(&[b'2'; 300_000])].concat();
        assert_eq!(unpacked(&both).unwrap(), [&b"one"[..], &[b'2'; 300_000]].concat());
        assert!(unpacked(&both[..both.len() - 3]).is_err());
    }

    #[test]
    fn frames_without_content_are_skipped() {
        let level = ruzstd::encoding::CompressionLevel::Fastest;
        let frame = ruzstd::encoding::compress_to_vec(&b"content"[..], level);
        let table = [&[0x50, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"table"].concat();
        let chunked = [&frame[..], &table, &frame, &table].concat();
        assert_eq!(unpacked(&chunked).unwrap(), b"contentcontent");
        for cut in [1, 5, 10] {
            assert!(unpacked(&chunked[..chunked.len() - cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn a_window_of_any_size_is_refused() {
        // A descriptor of the frame, and a window of 64 MiB and of 2 GiB (RFC 8878, 3.1.1.1).
        for window in [16 << 3, 21 << 3] {
            let frame = [0x28, 0xb5, 0x2f, 0xfd, 0, window, 1, 0, 0];
            let error = unpacked(&frame).unwrap_err().to_string();
            assert!(error.contains("window"), "{error}");
        }
        let small = [0x28, 0xb5, 0x2f, 0xfd, 0, 13 << 3, 1, 0, 0];
        assert_eq!(unpacked(&small).unwrap(), b"");
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let whole = packed(&[7; 100_000]);
        for length in [4, 20, whole.len() / 2, whole.len() - 1] {
            assert!(unpacked(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_bomb_is_refused() {
        let zeros = vec![0; 1 << 20];
        let mut encoder = gzip(Vec::new());
        for _ in 0..8 {
            encoder.write_all(&zeros).unwrap();
        }
        let bomb = encoder.finish().unwrap();
        let limits = Limits { any_ratio: 4 << 20, ..Limits::default() };
        let error = io::copy(&mut decoder(&*bomb, &limits).unwrap(), &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("for each that is in it"), "{error}");
        let limits = Limits { max_bytes: 1000, ..limits };
        let error = io::copy(&mut decoder(&*bomb, &limits).unwrap(), &mut io::sink()).unwrap_err();
        assert!(error.to_string().contains("more than 1000 bytes"), "{error}");
    }
}
