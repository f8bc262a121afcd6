//! Descriptors of the caller that the program is to have, from number 3 on, as with systemd's socket
//! activation (sd_listen_fds(3)).
//!
//! ```text
//!   launcher   3, 4 ..         a copy of each far above, where nothing is rearranged
//!   child      256, 257 ..     kept while it uses the lower numbers itself
//!   program    3, 4 ..         once no more is opened; the child's own numbers move up
//! ```

use std::os::fd::{AsFd as _, BorrowedFd, FromRawFd as _, OwnedFd};

use nix::{
    fcntl::{FcntlArg, fcntl},
    sys::stat::fstat,
};
use sandbox::Question::WayOut;

use crate::{
    Begin, Error,
    child_descriptors::{FIRST_PRESERVED, INHERITED, PROGRAM, START},
    error::call,
    plan::SyscallPlan,
};

/// The first of the caller's descriptors that a program may be given.
const FIRST: usize = 3;

/// Copies of the caller's descriptors.
#[derive(Debug, Default)]
pub(crate) struct Preserved(Vec<OwnedFd>);

impl Preserved {
    /// Copies the first `count` descriptors after standard error.
    pub(crate) fn copy(count: usize) -> Result<Self, Error> {
        (FIRST..FIRST + count).map(|number| copy(number, count)).collect::<Result<_, _>>().map(Self)
    }

    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        self.0.iter().map(|copy| copy.as_fd()).collect()
    }
}

fn copy(number: usize, count: usize) -> Result<OwnedFd, Error> {
    let failed = || call(format!("fcntl F_DUPFD_CLOEXEC of descriptor {number}, to be passed on"));
    let least = i32::try_from(FIRST_PRESERVED + count).unwrap_or(i32::MAX);
    let raw = i32::try_from(number).unwrap_or(-1);
    // SAFETY: it is used for one call, which refuses a number that is not open.
    let given = unsafe { BorrowedFd::borrow_raw(raw) };
    let copied = fcntl(given, FcntlArg::F_DUPFD_CLOEXEC(least)).map_err(failed())?;
    // SAFETY: fcntl has just made this descriptor, so nobody else owns it.
    let copied = unsafe { OwnedFd::from_raw_fd(copied) };
    let found = fstat(&copied).map_err(failed())?;
    // `..` would lead from it to the host's root.
    match found.st_mode & libc::S_IFMT == libc::S_IFDIR {
        true => Err(Error::OpenDirectory { stream: "a descriptor to be passed on" }),
        false => Ok(copied),
    }
}

/// The child's steps before it gives up its power: `count` descriptors get the numbers that the program expects, and those that
/// the child itself still needs move above them.
pub(crate) fn hand_over(plan: &mut SyscallPlan, count: usize, begin: Begin<'_>) {
    if count == 0 {
        return;
    }
    let waits = matches!(begin, Begin::OnByte(_));
    let mut moved = |from: usize, to: usize, flags: i32| {
        let words = format!("dup3 descriptor {to}");
        plan.step(WayOut, words, libc::SYS_dup3, [from, to, flags as usize]);
    };
    // From above: none is overwritten that is still to move.
    if waits {
        moved(START, START + count, 0);
    }
    moved(PROGRAM, PROGRAM + count, libc::O_CLOEXEC);
    moved(INHERITED, INHERITED + count, 0);
    for index in 0..count {
        moved(FIRST_PRESERVED + index, FIRST + index, 0);
    }
    let words = "close what the child has moved";
    let mut first = PROGRAM + count + 1;
    if waits {
        plan.step(WayOut, words, libc::SYS_close_range, [first, START + count - 1, 0]);
        first = START + count + 1;
    }
    plan.step(WayOut, words, libc::SYS_close_range, [first, u32::MAX as usize, 0]);
}
