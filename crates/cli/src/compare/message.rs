//! What a measuring process tells the one that started it: one JSON object a line.

use std::{
    error::Error,
    io::{self, Write},
    iter,
};

use report::{Gap, Probe, Trace, Unit};
use serde::{Deserialize, Serialize};

/// A line of a measuring process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    /// A number was measured.
    Measured(Measured),
    /// Something could not be measured.
    Gap(Gap),
    /// Who ran when.
    Trace(Trace),
    /// What was seen inside.
    Probe(Probe),
    /// What was counted, for the provenance: name and value.
    Fact(String, String),
    /// One round is over.
    Round,
}

/// One number, and where it belongs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
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
    /// Why it is not what it seems.
    pub caveat: Option<String>,
}

/// Where messages go.
pub struct Sink<W> {
    output: W,
}

impl<W: Write> Sink<W> {
    /// Sends to `output`.
    pub fn new(output: W) -> Self {
        Self { output }
    }

    /// Sends one message. A reader that is gone wants no more: the error ends the process.
    pub fn send(&mut self, message: &Message) -> io::Result<()> {
        let mut line = serde_json::to_vec(message)?;
        line.push(b'\n');
        self.output.write_all(&line)
    }

    /// Sends a gap for each of `metrics` in `sandbox`, with what led to it.
    pub fn gaps(
        &mut self,
        metrics: &[&str],
        sandbox: &str,
        (reason, fix): (String, String),
    ) -> io::Result<()> {
        for &metric in metrics {
            let (reason, fix) = (reason.clone(), fix.clone());
            let (metric, sandbox) = (metric.to_owned(), sandbox.to_owned());
            self.send(&Message::Gap(Gap { metric, sandbox, reason, fix }))?;
        }
        Ok(())
    }
}

/// An error with all that led to it, in one line.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Reason and way out of a sandbox's error, as a gap says them.
pub fn why(error: &sandbox::Error) -> (String, String) {
    (chain(error), error.fix().unwrap_or_default().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_that_reads_back() {
        let gap = Gap {
            metric: "startup.created".into(),
            sandbox: "microvm".into(),
            reason: "two\nlines".into(),
            fix: String::new(),
        };
        let mut lines = Vec::new();
        Sink::new(&mut lines).send(&Message::Gap(gap.clone())).unwrap();
        let text = String::from_utf8(lines).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(serde_json::from_str::<Message>(&text).unwrap(), Message::Gap(gap));
    }
}
