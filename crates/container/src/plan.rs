//! The plan: all system calls of the child, with their operands, prepared before the child exists.
//!
//! After `clone3` the child shares its parent's memory and may not allocate: another thread may
//! have held the allocator's lock at that moment. So the parent prepares every call with its
//! strings as a list, and the child makes one call after the other. This has three advantages: an
//! error is (step, operands, errno), because each step has its description; `--trace` is the list
//! with times; and the child runs no other code that could fail.

mod follow;

use std::{
    borrow::Cow,
    ffi::c_long,
    ops::Range,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use nix::errno::Errno;
use sandbox::{Question, TraceEntry};

use crate::Error;

/// Holds the result of a call for later calls: a descriptor that the child opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(usize);

/// Operands from here on denote slots. No address and no other operand is that large: user
/// addresses end below 2^47.
const FIRST_SLOT: usize = 0x5107 << 48;

impl Slot {
    /// The operand that denotes the content of this slot.
    pub(crate) fn operand(self) -> usize {
        FIRST_SLOT + self.0
    }
}

/// What one step does.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A system call.
    Call { number: c_long, arguments: [usize; 6] },
    /// Compares parts of what earlier calls have written to two addresses: all must be equal, or at
    /// least one must differ.
    Compare { left: usize, right: usize, parts: &'static [Range<usize>], equal: bool },
    /// Writes the number of a descriptor into a path of `/proc/self/fd`.
    Number { slot: Slot, address: usize, digits: usize },
}

/// How a descriptor is named in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descriptors {
    /// By a path of `/proc/self/fd`.
    Whole,
    /// By a path relative to `/proc/self/fd`, which is the working directory at that point.
    Short,
}

impl Descriptors {
    /// The path before the number, and the space for the number. It is padded with slashes on the
    /// left: several count as one (path_resolution(7)), and a number may not begin with a zero.
    fn parts(self) -> (&'static [u8], usize) {
        match self {
            Self::Whole => (b"/proc/self/fd/", 8),
            Self::Short => (b"./", 4),
        }
    }
}

/// One step of the child.
#[derive(Debug)]
struct Step {
    question: Question,
    words: Cow<'static, str>,
    act: Act,
    /// Where the result goes.
    result: Option<Slot>,
    /// Errors after which the plan continues.
    forgiven: &'static [Errno],
    /// Whether the call is repeated until it fails with one of the forgiven errors.
    repeated: bool,
    /// How many of the following steps are skipped after a forgiven error, and after success.
    skip: Skip,
    /// Index of the heading under which it is shown in a trace.
    heading: Option<usize>,
}

#[derive(Debug, Default)]
struct Skip {
    if_failed: usize,
    if_done: usize,
}

/// The program at the end of the plan, as `execveat(2)` takes it.
#[derive(Debug, Default)]
struct Exec {
    /// The child's descriptor of the program.
    descriptor: usize,
    argv: Vec<usize>,
    envp: Vec<usize>,
}

/// What the child reports. It is shared memory: the child writes, the parent reads.
#[derive(Debug, Default)]
struct Record {
    /// Index of the current step.
    step: AtomicUsize,
    /// Its error, if it failed.
    errno: AtomicI32,
    /// When the child began.
    began: AtomicU64,
    /// When each step ended; of a traced plan only.
    ended: Vec<AtomicU64>,
    /// The errors of steps that are forgiven; of a traced plan only.
    forgiven: Vec<AtomicI32>,
}

/// What the child will do.
#[derive(Debug)]
pub(crate) struct SyscallPlan {
    steps: Vec<Step>,
    /// The contents of the slots; all ones, which is not a descriptor, until a step has filled it.
    slots: Vec<AtomicUsize>,
    /// The headings: descriptions of several steps together.
    headings: Vec<String>,
    /// Whether the steps that are added now belong to the last heading.
    under_heading: bool,
    /// The step at which the child waits for its launcher.
    gate: Option<usize>,
    /// The steps that look for the program.
    about_the_program: Range<usize>,
    exec: Exec,
    record: Record,
    /// The strings and structures that the operands point to.
    kept: Kept,
}

impl Default for SyscallPlan {
    fn default() -> Self {
        // A plan of the usual size is not reallocated: each page that it touches costs a page
        // fault.
        Self {
            steps: Vec::with_capacity(448),
            slots: Vec::with_capacity(160),
            headings: Vec::with_capacity(64),
            under_heading: false,
            gate: None,
            about_the_program: 0..0,
            exec: Exec::default(),
            record: Record::default(),
            kept: Kept::default(),
        }
    }
}

