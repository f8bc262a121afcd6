//! The plan: all the system calls of the child, with their operands, before there is a child.
//!
//! After `clone3` the child shares its parent's memory and may not allocate: another thread may
//! have held the allocator's lock at that moment. So the parent writes down every call with its
//! strings first, as a list, and the child only makes one after the other. Three things come for
//! free: an error is (step, operand, errno) because the step knows its own words, `--trace` is the
//! list with times beside it, and the child has no code that could go wrong in a second way.

use std::{
    borrow::Cow,
    ffi::{CString, c_long},
    os::fd::{AsRawFd, BorrowedFd},
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use nix::errno::Errno;
use sandbox::{Question, Step as Told};

use crate::{Error, sys};

/// An operand that stands for the result of the step before.
pub(crate) const LAST: usize = usize::MAX - 1;

/// One system call of the child.
#[derive(Debug)]
struct Step {
    question: Question,
    words: Cow<'static, str>,
    number: c_long,
    arguments: [usize; 6],
    /// Errors after which the plan goes on.
    forgiven: &'static [Errno],
}

/// The program that ends the plan, as `execveat(2)` wants it.
#[derive(Debug, Default)]
struct Exec {
    /// A descriptor of the program; otherwise the candidates are tried in turn.
    descriptor: Option<i32>,
    /// None if the first word is the program's path itself.
    candidates: Vec<usize>,
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
}

/// What the child will do.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    steps: Vec<Step>,
    exec: Exec,
    record: Record,
    /// The strings and structures that the operands point to.
    kept: Vec<Box<[u8]>>,
}

