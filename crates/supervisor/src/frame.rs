//! The frames on the socket of a run, in the format of Docker's attach streams.
//!
//! ```text
//!   byte   0      1 2 3     4 5 6 7                 8 ..
//!          kind   0 0 0     length, big endian      bytes
//! ```
//!
//! Kinds 0, 1 and 2 are Docker's own: standard input, output and error.

use crate::record::Stream;

/// The maximum payload of a frame.
pub const LONGEST: usize = 64 << 10;
const HEADER: usize = 8;

/// One frame, in either direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// From a client: input.
    Input(Vec<u8>),
    /// To a client: output.
    Output(Stream, Vec<u8>),
    /// To a client: the run has ended with this code, and its record is written.
    Exit(u8),
    /// From a client: the rows and columns of its terminal.
    Resize(u16, u16),
    /// From a client: a signal for the run.
    Signal(u8),
    /// From a client: follow the output from now on.
    Subscribe,
    /// To a client: it reads too slowly, and is dropped.
    TooSlow,
}

impl Frame {
    /// Its bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, payload): (u8, &[u8]) = match self {
            Self::Input(bytes) => (0, bytes),
            Self::Output(stream, bytes) => (*stream as u8, bytes),
            Self::Exit(code) => (3, &[*code]),
            Self::Resize(rows, columns) => {
                (4, &[rows.to_be_bytes(), columns.to_be_bytes()].concat())
            }
            Self::Signal(signal) => (5, &[*signal]),
            Self::Subscribe => (6, &[]),
            Self::TooSlow => (7, &[]),
        };
        let length = u32::try_from(payload.len()).expect("a frame is short").to_be_bytes();
        [&[kind, 0, 0, 0], &length[..], payload].concat()
    }

    /// Removes the first complete frame from `bytes`; `None` if there is none yet.
    ///
    /// # Errors
    ///
    /// [`NotAFrame`] if the header is malformed.
    pub fn take(bytes: &mut Vec<u8>) -> Result<Option<Self>, NotAFrame> {
        let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else { return Ok(None) };
        let [kind, 0, 0, 0, length @ ..] = *header else { return Err(NotAFrame) };
        let length = u32::from_be_bytes(length) as usize;
        if length > LONGEST {
            return Err(NotAFrame);
        }
        let Some(payload) = rest.get(..length) else { return Ok(None) };
        let frame = match (kind, payload) {
            (0, bytes) => Self::Input(bytes.into()),
            (1, bytes) => Self::Output(Stream::Stdout, bytes.into()),
            (2, bytes) => Self::Output(Stream::Stderr, bytes.into()),
            (3, [code]) => Self::Exit(*code),
            (4, [a, b, c, d]) => {
                Self::Resize(u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))
            }
            (5, [signal]) => Self::Signal(*signal),
            (6, []) => Self::Subscribe,
            (7, []) => Self::TooSlow,
            _ => return Err(NotAFrame),
        };
        bytes.drain(..HEADER + length);
        Ok(Some(frame))
    }
}

/// The bytes from the socket are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what came over the socket is not a frame")]
pub struct NotAFrame;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_frame_comes_back_in_pieces_too() {
        let frames = [
            Frame::Input(b"x\0".into()),
            Frame::Output(Stream::Stdout, vec![0xff; 3]),
            Frame::Output(Stream::Stderr, vec![]),
            Frame::Exit(137),
            Frame::Resize(33, 0x1234),
            Frame::Signal(15),
            Frame::Subscribe,
            Frame::TooSlow,
        ];
        let (mut bytes, mut found) = (Vec::new(), Vec::new());
        for byte in frames.iter().flat_map(Frame::encode) {
            bytes.push(byte);
            found.extend(Frame::take(&mut bytes).unwrap());
        }
        assert_eq!(found, frames);
        assert_eq!(Frame::Output(Stream::Stderr, b"e".into()).encode(), b"\x02\0\0\0\0\0\0\x01e");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_wait_for_more_than_a_frame(
            mut bytes in prop::collection::vec(any::<u8>(), 0..64),
        ) {
            while let Ok(Some(_)) = Frame::take(&mut bytes) {}
        }
    }

    #[test]
    fn a_long_frame_is_refused_by_its_header() {
        let mut bytes = b"\0\0\0\0\x7f\xff\xff\xff".to_vec();
        assert_eq!(Frame::take(&mut bytes), Err(NotAFrame));
    }
}
