//! The child: made with its namespaces by one `clone3(2)`, and how it and its launcher communicate
//! until it runs its program.
//!
//! The child shares its parent's memory (`CLONE_VM`) until it executes its program, as with
//! `posix_spawn(3)`: no page table is copied, however large the launcher. It runs on a stack of its
//! own and follows a [plan](crate::plan), which allocates nothing. With `CLONE_VFORK` the parent
//! sleeps meanwhile, and the kernel's out-of-memory killer spares the child: if the memory limit
//! were too small for the start, it would kill every process that shares the memory, including the
//! launcher; instead a step fails with ENOMEM. A launcher that has to write id maps or make links
//! while the child waits cannot sleep; in that case the limit must be larger.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{SigSet, SigmaskHow, pthread_sigmask},
    unistd::write,
};

use crate::{
    Error,
    error::call,
    gate::Gate,
    joined::Joined,
    namespaces::Namespaces,
    pidfd,
    plan::{Progress, Slot, SyscallPlan},
    sys,
    undumpable::Undumpable,
};

/// 32 KiB, far more than a loop over system calls needs in a debug build.
const STACK_WORDS: usize = 32 << 10 >> 4;

/// A stack, aligned as the System V ABI wants it.
type Stack = Box<[u128]>;

/// The first process of a container. Dropping it kills it, and with it all in its pid namespace.
#[derive(Debug)]
pub(crate) struct Child {
    pid: i32,
    pidfd: OwnedFd,
    /// Both ends of the gate, until it is opened: a write without a reader would raise SIGPIPE.
    gate: Option<(OwnedFd, OwnedFd)>,
    reports: File,
    reaped: bool,
    /// What the child uses until it has executed its program; freed afterwards.
    borrowed: Option<(Box<SyscallPlan>, Stack)>,
    /// Whether other processes can see the child, because its pid namespace is not its own.
    is_seen: bool,
    /// Keeps the launcher undumpable while others can see the child with its memory.
    unseen: Option<Undumpable>,
}

/// Makes the process with its namespaces. It starts to execute `plan` immediately: up to the gate
/// if it is `gated`, otherwise to the end before this returns.
pub(crate) fn clone_into(
    namespaces: &Namespaces,
    joined: &Joined,
    cgroup: Option<BorrowedFd<'_>>,
    plan: Box<SyscallPlan>,
    gate: Gate,
    gated: bool,
) -> Result<Child, Error> {
    let mut stack: Stack = vec![0; STACK_WORDS].into_boxed_slice();
    let mut pidfd = -1i32;
    // CLONE_CLEAR_SIGHAND: no handler of the launcher may run in the child, on its small stack.
    const CLEAR_SIGHAND: u64 = 0x1_0000_0000;
    const INTO_CGROUP: u64 = 0x2_0000_0000;
    let sleep = if gated { 0 } else { libc::CLONE_VFORK };
    let flags = libc::CLONE_PIDFD | libc::CLONE_VM | sleep | namespaces.clone_flags();
    // SAFETY: all fields are integers, for which zero is a value.
    let mut request: libc::clone_args = unsafe { std::mem::zeroed() };
    request.flags = u64::from(flags as u32) | CLEAR_SIGHAND;
    request.pidfd = &raw mut pidfd as u64;
    request.exit_signal = libc::SIGCHLD as u64;
    request.stack = stack.as_mut_ptr() as u64;
    request.stack_size = size_of_val(&*stack) as u64;
    if let Some(cgroup) = cgroup {
        request.flags |= INTO_CGROUP;
        request.cgroup = cgroup.as_raw_fd() as u64;
    }
    let elsewhere = joined.children_elsewhere()?;
    let is_seen = !namespaces.pid.is_new();
    let unseen = (is_seen && !gated).then(Undumpable::set);
    // The child inherits the mask: no signal reaches it before its plan unblocks them.
    let mut before = SigSet::empty();
    let masked = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before));
    masked.map_err(call("pthread_sigmask"))?;
    // SAFETY: `Child` keeps the plan and the stack until the child has executed or ended, and
    // `SyscallPlan::follow` makes system calls only.
    let cloned =
        unsafe { sys::clone_onto(&request, SyscallPlan::follow, &raw const *plan as usize) };
    drop(elsewhere);
    let restored = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
    let pid = cloned.map_err(call(format!("clone3 with new {} namespaces", namespaces.words())))?;
    // SAFETY: clone3 has just made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    let Gate { wait, open, reports, .. } = gate;
    let gate = Some((wait, open));
    let borrowed = Some((plan, stack));
    let (pid, reaped) = (pid as i32, false);
    let child = Child { pid, pidfd, gate, reports, reaped, borrowed, is_seen, unseen };
    restored.map_err(call("pthread_sigmask"))?;
    Ok(child)
}

/// How a child ended.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ChildExit {
    /// Its status (wait(2)).
    pub(crate) status: sandbox::Status,
    /// CPU time of it and of the children that it has waited for.
    pub(crate) cpu_time: std::time::Duration,
}

