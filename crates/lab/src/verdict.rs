//! What a check says: a verdict, the message's id, and what the kernel was seen to say.
//!
//! A check prints one [`Report`] as a line of JSON. It holds no sentences: those are in the
//! [catalogue](crate::catalogue), in two languages under the same id, with braces into which the
//! report's facts go.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The three verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The kernel's state is as it should be.
    Pass,
    /// It is not.
    Fail,
    /// The host is too busy for it to be seen, or lacks something that it takes.
    CannotTell,
}

impl Verdict {
    /// The exit code of `isolab lab check`.
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::CannotTell => 3,
        }
    }
}

/// Something that the kernel said, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// The file, descriptor or system call: `/proc/4711/ns/uts`.
    pub place: String,
    /// What it said, one line or a few.
    pub says: String,
}

/// A part of the lab's contract that this host cannot show.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unjudged {
    /// Its text in the catalogue, `[unjudged.NAME]` of the lab.
    pub name: String,
    /// What the host said, for the braces `{because}`.
    pub because: String,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The lab's number, two digits: `08`.
    pub lab: String,
    /// The verdict.
    pub verdict: Verdict,
    /// The message: `L08-no-fork` from the lab's catalogue, `not-written` from the common one;
    /// `None` for a pass.
    pub id: Option<String>,
    /// What goes into the braces of the message.
    pub facts: BTreeMap<String, String>,
    /// What was seen, in the order of looking.
    pub evidence: Vec<Evidence>,
    /// What was counted or measured, by the names of the lab's predictions.
    pub measured: BTreeMap<String, f64>,
    /// The last lines that the student's program wrote itself.
    pub output: Vec<String>,
    /// What a pass does not speak of, because this host cannot show it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unjudged: Vec<Unjudged>,
}
