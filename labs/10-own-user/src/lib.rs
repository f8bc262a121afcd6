//! Lab 10: root that is not root. The part that makes a process with a user namespace, and leads the
//! student's three functions on both sides of it.

mod trial;

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, PipeReader, PipeWriter, Read},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::MetadataExt,
    },
    process::ExitCode,
};

use lab::program::{Host, Trouble, run};
use nix::{
    sched::{CloneFlags, clone},
    sys::{signal::Signal, wait::waitpid},
    unistd::{Pid, execv, getuid, pipe},
};
use trial::{try_to_open, try_to_wait, until_it_waits};

/// A pipe at which the new process waits. Both processes have both ends of it: the new one is born
/// with a copy of all descriptors.
#[derive(Debug)]
pub struct Gate {
    /// What the new process reads from.
    pub wait: PipeReader,
    /// What its parent writes to.
    pub open: PipeWriter,
}

/// The student's functions.
pub struct Answer {
    /// The new process's: comes back when the gate is open.
    pub wait_at_gate: fn(Gate) -> io::Result<()>,
    /// The parent's: says who the new process is, inside and outside.
    pub write_maps: fn(Pid) -> io::Result<()>,
    /// The parent's: lets the new process go on.
    pub open_gate: fn(Gate) -> io::Result<()>,
}

/// The program: the parent and the new process, or what that one executes.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| match host.argument("role") {
        "inside" => inside(host),
        _ => outside(host, answer),
    })
}

fn outside(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let (wait, open) = host.step("make a pipe", io::pipe)?;
    // By its end the parent tells that it has done its part, gate or no gate.
    let (done, doing) = host.step("make a pipe", pipe)?;
    let mut of_child = Some((Gate { wait, open }, doing));
    let born = || match of_child.take() {
        Some((gate, doing)) => {
            drop(doing);
            enter(host, answer, gate, done.as_raw_fd())
        }
        None => 1,
    };
    let child = host.step("clone a process with a user namespace", || {
        let mut stack = vec![0; 1 << 20];
        // SAFETY: without CLONE_VM the child has a copy of this process's memory, the stack too, and
        // this process has one thread, so nothing is held that the child would wait for.
        #[expect(unsafe_code, reason = "nix marks clone as unsafe for programs with threads")]
        unsafe {
            let signal = Some(Signal::SIGCHLD as i32);
            clone(Box::new(born), &mut stack, CloneFlags::CLONE_NEWUSER, signal)
        }
    })?;
    until_it_waits(child);
    host.say("gate", host.step("look at the pipe", || inode(of_child.as_ref()))?);
    host.meet("born");
    try_to_wait(host, answer)?;
    let written = (answer.write_maps)(child);
    host.say("write_maps", written.as_ref().map_or_else(ToString::to_string, |()| "ok".into()));
    host.meet("written");
    host.step("write_maps", || written)?;
    try_to_open(host, answer)?;
    if let Some((gate, doing)) = of_child {
        host.step("open_gate", || (answer.open_gate)(gate))?;
        drop(doing);
    }
    host.step("wait for the child", || waitpid(child, None))?;
    Ok(())
}

/// The new process: it waits, and then it executes a program, which is when the kernel looks who it
/// is (capabilities(7), "Transformation of capabilities during execve()").
fn enter(host: &Host, answer: &Answer, gate: Gate, done: i32) -> isize {
    let steps = || {
        host.step("wait_at_gate", || (answer.wait_at_gate)(gate))?;
        let own = host.step("find this program", std::env::current_exe)?;
        let words = [
            own.display().to_string(),
            "role=inside".into(),
            format!("done={done}"),
            format!("token={}", host.argument("token")),
        ];
        let words: Result<Vec<CString>, _> = words.into_iter().map(CString::new).collect();
        let words = host.step("name this program", || words)?;
        host.step("execute this program", || execv(&words[0], &words))
    };
    let Err(trouble) = steps();
    host.fail(&trouble);
    1
}

/// What is executed: it makes a file, and says who it is.
fn inside(host: &Host) -> Result<(), Trouble> {
    let path = format!("/tmp/lab10-{}", host.argument("token"));
    let owner = || {
        fs::write(&path, "made inside\n")?;
        Ok::<_, io::Error>(fs::metadata(&path)?.uid())
    };
    host.say("uid", getuid());
    host.say("owner", host.step("make a file", owner)?);
    let done = format!("/proc/self/fd/{}", host.number("done", 0));
    host.step("wait for the parent", || File::open(done)?.read_to_end(&mut Vec::new()))?;
    host.meet("inside");
    host.step("remove the file", || fs::remove_file(&path))
}

/// The number of the gate's pipe, by which the check finds it.
fn inode(of_child: Option<&(Gate, impl Sized)>) -> io::Result<u64> {
    let (gate, _) = of_child.ok_or(io::ErrorKind::NotFound)?;
    Ok(File::from(gate.wait.as_fd().try_clone_to_owned()?).metadata()?.ino())
}
