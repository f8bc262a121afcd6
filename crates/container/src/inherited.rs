//! What a program would inherit from the launcher's caller, and does not: a container should not
//! depend on who starts it.
//!
//! | of the caller | inside |
//! |---|---|
//! | umask | 022, also while the root is set up |
//! | limits (getrlimit(2)) | those of `LIMITS`; a caller who may not raise a limit passes on a lower one |
//! | supplementary groups | those of the user; a user namespace that an ordinary user made keeps them |
//! | a real-time policy (sched(7)) | none: one program would hold a CPU |
//! | timer slack (`PR_SET_TIMERSLACK`) | 50 us, the kernel's default |
//! | environment, descriptors | nothing |
//! | blocked signals | none; ignored ones stay ignored |
//! | nice value, I/O priority, CPU affinity, `oom_score_adj` | the same: they say how much of the machine the caller gives away |

use nix::{
    errno::Errno,
    sys::resource::{RLIM_INFINITY, Resource, getrlimit, setrlimit},
};
use sandbox::Question::Power;

use crate::{
    capabilities::{self, SYS_RESOURCE},
    plan::SyscallPlan,
    sys,
};

/// Soft and hard limits, by their numbers (asm-generic/resource.h), as a daemon started by root has
/// them: the kernel's defaults where they are fixed, and systemd's for open files.
const LIMITS: [(&str, u64, u64); 16] = [
    ("cpu", NONE, NONE),
    ("fsize", NONE, NONE),
    ("data", NONE, NONE),
    ("stack", 8 << 20, NONE),
    ("core", 0, NONE),
    ("rss", NONE, NONE),
    ("nproc", NONE, NONE),
    ("nofile", 1024, 512 << 10),
    ("memlock", 8 << 20, 8 << 20),
    ("as", NONE, NONE),
    ("locks", NONE, NONE),
    ("sigpending", 64 << 10, 64 << 10),
    ("msgqueue", 800 << 10, 800 << 10),
    ("nice", 0, 0),
    ("rtprio", 0, 0),
    ("rttime", NONE, NONE),
];
/// No limit.
const NONE: u64 = RLIM_INFINITY;

/// The child's first steps, before its root is set up, which needs open files too. In a new user
/// namespace it may not raise limits.
pub(crate) fn leave_out(plan: &mut SyscallPlan, new_user_namespace: bool) {
    plan.step(Power, "umask 022", libc::SYS_umask, [0o022]);
    set_limits(plan, !new_user_namespace && capabilities::own().has(SYS_RESOURCE));
    if is_real_time() {
        let nothing = plan.keep(0i32.to_ne_bytes()); // struct sched_param: no priority
        let arguments = [0, libc::SCHED_OTHER as usize, nothing];
        let words = "sched_setscheduler SCHED_OTHER";
        plan.step(Power, words, libc::SYS_sched_setscheduler, arguments);
    }
    // After the policy: a real-time process has no timer slack.
    const SLACK: usize = 50_000; // in nanoseconds
    let arguments = [libc::PR_SET_TIMERSLACK as usize, SLACK];
    plan.step(Power, "prctl PR_SET_TIMERSLACK", libc::SYS_prctl, arguments);
}

/// Whether a new thread of this process would have a real-time policy.
fn is_real_time() -> bool {
    // SAFETY: takes a number: 0 is the calling thread.
    let policy = unsafe { libc::sched_getscheduler(0) };
    let policy = policy & !libc::SCHED_RESET_ON_FORK;
    [libc::SCHED_FIFO, libc::SCHED_RR, libc::SCHED_DEADLINE].contains(&policy)
}

/// The number of the limit of that name, with or without `RLIMIT_`, in any case.
pub(crate) fn number_of(name: &str) -> Option<usize> {
    let plain = name.to_ascii_lowercase();
    let plain = plain.strip_prefix("rlimit_").unwrap_or(&plain);
    LIMITS.iter().position(|(known, ..)| *known == plain)
}

/// The child's steps that set the default limits: all of them if it `may_raise` limits, otherwise
/// those that are not above the caller's.
fn set_limits(plan: &mut SyscallPlan, may_raise: bool) {
    let values = |(number, &(_, soft, hard)): (usize, &(&str, u64, u64))| match may_raise {
        true => [soft, hard],
        false => {
            let most = own_hard_limit(number);
            [soft.min(most), hard.min(most)]
        }
    };
    let values: Vec<[u64; 2]> = LIMITS.iter().enumerate().map(values).collect();
    let bytes: Vec<u8> = values.as_flattened().iter().flat_map(|it| it.to_ne_bytes()).collect();
    let address = plan.keep(bytes);
    plan.together("prlimit: the usual limits of a process".into(), |plan| {
        for number in 0..LIMITS.len() {
            let limit = address + number * size_of::<[u64; 2]>();
            plan.step(Power, "prlimit", libc::SYS_prlimit64, [0, number, limit, 0]);
            // A host may have set `fs.nr_open` lower than the default limit of open files.
            plan.forgive(&[Errno::EPERM]);
        }
    });
}

/// How far the launcher itself may raise a limit.
fn own_hard_limit(number: usize) -> u64 {
    let mut found = [0, RLIM_INFINITY];
    let arguments = [0, number, 0, &raw mut found as usize, 0, 0];
    // SAFETY: `found` is laid out as a struct rlimit64 and outlives the call, which fails for no
    // limit of the list.
    let _ = unsafe { sys::call(libc::SYS_prlimit64, arguments) };
    found[1]
}

/// Raises the launcher's own limit of file sizes as far as allowed: the files that it writes for a
/// start are not the container's.
pub(crate) fn lift_file_size() -> Result<(), Errno> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_FSIZE)?;
    if soft == RLIM_INFINITY {
        return Ok(());
    }
    match setrlimit(Resource::RLIMIT_FSIZE, RLIM_INFINITY, RLIM_INFINITY) {
        Err(Errno::EPERM) => setrlimit(Resource::RLIMIT_FSIZE, hard, hard),
        set => set,
    }
}
