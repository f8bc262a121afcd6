//! Lab 08: a process with a name of its own. The part that leads the student's three functions.

use std::{
    env, fs,
    process::ExitCode,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::Duration,
};

use lab::program::{Host, Trouble, run};
use nix::{
    errno::Errno,
    sched::CloneFlags,
    sys::{
        signal::kill,
        wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    },
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

/// Who has run `inside`. The new process changes it for itself: the check sees whether it has changed
/// for the parent.
static MARK: AtomicU32 = AtomicU32::new(0);

/// The program: makes the process, lets it rename its host, and waits for it.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        host.step("make a System V segment", make_segment)?;
        host.meet("armed");
        let flags = (answer.clone_flags)();
        host.say("flags", words(flags));
        host.say("mark", MARK.as_ptr() as usize);
        host.meet("flags");
        let own = getpid();
        let inside = || inside(host, answer);
        let child =
            host.step("spawn_isolated", || (answer.spawn_isolated)(flags, Box::new(inside)))?;
        if getpid() != own {
            return host.step("exit in the new process", || Err("it came back instead"));
        }
        host.say("returned", child);
        until_the_child_ends(host, child)?;
        host.meet("exited");
        host.step("wait for the child", || waitpid(child, None))?;
        Ok(())
    })
}

/// What the new process does: it takes the name that the check gives it. Its exit code is the
/// check's, too.
fn inside(host: &Host, answer: &Answer) -> isize {
    let opened = host.step("open a file and change the directory", || {
        MARK.store(getpid().as_raw().cast_unsigned(), Ordering::SeqCst);
        env::set_current_dir("/")?;
        fs::File::open("/")
    });
    let opened = match opened {
        Ok(opened) => opened,
        Err(trouble) => {
            host.fail(&trouble);
            return 1;
        }
    };
    host.meet("cloned");
    drop(opened);
    let name = match host.argument("name") {
        "" => "somebody",
        name => name,
    };
    let renamed = host.step("set_host_name", || (answer.set_host_name)(name));
    if let Err(trouble) = renamed {
        host.fail(&trouble);
        return 1;
    }
    host.say("parent", Pid::parent());
    host.meet("inside");
    host.number("code", 0) as isize
}

/// The flags by their names; what has no name as a number.
fn words(flags: CloneFlags) -> String {
    let named = flags.iter_names().map(|(name, _)| name.to_owned());
    let rest = flags.bits() & !CloneFlags::all().bits();
    let rest = (rest != 0).then(|| format!("{rest:#x}"));
    named.chain(rest).collect::<Vec<_>>().join(" ")
}

/// Waits for any child to end, and leaves it there to be looked at: whatever number the student's
/// function has returned, and whatever signal the child sends (`__WALL`, waitid(2)).
fn until_the_child_ends(host: &Host, child: Pid) -> Result<(), Trouble> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
    let ended = waitid(Id::All, flags);
    if ended == Err(Errno::ECHILD) && child.as_raw() > 1 && child != getpid() {
        // If it is there, it is somebody else's child, and this process waits to be looked at.
        while kill(child, None).is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    }
    let ended = host.step("wait for the child", || ended)?;
    if let WaitStatus::Signaled(_, signal, _) = ended {
        return host.step("run in the new process", || Err(signal));
    }
    Ok(())
}

/// A segment of shared memory in the IPC namespace of the caller (shmget(2)): who is in another one
/// does not find it.
fn make_segment() -> Result<(), Errno> {
    // SAFETY: the call takes numbers only.
    let made = unsafe { libc::shmget(libc::IPC_PRIVATE, 4096, 0o600) };
    Errno::result(made).map(drop)
}
