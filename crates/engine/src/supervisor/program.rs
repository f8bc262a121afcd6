//! The parts of the supervisor's program that need no kernel, for tests: it has no test harness of its
//! own.

#[path = "../../programs/supervisor/buffer.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod buffer;
#[path = "../../programs/supervisor/clock.rs"]
pub(super) mod clock;
#[path = "../../programs/supervisor/entry.rs"]
mod entry;
#[path = "../../programs/supervisor/lines.rs"]
#[allow(dead_code, reason = "the program uses all of it")]
mod lines;

use buffer::Buffer;
use clock::Instant;
use entry::{LINE, MAX_ENTRY, Stream, write_entry};
use lines::Lines;
use proptest::prelude::*;

use super::{LogLine, LogStream};

/// The entry of a line.
fn entry(stream: Stream, line: &[u8]) -> String {
    let mut bytes = vec![0; MAX_ENTRY];
    let time = clock::rfc3339(Instant { seconds: 1_795_935_600, nanoseconds: 7 });
    let length = write_entry(&mut bytes, stream, line, &time);
    String::from_utf8(bytes[..length].to_vec()).unwrap()
}

#[test]
fn an_entry_is_what_dockerd_writes() {
    assert_eq!(
        entry(Stream::Stdout, b"a<b>&\"\\\r\t\x1b\x7f\n"),
        "{\"log\":\"a\\u003cb\\u003e\\u0026\\\"\\\\\\r\\t\\u001b\x7f\\n\",\
         \"stream\":\"stdout\",\"time\":\"2026-11-29T07:00:00.000000007Z\"}\n"
    );
    let wide = entry(Stream::Stderr, "é中😀\u{2028}\u{2029}".as_bytes());
    assert!(wide.starts_with("{\"log\":\"é中😀\\u2028\\u2029\",\"stream\":\"stderr\""), "{wide}");
    let invalid = entry(Stream::Stdout, b"\xffa\xe4\xb8\xc0\xaf\xed\xa0\x80\xf0\x9f");
    assert!(
        invalid.starts_with(&format!("{{\"log\":\"\\ufffda{}\",", "\\ufffd".repeat(2 + 2 + 3 + 2)))
    );
}

#[test]
fn the_largest_entry_has_space() {
    assert!(entry(Stream::Stderr, &[0xff; LINE]).len() <= MAX_ENTRY);
}

/// The lines of output that comes in these pieces.
fn divided<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut lines = Lines::new(Buffer::new(vec![0; LINE].leak()));
    let mut divided = Vec::new();
    for piece in pieces {
        lines.take(piece, |line| divided.push(line.to_vec()));
    }
    lines.finish(|line| divided.push(line.to_vec()));
    divided
}

#[test]
fn a_line_ends_with_its_newline_after_16_kib_or_at_the_end() {
    let lines = divided([&b"one\ntw"[..], b"o", b"\n\nthree"]);
    assert_eq!(lines, [&b"one\n"[..], b"two\n", b"\n", b"three"]);
    for piece in [1, 7, 1000, LINE - 1, LINE, 2 * LINE + 1, 100_000] {
        let output = [&[b'x'; 2 * LINE + 1][..], b"\nend\n"].concat();
        let lengths: Vec<_> = divided(output.chunks(piece)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LINE, LINE, 2, 4], "{piece}");
        let output = [&[b'x'; LINE][..], b"\n"].concat();
        let lengths: Vec<_> = divided(output.chunks(piece)).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LINE, 1], "{piece}");
    }
}

#[test]
fn no_character_is_divided() {
    for shift in 0..4 {
        let output = ["x".repeat(shift), "😀".repeat(LINE)].concat();
        for piece in [1, 1000, LINE - 2, 50_000] {
            let lines = divided(output.as_bytes().chunks(piece));
            assert!(lines.iter().all(|line| str::from_utf8(line).is_ok()), "{shift} {piece}");
            assert!(lines.iter().all(|line| line.len() <= LINE));
            assert_eq!(lines.concat(), output.as_bytes());
        }
    }
}

proptest! {
    #[test]
    fn every_entry_is_read_as_it_was(line: Vec<u8>) {
        let text = entry(Stream::Stdout, &line);
        prop_assert_eq!(text.find('\n'), Some(text.len() - 1));
        let read = LogLine::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(read.stream, LogStream::Stdout);
        // Go replaces every byte that is not a part of a character.
        let mut expected = String::new();
        for chunk in line.utf8_chunks() {
            expected.push_str(chunk.valid());
            expected.extend(chunk.invalid().iter().map(|_| '\u{fffd}'));
        }
        prop_assert_eq!(read.bytes, expected.into_bytes());
    }

    #[test]
    fn text_is_read_as_it_was(text: String) {
        let read = LogLine::parse(entry(Stream::Stderr, text.as_bytes()).as_bytes()).unwrap();
        prop_assert_eq!(read.bytes, text.into_bytes());
    }

    #[test]
    fn lines_are_all_of_the_output(
        pieces in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), Just(0xe4), Just(b'x')], 0..50), 0..20),
    ) {
        let lines = divided(pieces.iter().map(Vec::as_slice));
        prop_assert_eq!(lines.concat(), pieces.concat());
        for line in &lines {
            let newline = line.iter().position(|byte| *byte == b'\n');
            prop_assert!(newline.is_none_or(|at| at == line.len() - 1));
        }
    }
}
