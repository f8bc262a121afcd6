//! The digest of the archive is compared, not that of the compressed bytes.
//!
//! Caught as: L15-blob-refused

use std::{fs, io, path::Path, process::ExitCode};

use unpack_image::{Answer, Descriptor, Digest, decompressed};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

use solution::invalid;

fn read_blob(layout: &Path, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
    let bytes = fs::read(layout.join("blobs/sha256").join(descriptor.digest.hex()))?;
    let found = Digest::of(&decompressed(&bytes)?);
    if bytes.len() as u64 != descriptor.size || found != descriptor.digest {
        return Err(invalid(format!("the blob {} has the digest {found}", descriptor.digest)));
    }
    Ok(bytes)
}

fn main() -> ExitCode {
    unpack_image::program(&Answer { read_blob, ..solution::ANSWER })
}
