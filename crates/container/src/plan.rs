//! The plan: all the system calls of the child, with their operands, before there is a child.
//!
//! After `clone3` the child shares its parent's memory and may not allocate: another thread may
//! have held the allocator's lock at that moment. So the parent writes down every call with its
//! strings first, as a list, and the child only makes one after the other. Three things come for
//! free: an error is (step, operand, errno) because the step knows its own words, `--trace` is the
//! list with times beside it, and the child has no code that could go wrong in a second way.

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
use sandbox::{Question, Step as Told};

use crate::Error;

/// Where a call's result is kept for the calls after it: a descriptor that the child opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(usize);

/// Operands from here on stand for slots. Neither an address nor a number of any call: addresses
/// of a process end below 2^47.
const FIRST_SLOT: usize = 0x5107 << 48;

impl Slot {
    /// The operand that stands for what is in this slot.
    pub(crate) fn operand(self) -> usize {
        FIRST_SLOT + self.0
    }
}

/// What one step does.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// A system call.
    Call { number: c_long, arguments: [usize; 6] },
    /// Compares these parts of what calls have written to two places: all must be equal, or one
    /// must differ.
    Compare { left: usize, right: usize, parts: &'static [Range<usize>], equal: bool },
    /// Writes the number of a descriptor into a path of `/proc/self/fd`.
    Number { slot: Slot, address: usize, digits: usize },
}

/// How a descriptor is named in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Descriptors {
    /// By a path of `/proc/self/fd`.
    Whole,
    /// By a path from `/proc/self/fd`, which is the working directory then.
    Short,
}

impl Descriptors {
    /// The path before the number, and the room for that. Slashes fill it up from the left: several
    /// are as good as one (path_resolution(7)), and a number may not begin with a zero.
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
    /// Errors after which the plan goes on.
    forgiven: &'static [Errno],
    /// Whether the call is made again until it fails in a way that is forgiven.
    repeated: bool,
    /// How many of the steps that follow are left out after a forgiven error, and after success.
    skip: Skip,
    /// Index of the heading under which it is told.
    heading: Option<usize>,
}

#[derive(Debug, Default)]
struct Skip {
    if_failed: usize,
    if_done: usize,
}

/// The program that ends the plan, as `execveat(2)` wants it.
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
    /// Index of the step that is being done.
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
    /// What is in the slots; all ones, which is no descriptor, until a step has filled it.
    slots: Vec<AtomicUsize>,
    /// What several steps are together.
    headings: Vec<String>,
    /// Whether the steps that are added now belong to the last heading.
    under_heading: bool,
    exec: Exec,
    record: Record,
    /// The strings and structures that the operands point to.
    kept: Kept,
}

impl Default for SyscallPlan {
    fn default() -> Self {
        // A plan of a usual size does not move: each page that it touches is a fault of the start.
        Self {
            steps: Vec::with_capacity(224),
            slots: Vec::with_capacity(96),
            headings: Vec::with_capacity(32),
            under_heading: false,
            exec: Exec::default(),
            record: Record::default(),
            kept: Kept::default(),
        }
    }
}

/// Bytes that stay where they are, side by side.
#[derive(Debug, Default)]
struct Kept {
    /// None of them grows beyond its capacity, which would move it.
    chunks: Vec<Vec<u8>>,
}

impl Kept {
    /// Adds these bytes, one behind the other: their address.
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
    /// Adds the system call `number`, put in `words`.
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

    /// Adds a check, put in `words`, of what the steps before it have written to two addresses:
    /// these parts of it are equal, or else (`equal` is false) one of them differs. The plan ends
    /// where a check does not hold.
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

    /// Keeps `text`, in which each null stands for what is behind a descriptor, in the order of
    /// `slots`: a path of `/proc/self/fd`. For calls that take paths only, as the options of an
    /// overlay; the path leads to what was opened, whatever has been put in its place since.
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

    /// Adds steps that are told as one, in `words`. One that fails is told by its own.
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

