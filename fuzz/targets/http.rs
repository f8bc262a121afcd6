//! What any user of this machine may say to the page of a demonstration.
#![no_main]

use demo::page::{LONGEST_REQUEST, Request};
use libfuzzer_sys::fuzz_target;

/// Gives the bytes in pieces, as a network does, and counts them.
struct Pieces<'a> {
    bytes: &'a [u8],
    piece: usize,
    read: u64,
}

impl std::io::Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.len().min(self.piece).min(buffer.len());
        let (piece, rest) = self.bytes.split_at(count);
        buffer[..count].copy_from_slice(piece);
        self.bytes = rest;
        self.read += count as u64;
        Ok(count)
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((piece, text)) = input.split_first() else { return };
    let piece = usize::from(*piece) + 1;
    let mut pieces = Pieces { bytes: text, piece, read: 0 };
    let read = Request::read(&mut pieces);
    assert!(pieces.read <= LONGEST_REQUEST);
    let whole = Request::read(text);
    // How it is cut is the network's, and changes nothing.
    assert_eq!(read.is_ok(), whole.is_ok());
    let (Ok(read), Ok(whole)) = (read, whole) else { return };
    assert_eq!(format!("{read:?}"), format!("{whole:?}"));
    let texts = [Some(&read.method), Some(&read.path), read.host.as_ref(), read.origin.as_ref()];
    assert!(texts.into_iter().flatten().all(|text| !text.contains('\n')));
    for name in ["token", "key", "columns", ""] {
        let value = read.parameter(name);
        assert!(value.is_none_or(|value| !value.contains(['&', ' ', '\n'])));
    }
});
