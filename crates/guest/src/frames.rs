//! The frames between the first process of a Linux guest and its host, once the plan has begun.
//!
//! They go over one port, in both directions, and carry signals for the plan's command and any
//! number of sessions beside it. `programs/init.rs` shares this file, which therefore knows
//! nothing but `core`.
//!
//! ```text
//!   kind:8  argument:8  session:16  length:32  payload
//!
//!   host                                              guest
//!   Words ...   what to run, written as in a plan -->
//!   Start                                         --> Started, or Failed with an error number
//!   Input       at most one not yet acknowledged  --> Taken (0)
//!   Taken (1)                                     <-- Output (1 or 2), at most one not yet acknowledged
//!   Signal (n)                                    --> Heard
//!   Close       kill it, no one listens           -->
//!                                                 <-- Exited (code) or Signaled (n)
//!   Freeze      go to the point where the machine may be frozen, as the plan's step does
//! ```
//!
//! Session 0 is the plan's own command, for which there are signals, and the machine, for `Freeze`.
//! Because each side waits until the other has taken a frame of a stream, neither has to buffer
//! more than one.

/// Bytes before the payload.
pub const HEADER: usize = 8;
/// The maximum length of a payload.
pub const PAYLOAD: usize = 4096;
/// The maximum length of the description of what to run.
pub const WORDS: usize = 128 << 10;
/// The maximum number of open sessions.
pub const SESSIONS: usize = 8;

/// The kind of a frame. The argument is named in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Send it this signal (number).
    Signal = 1,
    /// More of what to run.
    Words = 2,
    /// Run it.
    Start = 3,
    /// Standard input; an empty payload is its end.
    Input = 4,
    /// The new size of its terminal: rows:16 columns:16.
    Window = 5,
    /// Kill it; no one listens any more.
    Close = 6,
    /// A frame of this stream has been taken, the next one may come (stream).
    Taken = 7,
    /// The signal has been sent.
    Heard = 8,
    /// It runs.
    Started = 9,
    /// What it wrote (1 to standard output, 2 to standard error).
    Output = 10,
    /// It ended (exit code).
    Exited = 11,
    /// A signal ended it (number).
    Signaled = 12,
    /// It could not be run: an error number of Linux, 32 bits.
    Failed = 13,
    /// Announce that the machine may be frozen, then ask for a seed and the time.
    Freeze = 14,
}

impl Kind {
    const ALL: [Self; 14] = [
        Self::Signal,
        Self::Words,
        Self::Start,
        Self::Input,
        Self::Window,
        Self::Close,
        Self::Taken,
        Self::Heard,
        Self::Started,
        Self::Output,
        Self::Exited,
        Self::Signaled,
        Self::Failed,
        Self::Freeze,
    ];
}

/// The header before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The kind of the frame.
    pub kind: Kind,
    /// The argument of the kind.
    pub argument: u8,
    /// The session to which it belongs.
    pub session: u16,
    /// The length of the payload.
    pub length: usize,
}

impl Header {
    /// A header without a payload.
    pub fn new(kind: Kind, argument: u8, session: u16) -> Self {
        Self { kind, argument, session, length: 0 }
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let [a, b] = self.session.to_le_bytes();
        let [c, d, e, f] = (self.length as u32).to_le_bytes();
        [self.kind as u8, self.argument, a, b, c, d, e, f]
    }

    /// The header in `bytes`; `None` if it is malformed.
    pub fn of(bytes: [u8; HEADER]) -> Option<Self> {
        let [kind, argument, a, b, c, d, e, f] = bytes;
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind)?;
        let length = u32::from_le_bytes([c, d, e, f]) as usize;
        let session = u16::from_le_bytes([a, b]);
        (length <= PAYLOAD).then_some(Self { kind, argument, session, length })
    }
}

/// The first frame in `bytes`; `Ok(None)` if it is incomplete.
///
/// # Errors
///
/// When the header is malformed: the beginning of the next frame is then unknown.
pub fn first(bytes: &[u8]) -> Result<Option<(Header, &[u8])>, NoFrame> {
    let Some(header) = bytes.first_chunk() else { return Ok(None) };
    let header = Header::of(*header).ok_or(NoFrame)?;
    Ok(bytes.get(HEADER..HEADER + header.length).map(|payload| (header, payload)))
}

/// The bytes are not a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoFrame;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_frame_is_read_as_it_was_written() {
        for (number, kind) in (1..).zip(Kind::ALL) {
            assert_eq!(kind as u8, number);
            for length in [0, 1, PAYLOAD] {
                let header = Header { kind, argument: 200, session: 0xabcd, length };
                let bytes = [&header.to_bytes()[..], &vec![7; length], b"next"].concat();
                let (read, payload) = first(&bytes).unwrap().unwrap();
                assert_eq!((read, payload.len()), (header, length));
                for missing in 1..=HEADER {
                    assert_eq!(first(&bytes[..HEADER + length - missing]), Ok(None));
                }
            }
        }
    }

    #[test]
    fn what_is_longer_than_any_frame_or_of_no_kind_is_none() {
        let mut bytes = Header::new(Kind::Output, 1, 1).to_bytes();
        bytes[4..].copy_from_slice(&(PAYLOAD as u32 + 1).to_le_bytes());
        assert_eq!(first(&bytes), Err(NoFrame));
        bytes[4..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(first(&bytes), Err(NoFrame));
        for kind in [0, 15, 255] {
            assert_eq!(first(&[kind, 0, 0, 0, 0, 0, 0, 0]), Err(NoFrame));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic_or_give_more_than_there_is(
            bytes in prop::collection::vec(any::<u8>(), 0..64)
        ) {
            if let Ok(Some((header, payload))) = first(&bytes) {
                prop_assert_eq!(header.length, payload.len());
                prop_assert!(HEADER + payload.len() <= bytes.len());
            }
        }
    }
}
