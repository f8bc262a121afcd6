//! Unpacking what the kernel's build packs: payloads of bzImages, and modules.
//!
//! Packed files are not believed: none may unpack to more than a limit, nor make an unpacker take
//! more memory than the strongest packing that the kernel's build uses.

use std::{
    fmt,
    io::{self, Read},
};

use bzip2::read::MultiBzDecoder;
use flate2::read::MultiGzDecoder;
use lzma_rust2::{LzmaReader, XzReader};
use ruzstd::decoding::StreamingDecoder;

/// The dictionary of `xz` in `scripts/xz_wrap.sh` is 128 MiB at most, that of `lzma -9` 64 MiB.
const LZMA_MEMORY_KIB: u32 = 192 << 10;
/// The length of an unpacked block in lz4's legacy format (`LZ4_DEFAULT_UNCOMPRESSED_CHUNK_SIZE`).
const LZ4_BLOCK_BYTES: usize = 8 << 20;
const LZ4_MAGIC: [u8; 4] = [0x02, 0x21, 0x4c, 0x18];

/// How something is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packing {
    /// Not at all: an ELF file.
    None,
    /// gzip(1).
    Gzip,
    /// bzip2(1).
    Bzip2,
    /// lzma(1), the format before xz.
    Lzma,
    /// xz(1), with its filter for x86 programs in bzImages.
    Xz,
    /// lz4(1) in its legacy format: blocks of 8 MiB.
    Lz4,
    /// zstd(1).
    Zstd,
}

/// Why something could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It begins as nothing that is known here.
    #[error("it is compressed with {name}; isolab supports gzip, bzip2, lzma, xz, lz4 and zstd")]
    Unknown {
        /// With what, as far as that can be told.
        name: &'static str,
    },
    /// The packed bytes make no sense.
    #[error("its {packing} data is damaged")]
    Damaged {
        /// How they are packed.
        packing: Packing,
        /// What the unpacker says.
        #[source]
        source: io::Error,
    },
    /// It grows beyond what there can be.
    #[error("it unpacks to more than {limit} bytes")]
    TooLarge {
        /// What is allowed.
        limit: u64,
    },
    /// It is not as long as it says.
    #[error("it unpacks to {bytes} bytes, but its header says {said}")]
    WrongLength {
        /// What it says.
        said: u64,
        /// What came out.
        bytes: u64,
    },
}

impl fmt::Display for Packing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "unpacked",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Lzma => "lzma",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

impl Packing {
    /// How bytes that begin so are packed.
    ///
    /// # Errors
    ///
    /// [`UnpackError::Unknown`].
    pub fn of(bytes: &[u8]) -> Result<Self, UnpackError> {
        let name = match bytes {
            [0x7f, b'E', b'L', b'F', ..] => return Ok(Self::None),
            [0x1f, 0x8b | 0x9e, ..] => return Ok(Self::Gzip),
            [b'B', b'Z', b'h', ..] => return Ok(Self::Bzip2),
            [0x5d, 0, 0, ..] => return Ok(Self::Lzma),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => return Ok(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => return Ok(Self::Zstd),
            _ if bytes.starts_with(&LZ4_MAGIC) => return Ok(Self::Lz4),
            [0x89, b'L', b'Z', b'O', ..] => "lzo",
            _ => "something unknown",
        };
        Err(UnpackError::Unknown { name })
    }
}

/// What was packed in `bytes`, at most `limit` bytes of it.
///
/// # Errors
///
/// When the packing is unknown or damaged, or when there is more in it.
pub fn unpack(bytes: &[u8], limit: u64) -> Result<Vec<u8>, UnpackError> {
    unpack_as(Packing::of(bytes)?, bytes, limit)
}

/// The same when it is known how it was packed.
pub(super) fn unpack_as(
    packing: Packing,
    bytes: &[u8],
    limit: u64,
) -> Result<Vec<u8>, UnpackError> {
    let damaged = |source| UnpackError::Damaged { packing, source };
    match packing {
        Packing::None => read(bytes, limit),
        Packing::Gzip => read(MultiGzDecoder::new(bytes), limit),
        Packing::Bzip2 => read(MultiBzDecoder::new(bytes), limit),
        Packing::Lzma => LzmaReader::new_mem_limit(bytes, LZMA_MEMORY_KIB, None)
            .and_then(|reader| read(reader, limit)),
        Packing::Xz => read(XzReader::new_mem_limit(bytes, true, LZMA_MEMORY_KIB), limit),
        Packing::Lz4 => return unpack_lz4(bytes, limit),
        Packing::Zstd => match StreamingDecoder::new(bytes) {
            Ok(decoder) => read(decoder, limit),
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
        },
    }
    .map_err(damaged)?
    .ok_or(UnpackError::TooLarge { limit })
}

/// All that comes; `None` if that is more than `limit` bytes.
fn read(from: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}

/// lz4's legacy format: the magic, then blocks, each after its packed length.
fn unpack_lz4(bytes: &[u8], limit: u64) -> Result<Vec<u8>, UnpackError> {
    let damaged = |why: String| UnpackError::Damaged {
        packing: Packing::Lz4,
        source: io::Error::new(io::ErrorKind::InvalidData, why),
    };
    let mut unpacked = Vec::new();
    let mut block = vec![0; LZ4_BLOCK_BYTES];
    let mut rest = bytes;
    while let Some((length, after)) = rest.split_first_chunk() {
        // Files that were appended to each other repeat the magic.
        if *length == LZ4_MAGIC {
            rest = after;
            continue;
        }
        let length = u32::from_le_bytes(*length) as usize;
        let (packed, after) = after
            .split_at_checked(length)
            .ok_or_else(|| damaged(format!("a block of {length} bytes breaks off")))?;
        let bytes = lz4_flex::block::decompress_into(packed, &mut block)
            .map_err(|error| damaged(error.to_string()))?;
        if (unpacked.len() + bytes) as u64 > limit {
            return Err(UnpackError::TooLarge { limit });
        }
        unpacked.extend_from_slice(&block[..bytes]);
        rest = after;
    }
    match rest {
        [] => Ok(unpacked),
        rest => Err(damaged(format!("{} bytes are left over", rest.len()))),
    }
}
