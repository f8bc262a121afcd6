//! A blob may be longer than it should.

use std::{fs, io, path::Path, process::ExitCode};

use unpack_image::{Answer, Descriptor, Digest};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

use solution::invalid;

fn read_blob(layout: &Path, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
    let bytes = fs::read(layout.join("blobs/sha256").join(descriptor.digest.hex()))?;
    let is_right = Digest::of(&bytes) == descriptor.digest;
    if !is_right || (bytes.len() as u64) < descriptor.size {
        return Err(invalid("another blob"));
    }
    Ok(bytes)
}

fn main() -> ExitCode {
    unpack_image::program(&Answer { read_blob, ..solution::ANSWER })
}
