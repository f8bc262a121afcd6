//! The numbers of a child's descriptors, and which of its launcher's descriptors it keeps.

use std::os::fd::BorrowedFd;

use sandbox::Question::WayOut;

use crate::plan::SyscallPlan;

/// The number of the descriptor that a program inherits besides the three standard ones: the
/// mailbox of a built-in program, the report of init.
pub(crate) const INHERITED: usize = 3;
/// The child's descriptor of the program in memory that it executes.
pub(crate) const PROGRAM: usize = 4;
/// The child's end of the report, where the program does not inherit it. Its `execve` closes it.
const REPORT: usize = 5;
/// Where the child waits to be started; the program closes it.
pub(crate) const START: usize = 6;
/// The child's end of the socket by which the launcher gets the master of a terminal.
pub(crate) const TERMINAL: usize = 7;
/// Where the child waits until the listener of its filter has been passed on.
pub(crate) const LISTENER: usize = 8;
/// The first of the child's mounts that its launcher has made.
pub(crate) const MOUNTS: usize = 9;
/// The first of the caller's descriptors for the program, until its numbers are free.
pub(crate) const FIRST_PRESERVED: usize = 256;

/// What the child keeps of the launcher's descriptors besides standard input, output and error.
#[derive(Debug, Default)]
pub(crate) struct ChildDescriptors<'a> {
    /// What the program inherits.
    pub(crate) inherited: Option<BorrowedFd<'a>>,
    /// The program in memory.
    pub(crate) program: Option<BorrowedFd<'a>>,
    /// The end of the report that is closed by `execve`.
    pub(crate) report: Option<BorrowedFd<'a>>,
    /// Where it waits to be started.
    pub(crate) start: Option<BorrowedFd<'a>>,
    /// The socket by which it sends the master of its terminal.
    pub(crate) terminal: Option<BorrowedFd<'a>>,
    /// Where it waits until the listener of its filter has been passed on.
    pub(crate) listener: Option<BorrowedFd<'a>>,
    /// Mounts, until the root is entered. Their numbers in the launcher are above those in the
    /// child.
    pub(crate) mounts: Vec<BorrowedFd<'a>>,
    /// The caller's descriptors for the program.
    pub(crate) preserved: Vec<BorrowedFd<'a>>,
}

impl<'a> ChildDescriptors<'a> {
    /// Each with its number in the child, and the flags of its copy (dup3(2)).
    pub(crate) fn all(&self) -> impl Iterator<Item = (BorrowedFd<'a>, usize, i32)> {
        let single = [
            (self.inherited, INHERITED, 0),
            (self.program, PROGRAM, libc::O_CLOEXEC),
            (self.report, REPORT, libc::O_CLOEXEC),
            (self.start, START, 0),
            (self.terminal, TERMINAL, libc::O_CLOEXEC),
            (self.listener, LISTENER, libc::O_CLOEXEC),
        ];
        let single =
            single.into_iter().filter_map(|(kept, number, flags)| Some((kept?, number, flags)));
        let mounts = self.mounts.iter().zip(MOUNTS..);
        let mounts = mounts.map(|(kept, number)| (*kept, number, libc::O_CLOEXEC));
        let preserved = self.preserved.iter().zip(FIRST_PRESERVED..);
        single.chain(mounts).chain(preserved.map(|(kept, number)| (*kept, number, 0)))
    }

    /// The child's steps that close all others (close_range(2)): the launcher's before the child
    /// enters a root from which they could be reached, and the child's own before its program.
    pub(crate) fn close_others(&self, plan: &mut SyscallPlan, words: &'static str) {
        let mut first = INHERITED;
        for (_, number, _) in self.all() {
            if first < number {
                plan.step(WayOut, words, libc::SYS_close_range, [first, number - 1, 0]);
            }
            first = number + 1;
        }
        plan.step(WayOut, words, libc::SYS_close_range, [first, u32::MAX as usize, 0]);
    }
}