impl Child {
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    pub(crate) fn pidfd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// Waits until the child is at the gate, or has ended: for those who look at its namespaces then.
    pub(crate) fn wait_until_at_gate(&self) -> Result<(), Error> {
        let Some((plan, _)) = &self.borrowed else { return Ok(()) };
        while !plan.is_at_gate() {
            let mut watched = [PollFd::new(self.pidfd(), PollFlags::POLLIN)];
            match poll(&mut watched, PollTimeout::from(1u8)) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(call("poll the child")(errno)),
            }
        }
        Ok(())
    }

    /// Lets the child continue past the gate, by writing a byte. Closing our end would not do: a
    /// child that another thread has cloned meanwhile has a copy of it.
    pub(crate) fn open_gate(&mut self) -> Result<(), Error> {
        if self.is_seen && self.unseen.is_none() {
            // Not before: without root's power, an id map can be written only of a dumpable
            // process.
            self.unseen = Some(Undumpable::set());
        }
        match self.gate.take() {
            Some((_wait, open)) => write(open, &[1]).map(drop).map_err(call("write to the gate")),
            None => Ok(()),
        }
    }

    /// Waits until the child has put a descriptor into `slot`, and returns a copy; `None` if the child has
    /// ended before.
    pub(crate) fn copy_of(&self, slot: Slot) -> Result<Option<OwnedFd>, Error> {
        let number = loop {
            let plan = self.borrowed.as_ref().map(|(plan, _)| plan);
            if let Some(number) = plan.and_then(|plan| plan.content(slot)) {
                break number;
            }
            let mut ended = [PollFd::new(self.pidfd(), PollFlags::POLLIN)];
            match poll(&mut ended, 1u8) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(None),
                Err(errno) => return Err(call("poll the child")(errno)),
            }
        };
        let arguments = [self.pidfd.as_raw_fd() as usize, number, 0, 0, 0, 0];
        // SAFETY: pidfd_getfd(2) takes numbers.
        let copied = unsafe { sys::call(libc::SYS_pidfd_getfd, arguments) };
        let copied = copied.map_err(call("pidfd_getfd of the seccomp listener"))?;
        // SAFETY: the call has just made this descriptor for us.
        Ok(Some(unsafe { OwnedFd::from_raw_fd(copied as i32) }))
    }

    /// Waits until the program runs or has failed to start. Returns how far the plan got, and the
    /// plan, which the child no longer uses. If the program in memory reports too (`reports`), this
    /// also waits for the command's `execve`, and the reported errno replaces that of the plan.
    pub(crate) fn wait_for_exec(
        &mut self,
        reports: bool,
    ) -> Result<(Progress, Box<SyscallPlan>), Error> {
        let mut errno = [0; 4];
        let failed = "read the report of the child";
        let reported = if reports {
            match self.reports.read_exact(&mut errno) {
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => false,
                read => read.map(|()| true).map_err(crate::error::file(failed, "pipe"))?,
            }
        } else {
            // The `execve` or the child's death closes the pipe; before that, an error may be
            // reported.
            self.reports.read(&mut errno).map_err(crate::error::file(failed, "pipe"))?;
            false
        };
        let Some((plan, stack)) = self.borrowed.take() else {
            return Err(Error::Call {
                step: "wait twice for the execve".into(),
                errno: Errno::EINVAL,
            });
        };
        drop(stack);
        self.unseen = None;
        let progress = match (plan.progress(), i32::from_ne_bytes(errno)) {
            (Progress::Executed, number) if number != 0 => {
                Progress::NotExecuted(Errno::from_raw(number))
            }
            (Progress::Executed, _) if reports && !reported => {
                Progress::Stuck { step: "start of the first process".into(), errno: None }
            }
            (progress, _) => progress,
        };
        Ok((progress, plan))
    }

    /// Waits until a program that was waiting to be started has executed the command or failed.
    pub(crate) fn wait_for_program(&mut self) -> Result<Progress, Error> {
        let mut errno = [0; 4];
        match self.reports.read_exact(&mut errno) {
            // Closed by an `execve`, or by the child's end.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Ok(Progress::Executed)
            }
            Err(error) => Err(crate::error::file("read the report of the child", "pipe")(error)),
            Ok(()) => match i32::from_ne_bytes(errno) {
                0 => Ok(Progress::Executed),
                number => Ok(Progress::NotExecuted(Errno::from_raw(number))),
            },
        }
    }

    /// How the command ended, as reported by init, whose own status is `ended`. A report that does
    /// not agree with init's exit code is ignored.
    pub(crate) fn reported_status(&mut self, ended: sandbox::Status) -> Option<sandbox::Status> {
        // Init has ended, so this can block only if another process inside holds the pipe.
        fcntl(&self.reports, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).ok()?;
        let mut status = [0; 4];
        self.reports.read_exact(&mut status).ok()?;
        let reported = status_of(i32::from_ne_bytes(status));
        (reported.code() == ended.code()).then_some(reported)
    }

    /// Waits for the end of the process and reaps it.
    pub(crate) fn reap(&mut self) -> Result<ChildExit, Error> {
        // SAFETY: integers only, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        let mut status = 0i32;
        loop {
            let (status, usage) = (&raw mut status as usize, &raw mut usage as usize);
            let arguments = [self.pid as usize, status, 0, usage, 0, 0];
            // SAFETY: both point to live variables of the types that wait4(2) names.
            match unsafe { sys::call(libc::SYS_wait4, arguments) } {
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(call(format!("wait4 for process {}", self.pid))(errno)),
                Ok(_) => break,
            }
        }
        self.reaped = true;
        let time = |time: libc::timeval| {
            std::time::Duration::new(time.tv_sec as u64, time.tv_usec as u32 * 1000)
        };
        let cpu_time = time(usage.ru_utime) + time(usage.ru_stime);
        Ok(ChildExit { status: status_of(status), cpu_time })
    }
}

/// Decodes a wait status (wait(2), `WIFSIGNALED` and the like).
fn status_of(status: i32) -> sandbox::Status {
    match status & 0x7f {
        0 => sandbox::Status::Exited((status >> 8) as u8),
        signal => sandbox::Status::Signaled(signal),
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.reaped {
            pidfd::signal(self.pidfd(), libc::SIGKILL);
            // It fails only if somebody else has reaped it, and then it is gone too. The plan and
            // the stack are freed after this: the child no longer uses them.
            let _ = self.reap();
        }
    }
}
