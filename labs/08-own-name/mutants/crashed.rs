//! CLONE_VM: the child runs on a stack that its parent frees at once.

use std::{
    hint::spin_loop,
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use nix::{
    sched::{CloneFlags, clone},
    sys::signal::Signal,
    unistd::Pid,
};
use own_name::{Answer, Inside};

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

/// The child waits for it: on a busy machine the parent may be late, and nothing would break.
static IS_FREED: AtomicBool = AtomicBool::new(false);

fn spawn_isolated(flags: CloneFlags, mut inside: Inside) -> nix::Result<Pid> {
    let mut stack = vec![0; 1 << 20];
    let late: Inside = Box::new(move || {
        while !IS_FREED.load(SeqCst) {
            spin_loop();
        }
        inside()
    });
    let flags = flags | CloneFlags::CLONE_VM;
    // SAFETY: none; this is the mistake.
    let child = unsafe { clone(late, &mut stack, flags, Some(Signal::SIGCHLD as i32)) };
    drop(stack);
    IS_FREED.store(true, SeqCst);
    child
}

fn main() -> ExitCode {
    own_name::program(&Answer { spawn_isolated, ..solution::ANSWER })
}