    /// A slot that no step has filled yet.
    pub(crate) fn slot(&mut self) -> Slot {
        self.slots.push(AtomicUsize::new(usize::MAX));
        Slot(self.slots.len() - 1)
    }

    /// A slot with a descriptor that the child has from its launcher.
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

    /// Lets the plan go on when the last added step fails in one of these ways.
    pub(crate) fn forgive(&mut self, forgiven: &'static [Errno]) -> &mut Self {
        if let Some(step) = self.steps.last_mut() {
            step.forgiven = forgiven;
        }
        self
    }

    /// Makes the last added call again and again, until it fails in one of these ways.
    pub(crate) fn repeat_until(&mut self, end: &'static [Errno]) {
        self.forgive(end);
        if let Some(step) = self.steps.last_mut() {
            step.repeated = true;
        }
    }

    /// Adds the steps of `then` for the case that the last added step fails in one of these ways.
    pub(crate) fn if_failed<R>(
        &mut self,
        failures: &'static [Errno],
        then: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.branch(failures, then, |skip| &mut skip.if_done)
    }

    /// Adds the steps of `then` for the case that the last added step does not fail in one of these
    /// ways.
    pub(crate) fn unless_failed<R>(
        &mut self,
        failures: &'static [Errno],
        then: impl FnOnce(&mut Self) -> R,
    ) -> R {
        self.branch(failures, then, |skip| &mut skip.if_failed)
    }

    /// Adds steps that the last added one leaves out in the `other` case.
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

    /// Keeps `bytes` as long as the plan: their address, as an operand.
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

    /// Ends the plan with the program behind the child's descriptor of that number.
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

    /// Nothing may be added any more: the lists get their ends, and the record its room.
    pub(crate) fn finish(&mut self, traced: bool) {
        self.exec.argv.push(0);
        self.exec.envp.push(0);
        if traced {
            self.record.ended.resize_with(self.steps.len() + 1, AtomicU64::default);
            self.record.forgiven.resize_with(self.steps.len(), AtomicI32::default);
        }
    }

    /// When the child made its first step.
    pub(crate) fn began(&self) -> Duration {
        Duration::from_nanos(self.record.began.load(Relaxed))
    }

    /// How far the child came, when it is known to have executed its program or ended.
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
            (Some(step), errno) => Progress::Stuck { step: step.words.to_string(), errno },
        }
    }

    /// The steps with their times, of a traced plan.
    pub(crate) fn told(&self) -> Vec<Told> {
        let mut began = self.began();
        let mut told: Vec<Told> = Vec::new();
        let mut last_heading = None;
        for (index, (step, ended)) in self.steps.iter().zip(&self.record.ended).enumerate() {
            let ended = Duration::from_nanos(ended.load(Relaxed));
            if ended.is_zero() || (step.words == NO_CALL && step.heading.is_none()) {
                continue; // left out, not come to, or told with the next
            }
            let took = ended.saturating_sub(began);
            match told.last_mut() {
                Some(last) if step.heading.is_some() && step.heading == last_heading => {
                    last.took += took;
                }
                _ => {
                    let heading = step.heading.and_then(|index| self.headings.get(index));
                    let call = heading
                        .map_or_else(|| self.words_with_error(index), |words| words.clone().into());
                    told.push(Told { question: step.question, call, began, took });
                }
            }
            last_heading = step.heading;
            began = ended;
        }
        told
    }

    /// The words of a step; of one without which something is left out, the reason too.
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

/// The words of a step that is told with the next one.
pub(crate) const NO_CALL: &str = "";

/// Stands for an error number where a check did not hold.
const NOT_SO: i32 = -1;

/// How far the child came with its plan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// To the end: the program runs, or has run.
    Executed,
    /// To the program, which could not be executed.
    NotExecuted(Errno),
    /// To this check, which did not hold.
    Refused {
        /// What was to hold.
        check: String,
    },
    /// To this step, which failed; without an error number the child was killed in it.
    Stuck {
        /// The words of the step.
        step: String,
        /// Why it failed.
        errno: Option<Errno>,
    },
}
