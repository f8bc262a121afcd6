//! From a profile to a program of classic BPF.
//!
//! The program gets a `struct seccomp_data` for each call and has one register, the accumulator. It
//! loads 32 bits of that structure, compares, jumps, and returns an action. Consecutive numbers
//! with the same outcome form an interval; a binary search finds the interval:
//!
//! ```text
//!         load arch      not x86_64? -> the same for i386, if the profile has it; else ENOSYS
//!         load number
//!         number >= 157? --no--> number >= 56? --no--> ...
//!              |yes                   |yes
//!             ...                   ALLOW        or: load an argument, compare, ...
//! ```
//!
//! Each architecture has its own search; return values and tests of arguments are shared.
//!
//! When the kernel installs a filter it runs it for each number, up to the first load of an
//! argument: so short paths to the result matter, and arguments come last.

use std::borrow::Cow;

use super::{
    Action, Argument, Operator, Profile, Rule,
    assembler::{
        AND, ARCHITECTURE, ARGUMENTS, Assembler, I386, Instruction, JUMP_EQUAL, JUMP_GREATER,
        JUMP_GREATER_EQUAL, Label, NUMBER, UNKNOWN, X32, X86_64,
    },
    syscalls::{self, COMMON, Table},
    syscalls_i386,
};
use crate::{Error, child_descriptors::PROGRAM};

/// The outcome for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    /// This action, regardless of its arguments.
    Answer(u32),
    /// The action of the first matching rule, by index in the profile.
    Tests {
        rules: Vec<usize>,
        /// The action if none matches.
        otherwise: u32,
    },
}

/// Numbers from `first` on, to the first of the next interval.
#[derive(Debug, PartialEq, Eq)]
struct Interval {
    first: u32,
    outcome: Outcome,
}

/// Compiles `profile`.
///
/// # Errors
///
/// When a rule looks at an argument that no call has, or the program is too long for the kernel.
pub(super) fn compile(profile: &Profile) -> Result<Vec<Instruction>, Error> {
    check_arguments(profile)?;
    let named = profile.rules.len();
    let profile = &with_own_call(profile);
    let assembler = Assembler::default();
    let mut compiler = Compiler { profile, assembler, tests: Vec::new(), common: None };
    // From the end of the program to its beginning.
    let mut architecture = compiler.assembler.answer(UNKNOWN);
    if profile.has_i386() {
        let calls = compiler.calls(intervals(profile, named, &syscalls_i386::I386, None));
        architecture = compiler.assembler.branch(JUMP_EQUAL, I386, calls, architecture);
    }
    let calls = compiler.calls(intervals(profile, named, &syscalls::X86_64, Some(X32)));
    let architecture = compiler.assembler.branch(JUMP_EQUAL, X86_64, calls, architecture);
    compiler.assembler.load(ARCHITECTURE, architecture);
    compiler.assembler.finish()
}

fn check_arguments(profile: &Profile) -> Result<(), Error> {
    for rule in &profile.rules {
        if let Some(argument) = rule.arguments.iter().find(|argument| argument.index > 5) {
            let name = rule.names.first().cloned().unwrap_or_default();
            return Err(Error::SeccompArgument { name, index: argument.index });
        }
    }
    Ok(())
}

/// The profile, and a rule for the last call of a child before its program runs: execveat of a program
/// in memory, by its descriptor. Profiles that allow execve, which other runtimes call, may not know it;
/// and nobody can do more by it than by execve of `/proc/self/fd/4`.
fn with_own_call(profile: &Profile) -> Cow<'_, Profile> {
    let rule_of =
        |name: &str| profile.rules.iter().find(|rule| rule.names.iter().any(|it| it == name));
    let allows = |rule: &Rule| rule.action.lets_pass() && rule.arguments.is_empty();
    let is_needed = !profile.default_action.lets_pass()
        && rule_of("execveat").is_none()
        && rule_of("execve").is_some_and(allows);
    if !is_needed {
        return Cow::Borrowed(profile);
    }
    let equal = |index, value| Argument { index, value, value_two: 0, operator: Operator::Equal };
    let flags = libc::AT_EMPTY_PATH.cast_unsigned();
    let own = Rule {
        names: vec!["execveat".into()],
        action: Action::Allow,
        errno: None,
        arguments: vec![equal(0, PROGRAM as u64), equal(4, flags.into())],
    };
    let mut profile = profile.clone();
    profile.rules.push(own);
    Cow::Owned(profile)
}