impl Plan {
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
        let words = words.into();
        self.steps.push(Step { question, words, number, arguments: all, forgiven: &[] });
        self
    }

    /// Lets the plan go on when the last added step fails in one of these ways.
    pub(crate) fn forgive(&mut self, forgiven: &'static [Errno]) -> &mut Self {
        if let Some(step) = self.steps.last_mut() {
            step.forgiven = forgiven;
        }
        self
    }

    /// Keeps `bytes` as long as the plan: their address, as an operand.
    pub(crate) fn keep(&mut self, bytes: impl Into<Vec<u8>>) -> usize {
        let bytes = bytes.into().into_boxed_slice();
        let address = bytes.as_ptr() as usize;
        self.kept.push(bytes);
        address
    }

    /// Keeps `text` as a string for the kernel.
    pub(crate) fn text(&mut self, text: impl AsRef<Path>) -> Result<usize, Error> {
        let text = text.as_ref();
        let ended = CString::new(text.as_os_str().as_bytes())
            .map_err(|_| Error::NulInside { text: text.display().to_string() })?;
        Ok(self.keep(ended.into_bytes_with_nul()))
    }

    /// Ends the plan with the program behind `descriptor`.
    pub(crate) fn execute_descriptor(&mut self, descriptor: BorrowedFd<'_>) {
        self.exec.descriptor = Some(descriptor.as_raw_fd());
    }

    /// Ends the plan with the first of `candidates` that is a program; without any, with the
    /// program whose path is the first word.
    pub(crate) fn execute_first(&mut self, candidates: &[impl AsRef<Path>]) -> Result<(), Error> {
        for candidate in candidates {
            let address = self.text(candidate)?;
            self.exec.candidates.push(address);
        }
        Ok(())
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
        }
    }

    /// Does all of it and never returns. This is the child: system calls and nothing else.
    pub(crate) extern "C" fn follow(plan: usize) -> ! {
        // SAFETY: `namespaces::clone_into` passes a plan that it keeps until the child has executed
        // its program or ended, and reads through shared references only.
        let plan = unsafe { &*(plan as *const Self) };
        plan.record.began.store(sys::nanoseconds(), Relaxed);
        let mut last = 0;
        let mut ended = plan.record.ended.iter();
        for (index, step) in plan.steps.iter().enumerate() {
            plan.record.step.store(index, Relaxed);
            let arguments = step.arguments.map(|value| if value == LAST { last } else { value });
            // SAFETY: the parent made the operands for this very call, and keeps them.
            match unsafe { sys::call(step.number, arguments) } {
                Ok(result) => last = result,
                Err(errno) if step.forgiven.contains(&errno) => {}
                Err(errno) => plan.give_up(errno),
            }
            if let Some(slot) = ended.next() {
                slot.store(sys::nanoseconds(), Relaxed);
            }
        }
        plan.record.step.store(plan.steps.len(), Relaxed);
        plan.give_up(plan.execute())
    }

    fn give_up(&self, errno: Errno) -> ! {
        self.record.errno.store(errno as i32, Relaxed);
        sys::exit(125)
    }

    /// Executes the program; returns only with the reason why not.
    fn execute(&self) -> Errno {
        let (argv, envp) = (self.exec.argv.as_ptr() as usize, self.exec.envp.as_ptr() as usize);
        if let Some(descriptor) = self.exec.descriptor {
            let flags = libc::AT_EMPTY_PATH as usize;
            let arguments = [descriptor as usize, c"".as_ptr() as usize, argv, envp, flags, 0];
            // SAFETY: the lists end with null and hold strings that the plan keeps.
            return match unsafe { sys::call(libc::SYS_execveat, arguments) } {
                Err(errno) => errno,
                Ok(_) => Errno::UnknownErrno,
            };
        }
        let execute = |path: usize| {
            // SAFETY: as above; the paths among the lists are strings that the plan keeps, too.
            match unsafe { sys::call(libc::SYS_execve, [path, argv, envp, 0, 0, 0]) } {
                Err(errno) => errno,
                Ok(_) => Errno::UnknownErrno,
            }
        };
        if self.exec.candidates.is_empty() {
            return self.exec.argv.first().map_or(Errno::ENOENT, |path| execute(*path));
        }
        let mut reason = Errno::ENOENT;
        for &candidate in &self.exec.candidates {
            match execute(candidate) {
                // As a shell: a file that may not be executed is remembered, and the search goes
                // on; a folder that may not be searched has no file to show.
                Errno::EACCES if is_file(candidate) => reason = Errno::EACCES,
                Errno::EACCES | Errno::ENOENT | Errno::ENOTDIR => {}
                errno => return errno,
            }
        }
        reason
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
        match (self.steps.get(index), errno) {
            (None, None) => Progress::Executed,
            (None, Some(errno)) => Progress::NotExecuted(errno),
            (Some(step), errno) => Progress::Stuck { step: step.words.to_string(), errno },
        }
    }

    /// The steps with their times, of a traced plan.
    pub(crate) fn told(&self) -> Vec<Told> {
        let mut began = self.began();
        let mut told = Vec::new();
        for (step, ended) in self.steps.iter().zip(&self.record.ended) {
            let ended = Duration::from_nanos(ended.load(Relaxed));
            if ended.is_zero() {
                break;
            }
            let took = ended.saturating_sub(began);
            told.push(Told { question: step.question, call: step.words.clone(), began, took });
            began = ended;
        }
        told
    }
}

/// Whether there is a file at `path`, the address of a string that the plan keeps.
fn is_file(path: usize) -> bool {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut found: libc::stat = unsafe { std::mem::zeroed() };
    let arguments = [path, &raw mut found as usize, 0, 0, 0, 0];
    // SAFETY: the path is a live string, and `found` is what stat(2) fills.
    let looked = unsafe { sys::call(libc::SYS_stat, arguments) };
    looked.is_ok() && found.st_mode & libc::S_IFMT == libc::S_IFREG
}

/// How far the child came with its plan.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// To the end: the program runs, or has run.
    Executed,
    /// To the program, which could not be executed.
    NotExecuted(Errno),
    /// To this step, which failed; without an error number the child was killed in it.
    Stuck {
        /// The words of the step.
        step: String,
        /// Why it failed.
        errno: Option<Errno>,
    },
}
