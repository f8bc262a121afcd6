//! What a check found that is no pass.

use std::{collections::BTreeMap, fmt::Display, io};

use crate::verdict::Verdict;

/// Why there is no pass: a message's id with its facts.
#[derive(Debug)]
pub struct Finding {
    pub(super) kind: Kind,
    pub(super) id: String,
    pub(super) facts: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Fail,
    CannotTell,
    /// The check itself is broken: no verdict at all.
    Broken,
}

/// The result of a look: what was seen, or why the check ends here.
pub type Checked<T> = Result<T, Finding>;

/// The program is wrong: `fail("L08-no-fork")`.
pub fn fail(id: &str) -> Finding {
    Finding { kind: Kind::Fail, id: id.to_owned(), facts: BTreeMap::new() }
}

/// It cannot be seen whether the program is right: `cannot_tell("busy")`.
pub fn cannot_tell(id: &str) -> Finding {
    Finding { kind: Kind::CannotTell, ..fail(id) }
}

/// `finding` unless `right`.
///
/// # Errors
///
/// The finding.
pub fn ensure(right: bool, finding: impl FnOnce() -> Finding) -> Checked<()> {
    if right { Ok(()) } else { Err(finding()) }
}

impl Finding {
    /// With what goes into the braces `{name}` of its message.
    #[must_use]
    pub fn fact(mut self, name: &str, value: impl Display) -> Self {
        self.facts.insert(name.to_owned(), value.to_string());
        self
    }

    /// The message's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What goes into the braces `{name}`; empty if nothing does.
    pub fn get(&self, name: &str) -> &str {
        self.facts.get(name).map_or("", String::as_str)
    }

    /// Whether it is `refused`: the kernel's answer to `step` was `error` (`EBUSY`, or a part of the
    /// words for it). For a lab that knows better why.
    pub fn is_refusal(&self, step: &str, error: &str) -> bool {
        self.id == "refused" && self.get("step") == step && self.get("error").contains(error)
    }

    pub(super) fn verdict(&self) -> Option<Verdict> {
        match self.kind {
            Kind::Fail => Some(Verdict::Fail),
            Kind::CannotTell => Some(Verdict::CannotTell),
            Kind::Broken => None,
        }
    }
}

/// A look that the check itself failed at.
impl From<io::Error> for Finding {
    fn from(error: io::Error) -> Self {
        Self { kind: Kind::Broken, ..fail(&error.to_string()) }
    }
}
