//! Descriptors that the next program should not inherit.

use std::os::fd::{AsFd, FromRawFd as _, OwnedFd};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, fcntl},
};

use crate::{Error, error::call};

/// Marks all descriptors except the standard streams close-on-exec. Libraries open theirs that way;
/// inherited ones may not be.
///
/// # Errors
///
/// When the kernel is older than Linux 5.11.
pub fn close_at_execve() -> Result<(), Error> {
    const CLOEXEC: i32 = libc::CLOSE_RANGE_CLOEXEC as i32;
    // SAFETY: close_range takes three numbers. With this flag it closes nothing now: it sets the
    // close-on-exec flag (close_range(2)).
    let done = unsafe { libc::close_range(libc::STDERR_FILENO as u32 + 1, u32::MAX, CLOEXEC) };
    Errno::result(done).map(drop).map_err(call("close_range"))
}

/// Descriptors from this number on stay in place while the child rearranges the lower ones.
const HIGH: i32 = 10;

/// A copy of `descriptor` with a number above those that the child rearranges.
pub(crate) fn high(descriptor: &impl AsFd) -> Result<OwnedFd, Error> {
    let number = fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(HIGH))
        .map_err(call("fcntl F_DUPFD_CLOEXEC"))?;
    // SAFETY: fcntl has just made this descriptor, so nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, fcntl};
    use std::{fs, process::Command};

    #[test]
    fn a_program_finds_only_its_standard_streams() {
        let file = fs::File::open("/dev/null").unwrap();
        // Without the mark, as a shell leaves one; so high that `ls` opens nothing there.
        let number = fcntl(&file, FcntlArg::F_DUPFD(200)).unwrap().to_string();
        let is_inherited = || {
            let listed = Command::new("ls").args(["-1", "/proc/self/fd"]).output().unwrap();
            String::from_utf8(listed.stdout).unwrap().lines().any(|line| line == number)
        };
        assert!(is_inherited());
        close_at_execve().unwrap();
        assert!(!is_inherited());
    }
}
