//! Tar archives that a reader does not refuse at once.

const BLOCK: usize = 512;

/// Where a header has its length, in octal digits, and its checksum (tar(5)).
const SIZE: std::ops::Range<usize> = 124..135;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Gives every header the checksum that it should have, which no fuzzer guesses.
pub fn with_checksums(input: &[u8]) -> Vec<u8> {
    let mut archive = input.to_vec();
    archive.resize(input.len().next_multiple_of(BLOCK), 0);
    let mut at = 0;
    while at + BLOCK <= archive.len() {
        let header = &mut archive[at..at + BLOCK];
        header[CHECKSUM].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = std::str::from_utf8(&header[SIZE]).ok();
        let size =
            size.and_then(|size| usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).ok());
        at += BLOCK + size.unwrap_or(0).min(archive.len()).next_multiple_of(BLOCK);
    }
    archive
}
