//! The pieces of a stream that has heads between them (Docker Engine API, "Stream format").

/// Takes the heads of eight bytes out of a stream, however it is cut.
#[derive(Debug, Default)]
pub struct FrameReader {
    head: Vec<u8>,
    /// How much of the piece is still to come.
    left: usize,
}

impl FrameReader {
    /// The bytes without heads.
    pub fn read(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        const HEAD: usize = 8;
        let mut text = Vec::new();
        while !bytes.is_empty() {
            if self.left == 0 {
                let (head, rest) = bytes.split_at((HEAD - self.head.len()).min(bytes.len()));
                self.head.extend_from_slice(head);
                bytes = rest;
                if let [_, _, _, _, length @ ..] = self.head.as_slice()
                    && let Ok(length) = <[u8; 4]>::try_from(length)
                {
                    self.left = u32::from_be_bytes(length) as usize;
                    self.head.clear();
                }
                continue;
            }
            let (piece, rest) = bytes.split_at(self.left.min(bytes.len()));
            text.extend_from_slice(piece);
            self.left -= piece.len();
            bytes = rest;
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_taken_out_wherever_the_stream_is_cut() {
        let stream = b"\x01\0\0\0\0\0\0\x03hi\n\x02\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\x02no";
        for size in 1..stream.len() {
            let mut reader = FrameReader::default();
            let text: Vec<u8> = stream.chunks(size).flat_map(|cut| reader.read(cut)).collect();
            assert_eq!(text, b"hi\nno", "{size}");
        }
    }
}