/// A buffer whose bytes keep their addresses.
#[derive(Debug, Default)]
struct Kept {
    /// No chunk grows beyond its capacity, which would move it.
    chunks: Vec<Vec<u8>>,
}

impl Kept {
    /// Adds these bytes and returns their address.
    fn add(&mut self, bytes: &[u8], end: &[u8]) -> usize {
        const CHUNK: usize = 16 << 10;
        const ALIGNMENT: usize = 8;
        let needed = bytes.len() + end.len();
        let fits =
            |chunk: &Vec<u8>| chunk.len().next_multiple_of(ALIGNMENT) + needed <= chunk.capacity();
        if !self.chunks.last().is_some_and(fits) {
            self.chunks.push(Vec::with_capacity(needed.max(CHUNK)));
        }
        let last = self.chunks.len() - 1;
        let chunk = &mut self.chunks[last];
        chunk.resize(chunk.len().next_multiple_of(ALIGNMENT), 0);
        let address = chunk.as_mut_ptr() as usize + chunk.len();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(end);
        address
    }
}

impl SyscallPlan {
    /// Adds the system call `number`, described by `words`.
    pub(crate) fn step<const N: usize>(
        &mut self,
        question: Question,
        words: impl Into<Cow<'static, str>>,
        number: c_long,
        arguments: [usize; N],
    ) -> &mut Self {
        let mut all = [0; 6];
        all[..N].copy_from_slice(&arguments);
        self.add(question, words.into(), Act::Call { number, arguments: all })
    }

    /// Adds a check, described by `words`, of what earlier steps have written to two addresses:
    /// these parts are equal or, if `equal` is false, at least one differs. The plan ends at a
    /// failed check.
    pub(crate) fn compare(
        &mut self,
        question: Question,
        words: impl Into<Cow<'static, str>>,
        (left, right): (usize, usize),
        parts: &'static [Range<usize>],
        equal: bool,
    ) {
        self.add(question, words.into(), Act::Compare { left, right, parts, equal });
    }

    /// Keeps `text`, in which each null is replaced by a path of `/proc/self/fd` to a descriptor,
    /// in the order of `slots`. For calls that take only paths, such as the options of an overlay;
    /// the path leads to the opened file, even if its name has been reused since.
    pub(crate) fn text_with_descriptors(
        &mut self,
        question: Question,
        text: &str,
        slots: &[Slot],
        written: Descriptors,
    ) -> usize {
        let (prefix, digits) = written.parts();
        let mut bytes = Vec::new();
        let mut places = Vec::new();
        for (index, part) in text.split('\0').enumerate() {
            if index > 0 {
                bytes.extend_from_slice(prefix);
                places.push(bytes.len());
                bytes.resize(bytes.len() + digits, b'/');
            }
            bytes.extend_from_slice(part.as_bytes());
        }
        bytes.push(0);
        let start = self.keep(bytes);
        for (place, slot) in places.into_iter().zip(slots) {
            let act = Act::Number { slot: *slot, address: start + place, digits };
            self.add(question, NO_CALL.into(), act);
        }
        start
    }

    fn add(&mut self, question: Question, words: Cow<'static, str>, act: Act) -> &mut Self {
        let skip = Skip::default();
        let (result, forgiven, repeated) = (None, &[][..], false);
        let heading = self.headings.len().checked_sub(1).filter(|_| self.under_heading);
        self.steps.push(Step { question, words, act, result, forgiven, repeated, skip, heading });
        self
    }

    /// Adds steps that a trace shows as one, described by `words`. A failed step is reported by its
    /// own words.
    pub(crate) fn together<R>(&mut self, words: String, add: impl FnOnce(&mut Self) -> R) -> R {
        if self.under_heading {
            return add(self);
        }
        self.headings.push(words);
        self.under_heading = true;
        let result = add(self);
        self.under_heading = false;
        result
    }

    /// A new, empty slot.
    pub(crate) fn slot(&mut self) -> Slot {
        self.slots.push(AtomicUsize::new(usize::MAX));
        Slot(self.slots.len() - 1)
    }

