//! The frames between the first process of a Linux guest and its host, after the plan has begun.
//!
//! They go over one port, in both directions, and carry signals for the plan's command and any
//! number of sessions beside it. `programs/init.rs` shares this file, which therefore knows
//! nothing but `core`.
//!
//! ```text
//!   kind:8  argument:8  session:16  length:32  payload
//!
//!   host                                              guest
//!   Words ...   what to run, as a plan has it     -->
//!   Start                                         --> Started, or Failed with an error number
//!   Input       at most one that is not taken yet --> Taken (0)
//!   Taken (1)                                     <-- Output (1 or 2), at most one not taken yet
//!   Signal (n)                                    --> Heard
//!   Close       kill it, nobody listens           -->
//!                                                 <-- Exited (code) or Signaled (n)
//!   Freeze      come to the point where the machine may be frozen, as the plan's step does
//! ```
//!
//! Session 0 is the plan's own command, for which there are signals, and the machine, for `Freeze`. Because each side sends
//! no more of a stream than the other has taken, neither has to keep more than a frame of it.

/// Bytes before the payload.
pub const HEADER: usize = 8;
/// No payload is longer.
pub const PAYLOAD: usize = 4096;
/// No description of what to run is longer.
pub const WORDS: usize = 128 << 10;
/// So many sessions may be open at once.
pub const SESSIONS: usize = 8;

/// What a frame says. The argument is named in parentheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Send it this signal (number).
    Signal = 1,
    /// More of what to run.
    Words = 2,
    /// Run it.
    Start = 3,
    /// Standard input; none is its end.
    Input = 4,
    /// Its terminal has another size: rows:16 columns:16.
    Window = 5,
    /// Kill it; nobody listens any more.
    Close = 6,
    /// A frame of this stream is taken, another may come (stream).
    Taken = 7,
    /// The signal is sent.
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
    /// Say that the machine may be frozen, then ask for a seed and the time.
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

/// What comes before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What the frame says.
    pub kind: Kind,
    /// A number that belongs to the kind.
    pub argument: u8,
    /// Which session it is about.
    pub session: u16,
    /// How long the payload is.
    pub length: usize,
}

impl Header {
    /// One without a payload.
    pub fn new(kind: Kind, argument: u8, session: u16) -> Self {
        Self { kind, argument, session, length: 0 }
    }

    /// Its bytes.
    pub fn to_bytes(self) -> [u8; HEADER] {
        let [a, b] = self.session.to_le_bytes();
        let [c, d, e, f] = (self.length as u32).to_le_bytes();
        [self.kind as u8, self.argument, a, b, c, d, e, f]
    }

    /// The header in `bytes`; nothing if no frame begins so.
    pub fn of(bytes: [u8; HEADER]) -> Option<Self> {
        let [kind, argument, a, b, c, d, e, f] = bytes;
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind)?;
        let length = u32::from_le_bytes([c, d, e, f]) as usize;
        let session = u16::from_le_bytes([a, b]);
        (length <= PAYLOAD).then_some(Self { kind, argument, session, length })
    }
}

/// The first frame in `bytes`; `Ok(None)` if it is not all there.
///
/// # Errors
///
/// When no frame begins so: there is no telling where the next one would.
pub fn first(bytes: &[u8]) -> Result<Option<(Header, &[u8])>, NoFrame> {
    let Some(header) = bytes.first_chunk() else { return Ok(None) };
    let header = Header::of(*header).ok_or(NoFrame)?;
    Ok(bytes.get(HEADER..HEADER + header.length).map(|payload| (header, payload)))
}

/// What came is not a frame.
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
