//! The frames between the daemon and a supervisor: a kind and a length, 32 bits each and
//! little-endian, and that many bytes.

/// The standard output of the process, in a subscription.
pub const STDOUT: u32 = 1;
/// Its standard error.
pub const STDERR: u32 = 2;
/// Its standard input: it gets the input of this client.
pub const STDIN: u32 = 4;

/// The most bytes of input in one frame.
pub(super) const MAX_INPUT: usize = 32 << 10;

/// The most bytes in a frame of a supervisor: output, as much as it reads at once.
const MAX_CONTENT: u32 = 64 << 10;

/// The length of a frame without its content.
pub(super) const HEAD: usize = 8;

/// What a supervisor tells a client that has subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Output, or that of the terminal.
    Stdout(Vec<u8>),
    /// Output to standard error.
    Stderr(Vec<u8>),
    /// The process with this id was made, and its launcher may wait for
    /// [`Connection::proceed`](super::Connection::proceed).
    Made(u32),
    /// The process has started, and has this id.
    Started(u32),
    /// The launcher has failed, with these words; there is no process. They are empty if it was
    /// killed. The last message.
    Failed(Vec<u8>),
    /// The process has ended with this exit code, or with 128 and the number of the signal that
    /// killed it, and all of its output was sent. The last message.
    Exited(u32),
}

/// What a client asks of a supervisor.
#[derive(Debug, Clone, Copy)]
pub(super) enum Request<'a> {
    Subscribe(u32),
    Input(&'a [u8]),
    CloseInput,
    Resize { rows: u16, columns: u16 },
    Go { rows: u16, columns: u16 },
    Proceed,
}

impl Request<'_> {
    /// The bytes of its frame.
    pub(super) fn encode(self) -> Vec<u8> {
        let size =
            |rows: u16, columns: u16| (u32::from(columns) << 16 | u32::from(rows)).to_le_bytes();
        match self {
            Self::Subscribe(streams) => frame(1, &streams.to_le_bytes()),
            Self::Input(bytes) => frame(2, bytes),
            Self::CloseInput => frame(3, &[]),
            Self::Resize { rows, columns } => frame(4, &size(rows, columns)),
            Self::Go { rows, columns } => frame(5, &size(rows, columns)),
            Self::Proceed => frame(6, &[]),
        }
    }
}

fn frame(kind: u32, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("no content is longer than MAX_INPUT");
    [&kind.to_le_bytes(), &length.to_le_bytes(), content].concat()
}

/// The kind and the length of a frame that begins like this; `None` if it is none of a supervisor.
pub(super) fn decode_head(head: [u8; HEAD]) -> Option<(u32, usize)> {
    let (kind, length) = head.split_at(HEAD / 2);
    let [kind, length] = [kind, length].map(|half| half.try_into().map_or(0, u32::from_le_bytes));
    let is_valid = match kind {
        1 | 2 | 4 => length <= MAX_CONTENT,
        3 | 5 | 6 => length == 4,
        _ => false,
    };
    is_valid.then_some((kind, length as usize))
}

/// The message in a frame whose head was [decoded](decode_head).
pub(super) fn decode(kind: u32, content: Vec<u8>) -> Message {
    let number = |content: Vec<u8>| content.try_into().map_or(0, u32::from_le_bytes);
    match kind {
        1 => Message::Stdout(content),
        2 => Message::Stderr(content),
        3 => Message::Started(number(content)),
        4 => Message::Failed(content),
        6 => Message::Made(number(content)),
        _ => Message::Exited(number(content)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_is_its_kind_its_length_and_its_content() {
        assert_eq!(Request::Subscribe(5).encode(), *b"\x01\0\0\0\x04\0\0\0\x05\0\0\0");
        assert_eq!(Request::CloseInput.encode(), *b"\x03\0\0\0\0\0\0\0");
        let go = Request::Go { rows: 24, columns: 0x150 };
        assert_eq!(go.encode(), *b"\x05\0\0\0\x04\0\0\0\x18\0\x50\x01");
    }

    proptest! {
        #[test]
        fn no_head_is_taken_that_is_longer_than_a_supervisor_sends(head: [u8; HEAD]) {
            if let Some((kind, length)) = decode_head(head) {
                prop_assert!((1..=5).contains(&kind) && length <= 64 << 10);
            }
        }

        #[test]
        fn output_comes_out_as_it_went_in(bytes: Vec<u8>) {
            let frame = frame(1, &bytes);
            let (kind, length) = decode_head(frame[..HEAD].try_into().unwrap()).unwrap();
            prop_assert_eq!(length, bytes.len());
            prop_assert_eq!(decode(kind, frame[HEAD..].to_vec()), Message::Stdout(bytes));
        }
    }
}