    /// A slot with a descriptor that the child inherits from its launcher.
    pub(crate) fn descriptor(&mut self, number: usize) -> Slot {
        self.slots.push(AtomicUsize::new(number));
        Slot(self.slots.len() - 1)
    }

    /// Keeps the result of the last added step.
    pub(crate) fn result(&mut self) -> Slot {
        let slot = self.slot();
        self.result_into(slot);
        slot
    }

    /// Keeps the result of the last added step in `slot`.
    pub(crate) fn result_into(&mut self, slot: Slot) {
        if let Some(step) = self.steps.last_mut() {
            step.result = Some(slot);
        }
    }

    /// Lets the plan continue if the last added step fails with one of these errors.
    pub(crate) fn forgive(&mut self, forgiven: &'static [Errno]) -> &mut Self {
        if let Some(step) = self.steps.last_mut() {
            step.forgiven = forgiven;
        }
        self
    }

    /// Repeats the last added call until it fails with one of these errors.
    pub(crate) fn repeat_until(&mut self, end: &'static [Errno]) {
        self.forgive(end);
        if let Some(step) = self.steps.last_mut() {
            step.repeated = true;
        }
    }

    /// Adds the steps of `then`, which run if the last added step fails with one of these errors.
    pub(crate) fn if_failed<R>(
        &mut self,
        failures: &'static [Errno],
        then: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.branch(failures, then, |skip| &mut skip.if_done)
    }

    /// Adds the steps of `then`, which run unless the last added step fails with one of these
    /// errors.
    pub(crate) fn unless_failed<R>(
        &mut self,
        failures: &'static [Errno],
        then: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.branch(failures, then, |skip| &mut skip.if_failed)
    }

    /// Adds steps that are skipped in the `other` case.
    fn branch<R>(
        &mut self,
        failures: &'static [Errno],
        then: impl FnOnce(&mut Self) -> R,
        other: impl FnOnce(&mut Skip) -> &mut usize,
    ) -> R {
        let at = self.forgive(failures).steps.len();
        let result = then(self);
        let added = self.steps.len() - at;
        if let Some(step) = at.checked_sub(1).and_then(|last| self.steps.get_mut(last)) {
            *other(&mut step.skip) = added;
        }
        result
    }

    /// The steps that `add` adds are tried one after the other, as long as they fail with one of these
    /// errors; what the last one says counts.
    pub(crate) fn one_of<R>(
        &mut self,
        failures: &'static [Errno],
        add: impl FnOnce(&mut Self) -> R,
    ) -> R {
        let first = self.steps.len();
        let result = add(self);
        let last = self.steps.len().saturating_sub(1);
        for (index, step) in self.steps.iter_mut().enumerate().take(last).skip(first) {
            step.forgiven = failures;
            step.skip.if_done = last - index;
        }
        result
    }

    /// Keeps `bytes` for the lifetime of the plan and returns their address, as an operand.
    pub(crate) fn keep(&mut self, bytes: impl AsRef<[u8]>) -> usize {
        self.kept.add(bytes.as_ref(), &[])
    }

    /// Keeps `text` as a string for the kernel.
    pub(crate) fn text(&mut self, text: impl AsRef<Path>) -> Result<usize, Error> {
        let text = text.as_ref();
        let bytes = text.as_os_str().as_bytes();
        if bytes.contains(&0) {
            return Err(Error::NulInside { text: text.display().to_string() });
        }
        Ok(self.kept.add(bytes, &[0]))
    }

    /// Ends the plan with the program in the child's descriptor `number`.
    pub(crate) fn execute_descriptor(&mut self, number: usize) {
        self.exec.descriptor = number;
    }

    /// The words of the program's command line.
    pub(crate) fn arguments(&mut self, words: &[impl AsRef<Path>]) -> Result<(), Error> {
        for word in words {
            let address = self.text(word)?;
            self.exec.argv.push(address);
        }
        Ok(())
    }

    /// Adds `NAME=VALUE` to the program's environment.
    pub(crate) fn environment(&mut self, variable: impl AsRef<Path>) -> Result<(), Error> {
        let address = self.text(variable)?;
        self.exec.envp.push(address);
        Ok(())
    }

    /// Completes the plan: terminates the lists and allocates the record. Nothing may be added
    /// afterwards.
    pub(crate) fn finish(&mut self, traced: bool) {
        self.exec.argv.push(0);
        self.exec.envp.push(0);
        if traced {
            self.record.ended.resize_with(self.steps.len() + 1, AtomicU64::default);
            self.record.forgiven.resize_with(self.steps.len(), AtomicI32::default);
        }
    }

