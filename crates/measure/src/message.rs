//! What a measuring process reports to the process that started it: one JSON object a line.

use std::io::{self, Write};

use report::{Gap, Probe, ScheduleTrace, Unit};
use serde::{Deserialize, Serialize};

use crate::Error;

/// A line of a measuring process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A number was measured.
    Measured(Measurement),
    /// Something could not be measured.
    Gap(Gap),
    /// Who ran when.
    Trace(ScheduleTrace),
    /// What can be seen from inside.
    Probe(Probe),
    /// A program of others takes part: the name of its series, its version and command line.
    Subject(String, report::Subject),
    /// What was counted, for the provenance: its name and its value.
    Fact(String, String),
    /// What follows comes from the process with that number, of several in one nest.
    Process(u32),
    /// One round is over.
    Round,
}

/// One number, and where it belongs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The metric.
    pub metric: String,
    /// The sandbox.
    pub sandbox: String,
    /// The unit of `value`.
    pub unit: Unit,
    /// The number.
    pub value: f64,
    /// Its round.
    pub round: u32,
    /// What the reader must know to read it rightly.
    pub caveat: Option<String>,
}

/// Writes messages, a line each.
pub struct MessageWriter<W> {
    output: W,
}

impl<W: Write> MessageWriter<W> {
    /// Writes to `output`.
    pub fn new(output: W) -> Self {
        Self { output }
    }

    /// Writes one message. Nobody needs more once the reader is gone: the error ends the process.
    pub fn write(&mut self, message: &Message) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.output.write_all(&line)
    }

    /// Writes a gap for each of `metrics` in `sandbox`, with what led to it.
    pub fn gaps(&mut self, metrics: &[&str], sandbox: &str, error: &Error) -> io::Result<()> {
        for &metric in metrics {
            let Error { reason, fix } = error;
            let (reason, fix) = (reason.clone(), fix.clone());
            let (metric, sandbox) = (metric.to_owned(), sandbox.to_owned());
            self.write(&Message::Gap(Gap { metric, sandbox, reason, fix }))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use report::metric;

    use super::*;

    #[test]
    fn a_message_is_one_line_that_reads_back() {
        let gap = Gap {
            metric: metric::STARTUP_CREATED.into(),
            sandbox: "microvm".into(),
            reason: "two\nlines".into(),
            fix: String::new(),
        };
        let mut lines = Vec::new();
        MessageWriter::new(&mut lines).write(&Message::Gap(gap.clone())).unwrap();
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), Message::Gap(gap));
    }
}
