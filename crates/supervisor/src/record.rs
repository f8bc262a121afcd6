//! One record of a log: a line of JSON, as in Docker's json-file driver.

use std::{borrow::Cow, str};

use serde::{Deserialize, Serialize};

use crate::base64;

/// The stream of an output; the numbers are those of Docker's stream format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Standard output, and all output to a terminal.
    Stdout = 1,
    /// Standard error.
    Stderr = 2,
}

/// The maximum number of bytes in a record, as in Docker.
pub(crate) const LONGEST: usize = 16 << 10;

/// Output, with its stream and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The bytes: a line with its line feed, or a part of one.
    pub bytes: Vec<u8>,
    /// Where it was written.
    pub stream: Stream,
    /// The time, in the format of [`rfc3339`](crate::time::rfc3339).
    pub time: String,
}

/// The record in the file. Bytes that are not text, which JSON cannot represent, are in
/// `log_base64`.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_base64: Option<String>,
    stream: Stream,
    time: Cow<'a, str>,
}

/// Adds the records of `bytes` to `lines`.
pub(crate) fn write_lines(lines: &mut Vec<u8>, stream: Stream, bytes: &[u8], time: &str) {
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        for piece in line.chunks(LONGEST) {
            let log = str::from_utf8(piece).ok().map(Cow::Borrowed);
            let log_base64 = log.is_none().then(|| base64::encode(piece));
            let line = Line { log, log_base64, stream, time: time.into() };
            serde_json::to_writer(&mut *lines, &line).expect("strings alone, into memory");
            lines.push(b'\n');
        }
    }
}

impl Record {
    /// The record in a line of a log; `None` if it is not one.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let Line { log, log_base64, stream, time } = serde_json::from_slice(line).ok()?;
        let bytes = match (log, log_base64) {
            (Some(text), _) => text.into_owned().into_bytes(),
            (None, Some(digits)) => base64::decode(&digits)?,
            (None, None) => return None,
        };
        Some(Self { bytes, stream, time: time.into_owned() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_back(lines: &[u8]) -> Vec<Record> {
        lines.split_inclusive(|byte| *byte == b'\n').filter_map(Record::parse).collect()
    }

    #[test]
    fn text_is_as_docker_writes_it() {
        let mut lines = Vec::new();
        write_lines(&mut lines, Stream::Stderr, b"a\"b\n", "T");
        let expected = "{\"log\":\"a\\\"b\\n\",\"stream\":\"stderr\",\"time\":\"T\"}\n";
        assert_eq!(String::from_utf8(lines).unwrap(), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_byte_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..40_000)) {
            let mut lines = Vec::new();
            write_lines(&mut lines, Stream::Stdout, &bytes, "T");
            let records = read_back(&lines);
            prop_assert!(records.iter().all(|record| record.bytes.len() <= LONGEST));
            let found: Vec<u8> = records.into_iter().flat_map(|record| record.bytes).collect();
            prop_assert_eq!(found, bytes);
        }

        #[test]
        fn no_line_makes_the_parser_panic(line in "[{}a-z\":,_0-9]{0,80}") {
            Record::parse(line.as_bytes());
        }
    }
}