    /// The next step is the one at which the child waits for its launcher.
    pub(crate) fn gate_follows(&mut self) {
        self.gate = Some(self.steps.len());
    }

    /// The steps that `add` adds look for the program: one that fails says why it cannot be executed.
    pub(crate) fn about_the_program<R>(&mut self, add: impl FnOnce(&mut Self) -> R) -> R {
        let first = self.steps.len();
        let result = add(self);
        self.about_the_program = first..self.steps.len();
        result
    }

    /// Whether the child has made all steps before its gate, or has failed at one.
    pub(crate) fn is_at_gate(&self) -> bool {
        let has_failed = self.record.errno.load(Relaxed) != 0;
        has_failed || self.gate.is_none_or(|gate| self.record.step.load(Relaxed) >= gate)
    }

    /// What a step of the child has put into `slot`, once it has.
    pub(crate) fn content(&self, slot: Slot) -> Option<usize> {
        let content = self.slots.get(slot.0)?.load(Relaxed);
        (content != usize::MAX).then_some(content)
    }

    /// When the child made its first step.
    pub(crate) fn began(&self) -> Duration {
        Duration::from_nanos(self.record.began.load(Relaxed))
    }

    /// How far the child got, once it has executed its program or ended.
    pub(crate) fn progress(&self) -> Progress {
        let index = self.record.step.load(Relaxed);
        let errno = match self.record.errno.load(Relaxed) {
            0 => None,
            number => Some(Errno::from_raw(number)),
        };
        let refused = self.record.errno.load(Relaxed) == NOT_SO;
        match (self.steps.get(index), errno) {
            (Some(step), _) if refused => Progress::Refused { check: step.words.to_string() },
            (None, None) => Progress::Executed,
            (None, Some(errno)) => Progress::NotExecuted(errno),
            (Some(_), Some(errno)) if self.about_the_program.contains(&index) => {
                Progress::NotExecuted(errno)
            }
            (Some(step), errno) => Progress::Stuck { step: step.words.to_string(), errno },
        }
    }

    /// The steps with their times, of a traced plan.
    pub(crate) fn trace_entries(&self) -> Vec<TraceEntry> {
        let mut began = self.began();
        let mut traced: Vec<TraceEntry> = Vec::new();
        let mut last_heading = None;
        for (index, (step, ended)) in self.steps.iter().zip(&self.record.ended).enumerate() {
            let ended = Duration::from_nanos(ended.load(Relaxed));
            if ended.is_zero() || (step.words == NO_CALL && step.heading.is_none()) {
                continue; // skipped, not reached, or shown with the next step
            }
            let took = ended.saturating_sub(began);
            match traced.last_mut() {
                Some(last) if step.heading.is_some() && step.heading == last_heading => {
                    last.took += took;
                }
                _ => {
                    let heading = step.heading.and_then(|index| self.headings.get(index));
                    let call = heading
                        .map_or_else(|| self.words_with_error(index), |words| words.clone().into());
                    traced.push(TraceEntry {
                        question: step.question,
                        event: call.into(),
                        began,
                        took,
                    });
                }
            }
            last_heading = step.heading;
            began = ended;
        }
        traced
    }

    /// The words of a step, and the reason if it was skipped.
    fn words_with_error(&self, index: usize) -> Cow<'static, str> {
        let Some(step) = self.steps.get(index) else { return NO_CALL.into() };
        let error = self.record.forgiven.get(index).map_or(0, |errno| errno.load(Relaxed));
        match error {
            0 => step.words.clone(),
            number if step.skip.if_failed > 0 => {
                format!("{}: {}: left out", step.words, Errno::from_raw(number)).into()
            }
            _ => step.words.clone(),
        }
    }
}

/// The words of a step that is shown together with the next one.
pub(crate) const NO_CALL: &str = "";

/// The error number of a failed check.
const NOT_SO: i32 = -1;

/// How far the child got with its plan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The program was executed.
    Executed,
    /// The program could not be executed.
    NotExecuted(Errno),
    /// This check failed.
    Refused {
        /// The expected condition.
        check: String,
    },
    /// This step failed; without an error number, the child was killed in it.
    Stuck {
        /// The words of the step.
        step: String,
        /// Why it failed.
        errno: Option<Errno>,
    },
}
