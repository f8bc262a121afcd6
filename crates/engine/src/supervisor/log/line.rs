//! One line of a log.

use std::{borrow::Cow, time::Duration};

use serde::Deserialize;

use super::time::since_1970;

/// A line of output, or 16 KiB of a longer one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it was written to.
    pub stream: LogStream,
    /// When the supervisor has read it, UTC since 1970.
    pub time: Duration,
    /// The output, with its newline if it had one. What was not UTF-8 is U+FFFD.
    pub bytes: Vec<u8>,
}

/// A stream of a process; a terminal is standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The JSON object.
#[derive(Deserialize)]
struct JsonLine<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    stream: LogStream,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

impl LogLine {
    /// Reads a line of a log file; `None` if it is not one.
    pub(in crate::supervisor) fn parse(line: &[u8]) -> Option<Self> {
        let JsonLine { log, stream, time } = serde_json::from_slice(line).ok()?;
        Some(Self { stream, time: since_1970(&time)?, bytes: log.into_owned().into_bytes() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_of_dockerd_is_read() {
        let line =
            br#"{"log":"a\u003cb\u0009\"\n","stream":"stderr","time":"1970-01-02T00:00:01.5Z"}"#;
        let expected = LogLine {
            stream: LogStream::Stderr,
            time: Duration::from_millis(86_401_500),
            bytes: b"a<b\t\"\n".into(),
        };
        assert_eq!(LogLine::parse(line), Some(expected));
    }

    proptest! {
        #[test]
        fn what_is_not_a_line_is_none(line: Vec<u8>) {
            prop_assert_eq!(LogLine::parse(&line), None);
        }
    }
}
