//! The kernel of this host against the same judge.

use super::*;

/// Runs `tries` on a thread of its own, for which the kernel of this host has installed `profile`.
fn confined<T: Send + 'static>(
    profile: &Profile,
    tries: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<T> {
    let mut plan = SyscallPlan::default();
    let program = Program::of(profile).unwrap().keep(&mut plan);
    let thread = std::thread::spawn(move || {
        // SAFETY: prctl takes numbers here.
        let prepared = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
        assert_eq!(prepared, 0);
        // SAFETY: `program` is a `sock_fprog` that the plan keeps until this thread has ended.
        let installed =
            unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, program) };
        if installed == 0 { Ok(tries()) } else { Err(std::io::Error::last_os_error()) }
    });
    let result = thread.join().unwrap();
    drop(plan);
    result
}

/// The error of a system call that takes numbers.
fn error_of(number: libc::c_long, arguments: [u64; 2]) -> i32 {
    // SAFETY: the tests ask for calls that take numbers and change nothing.
    match unsafe { libc::syscall(number, arguments[0], arguments[1]) } {
        -1 => std::io::Error::last_os_error().raw_os_error().unwrap(),
        _ => 0,
    }
}

#[test]
fn the_kernel_takes_a_program_with_the_longest_jumps_and_answers_alike() {
    let profile = many_rules(700);
    assert!(compile(&profile).unwrap().iter().any(|it| it.code == JUMP && it.k > 255));
    let errors = confined(&profile, || {
        [0, 1, 349, 699].map(|who| error_of(libc::SYS_getpriority, [0, who]))
    });
    match errors {
        Ok(errors) => assert_eq!(errors, [1, 2, 350, 700]),
        Err(error) => println!("skipped: no filter can be installed here: {error}"),
    }
}

#[test]
fn the_kernel_compares_as_the_judge_does() {
    use Operator::{Equal, Greater, GreaterEqual, Less, LessEqual, MaskedEqual, NotEqual};
    let values = [0, 1, u64::from(u32::MAX), 1 << 32, (1 << 32) + 1, u64::MAX - 1];
    for operator in [Equal, NotEqual, Less, LessEqual, Greater, GreaterEqual, MaskedEqual] {
        for value in values {
            let argument = Argument { index: 1, value, value_two: value & 0x1_0000_0001, operator };
            let mut profile = many_rules(0);
            profile.rules.push(rule("getpriority", Action::Errno, Some(77), vec![argument]));
            let number = libc::SYS_getpriority as u32;
            let judged = values.map(|it| expected(&profile, &call(number, [0, it, 0, 0, 0, 0])));
            let asked = confined(&profile, move || {
                values.map(|it| error_of(libc::SYS_getpriority, [0, it]) == 77)
            });
            match asked {
                Ok(asked) => assert_eq!(asked, judged.map(|it| it != ALLOW), "{argument:?}"),
                Err(error) => return println!("skipped: no filter can be installed here: {error}"),
            }
        }
    }
}
