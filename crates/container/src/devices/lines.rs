//! The rules for version 1: lines for `devices.allow` and `devices.deny`, one for each write.
//!
//! The kernel keeps a default and a list of exceptions, whose order does not matter: writing `a` to
//! one of the files sets the default and clears the exceptions; any other line adds an exception,
//! or removes an identical one. So the rules are first folded into such a list. That also gives the
//! fewest writes: an exception that a wider one covers needs no write. A new cgroup starts with its
//! parent's list, and cannot allow what its parent denies.

use super::{Access, DeviceKind, DeviceRule};
use crate::Error;

/// The writes, in order: file and line.
///
/// A request for several accesses (read and write) must be covered by a single line: if two lines
/// with different wildcards cover it only together, version 1 denies what version 2 allows.
///
/// # Errors
///
/// When a rule removes a part of a wider earlier one, which a list of exceptions cannot express.
pub fn lines(rules: &[DeviceRule]) -> Result<Vec<(&'static str, String)>, Error> {
    let mut list = List { allow: false, exceptions: Vec::new() };
    for rule in rules {
        list.add(rule)?;
    }
    list.simplify();
    let files = ["devices.deny", "devices.allow"];
    let (default, exceptions) =
        if list.allow { (files[1], files[0]) } else { (files[0], files[1]) };
    let line = |exception: &Exception| (exceptions, exception.to_string());
    Ok([(default, "a".to_owned())].into_iter().chain(list.exceptions.iter().map(line)).collect())
}

/// The list that the kernel keeps for a cgroup.
struct List {
    /// Whether devices that match no exception are allowed.
    allow: bool,
    exceptions: Vec<Exception>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Exception {
    /// Char or Block.
    kind: DeviceKind,
    major: Option<u32>,
    minor: Option<u32>,
    access: Access,
}

impl std::fmt::Display for Exception {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |it| it.to_string());
        let kind = if self.kind == DeviceKind::Block { 'b' } else { 'c' };
        write!(out, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

impl Exception {
    /// The exceptions for a rule: version 1 has no line that matches both block and character
    /// devices.
    fn of(rule: &DeviceRule) -> impl Iterator<Item = Self> {
        let DeviceRule { major, minor, access, .. } = *rule;
        let kinds = [DeviceKind::Char, DeviceKind::Block].into_iter();
        let kind = rule.kind;
        kinds.filter(move |it| kind == *it || kind == DeviceKind::All).map(move |kind| Self {
            kind,
            major,
            minor,
            access,
        })
    }

    /// Whether it covers all devices of `other`.
    fn covers(&self, other: &Self) -> bool {
        let covers = |own: Option<u32>, other| own.is_none() || own == other;
        self.kind == other.kind
            && covers(self.major, other.major)
            && covers(self.minor, other.minor)
    }

    /// Whether they have a device and an access in common.
    fn meets(&self, other: &Self) -> bool {
        let meets =
            |own: Option<u32>, other: Option<u32>| own.is_none() || other.is_none() || own == other;
        self.kind == other.kind
            && meets(self.major, other.major)
            && meets(self.minor, other.minor)
            && self.access.bits() & other.access.bits() != 0
    }
}

impl List {
    fn add(&mut self, rule: &DeviceRule) -> Result<(), Error> {
        if rule.is_total() {
            *self = Self { allow: rule.allow, exceptions: Vec::new() };
            return Ok(());
        }
        for new in Exception::of(rule) {
            if rule.allow != self.allow {
                self.exceptions.push(new);
                continue;
            }
            for old in self.exceptions.iter_mut().filter(|old| old.meets(&new)) {
                if !new.covers(old) {
                    let (rule, wider) = (new.to_string(), old.to_string());
                    return Err(Error::DeviceRule { rule, wider });
                }
                old.access = old.access.without(new.access);
            }
        }
        Ok(())
    }

    /// Removes redundant exceptions, and merges the accesses of equal ones.
    fn simplify(&mut self) {
        let all = self.exceptions.clone();
        for one in &mut self.exceptions {
            let wider = all.iter().filter(|other| other.covers(one));
            one.access = wider.fold(one.access, |access, other| access.with(other.access));
        }
        let mut kept: Vec<Exception> = Vec::new();
        for (index, one) in self.exceptions.iter().enumerate() {
            let says = |other: &Exception| other.covers(one) && other.access.contains(one.access);
            let later = self.exceptions[index + 1..].iter().any(says);
            if one.access != Access::NONE && !later && !kept.iter().any(says) {
                kept.push(*one);
            }
        }
        self.exceptions = kept;
    }
}