/// The outcomes of all numbers of one architecture; those from `foreign` on belong to another one. The
/// first rules, `named` of them, tell how new the profile is.
fn intervals(
    profile: &Profile,
    named: usize,
    table: &Table,
    foreign: Option<u32>,
) -> Vec<Interval> {
    let pairs = rules_by_number(profile, table);
    let newest = pairs.iter().rfind(|pair| pair.1 < named).map_or(0, |(number, _)| *number);
    let mut by_number = pairs.chunk_by(|one, other| one.0 == other.0).peekable();
    let default = profile.default_action.answer(profile.default_errno);
    let unknown = if profile.default_action.lets_pass() { default } else { UNKNOWN };
    let mut intervals: Vec<Interval> = Vec::new();
    let mut add = |first, outcome| {
        if first == COMMON || intervals.last().is_none_or(|last| last.outcome != outcome) {
            // Adjacent ranges have nothing between them.
            intervals.pop_if(|last| last.first == first);
            intervals.push(Interval { first, outcome });
        }
    };
    for range in table.ranges() {
        let end = range.end;
        for number in range {
            let rules = by_number.next_if(|pairs| pairs[0].0 == number);
            add(
                number,
                match rules {
                    Some(pairs) if number <= newest => outcome(profile, pairs, default),
                    Some(pairs) => outcome(profile, pairs, unknown),
                    None if number < newest => Outcome::Answer(default),
                    None => Outcome::Answer(unknown),
                },
            );
        }
        add(end, Outcome::Answer(unknown));
    }
    if let Some(foreign) = foreign {
        add(foreign, Outcome::Answer(UNKNOWN));
    }
    intervals
}

/// The rules of each number, as sorted pairs.
fn rules_by_number(profile: &Profile, table: &Table) -> Vec<(u32, usize)> {
    let numbers = table.numbers();
    let mut pairs = Vec::new();
    for (index, rule) in profile.rules.iter().enumerate() {
        let known = rule.names.iter().filter_map(|name| numbers.get(name.as_str()));
        pairs.extend(known.map(|number| (*number, index)));
    }
    pairs.sort_unstable();
    pairs
}

/// The outcome of the rules of one number.
fn outcome(profile: &Profile, pairs: &[(u32, usize)], default: u32) -> Outcome {
    let rule = |pair: &(u32, usize)| &profile.rules[pair.1];
    let end = pairs.iter().position(|pair| rule(pair).arguments.is_empty());
    let otherwise = end.map_or(default, |end| answer(rule(&pairs[end])));
    match &pairs[..end.unwrap_or(pairs.len())] {
        [] => Outcome::Answer(otherwise),
        tests => Outcome::Tests { rules: tests.iter().map(|pair| pair.1).collect(), otherwise },
    }
}

fn answer(rule: &Rule) -> u32 {
    rule.action.answer(rule.errno)
}

/// Turns outcomes into code.
struct Compiler<'a> {
    profile: &'a Profile,
    assembler: Assembler,
    /// The tests of arguments that exist already.
    tests: Vec<(Outcome, Label)>,
    /// The last search generated for the numbers that architectures share.
    common: Option<(Vec<Interval>, Label)>,
}

