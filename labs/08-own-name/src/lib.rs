//! Lab 08: a process with a name of its own. The part that leads the student's three functions.

use std::process::ExitCode;

use lab::program::{Host, run};
use nix::{
    errno::Errno,
    sched::CloneFlags,
    sys::wait::waitpid,
    unistd::{Pid, getpid},
};

/// What a new process does, from its first instruction to its exit code.
pub type Inside<'a> = Box<dyn FnMut() -> isize + 'a>;

/// The student's functions.
pub struct Answer {
    /// Which namespaces the new process gets.
    pub clone_flags: fn() -> CloneFlags,
    /// Makes the new process.
    pub spawn_isolated: fn(CloneFlags, Inside) -> nix::Result<Pid>,
    /// Gives the host of the caller a name.
    pub set_host_name: fn(&str) -> nix::Result<()>,
}

/// The program: makes the process, lets it rename its host, and waits for it.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        host.step("make a System V segment", make_segment)?;
        host.meet("armed");
        let flags = (answer.clone_flags)();
        let inside = || inside(host, answer);
        let child =
            host.step("spawn_isolated", || (answer.spawn_isolated)(flags, Box::new(inside)))?;
        host.step("wait for the child", || waitpid(child, None))?;
        Ok(())
    })
}

/// What the new process does: it takes the name that the check gives it, and says what it sees.
fn inside(host: &Host, answer: &Answer) -> isize {
    let name = match host.argument("name") {
        "" => "somebody",
        name => name,
    };
    let renamed = host.step("set_host_name", || (answer.set_host_name)(name));
    if let Err(trouble) = renamed {
        host.fail(&trouble);
        return 1;
    }
    host.say("pid", getpid());
    host.say("parent", Pid::parent());
    host.meet("inside");
    0
}

/// A segment of shared memory in the IPC namespace of the caller (shmget(2)): who is in another one
/// does not find it.
fn make_segment() -> Result<(), Errno> {
    // SAFETY: the call takes numbers only.
    let made = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) };
    Errno::result(made).map(drop)
}