impl Compiler<'_> {
    /// Loads the number and searches. The search from [`COMMON`] on is usually the same for all
    /// architectures, and generated once.
    fn calls(&mut self, mut intervals: Vec<Interval>) -> Label {
        let common = intervals.split_off(intervals.partition_point(|it| it.first < COMMON));
        let high = match self.common.take() {
            Some((written, label)) if written == common => label,
            _ => self.search(&common),
        };
        self.common = Some((common, high));
        let low = self.search(&intervals);
        let search = self.assembler.branch(JUMP_GREATER_EQUAL, COMMON, high, low);
        self.assembler.load(NUMBER, search)
    }

    /// Finds the interval of the number in the accumulator, and applies its outcome.
    fn search(&mut self, intervals: &[Interval]) -> Label {
        if let [interval] = intervals {
            return self.outcome(&interval.outcome);
        }
        let (low, high) = intervals.split_at(intervals.len() / 2);
        let (first, high) = (high[0].first, self.search(high));
        let low = self.search(low);
        self.assembler.branch(JUMP_GREATER_EQUAL, first, high, low)
    }

    fn outcome(&mut self, outcome: &Outcome) -> Label {
        let (rules, otherwise) = match outcome {
            Outcome::Answer(answer) => return self.assembler.answer(*answer),
            Outcome::Tests { rules, otherwise } => (rules, *otherwise),
        };
        if let Some((_, label)) = self.tests.iter().find(|(known, _)| known == outcome) {
            return *label;
        }
        let profile = self.profile;
        let mut next = self.assembler.answer(otherwise);
        for rule in rules.iter().rev().map(|index| &profile.rules[*index]) {
            let mut holds = self.assembler.answer(answer(rule));
            for argument in rule.arguments.iter().rev() {
                holds = self.test(argument, holds, next);
            }
            next = holds;
        }
        self.tests.push((outcome.clone(), next));
        next
    }

    /// Compares an argument. It has 64 bits, the accumulator 32.
    fn test(&mut self, argument: &Argument, holds: Label, fails: Label) -> Label {
        let Argument { index, value, value_two, operator } = *argument;
        match operator {
            Operator::Equal => self.equal(index, u64::MAX, value, holds, fails),
            Operator::NotEqual => self.equal(index, u64::MAX, value, fails, holds),
            Operator::MaskedEqual => self.equal(index, value, value_two, holds, fails),
            Operator::Greater => self.greater(index, JUMP_GREATER, value, holds, fails),
            Operator::GreaterEqual => self.greater(index, JUMP_GREATER_EQUAL, value, holds, fails),
            Operator::Less => self.greater(index, JUMP_GREATER_EQUAL, value, fails, holds),
            Operator::LessEqual => self.greater(index, JUMP_GREATER, value, fails, holds),
        }
    }

    fn equal(&mut self, index: u8, mask: u64, value: u64, holds: Label, fails: Label) -> Label {
        let (low, high) = halves(index);
        let low = self.half_equal(low, mask as u32, value as u32, holds, fails);
        self.half_equal(high, (mask >> 32) as u32, (value >> 32) as u32, low, fails)
    }

    fn half_equal(&mut self, at: u32, mask: u32, value: u32, holds: Label, fails: Label) -> Label {
        if mask == 0 {
            return if value == 0 { holds } else { fails };
        }
        let mut next = self.assembler.branch(JUMP_EQUAL, value, holds, fails);
        if mask != u32::MAX {
            next = self.assembler.push(AND, 0, 0, mask);
        }
        self.assembler.load(at, next)
    }

    /// `compare`, "greater" with or without "equal", decides by the lower half if the upper halves
    /// are equal.
    fn greater(
        &mut self,
        index: u8,
        compare: u16,
        value: u64,
        holds: Label,
        fails: Label,
    ) -> Label {
        let (low, high) = halves(index);
        let next = self.assembler.branch(compare, value as u32, holds, fails);
        let low = self.assembler.load(low, next);
        let same = self.assembler.branch(JUMP_EQUAL, (value >> 32) as u32, low, fails);
        let more = self.assembler.branch(JUMP_GREATER, (value >> 32) as u32, holds, same);
        self.assembler.load(high, more)
    }
}

/// The offsets of the lower and upper half of an argument, on a little-endian machine.
fn halves(index: u8) -> (u32, u32) {
    let low = ARGUMENTS + 8 * u32::from(index);
    (low, low + 4)
}
