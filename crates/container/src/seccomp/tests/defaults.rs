//! What the default profile must say.

use super::*;

fn default_answer(name: &str, arguments: [u64; 6]) -> u32 {
    let program = compile(&Seccomp::default_profile(0)).unwrap();
    run(&program, &call(syscalls::X86_64.numbers()[name], arguments))
}

#[test]
fn each_number_is_answered_as_the_default_profile_says() {
    for capabilities in [0, ADMIN, u64::MAX] {
        let profile = Seccomp::default_profile(capabilities);
        let program = compile(&profile).unwrap();
        for number in (0..1024).chain([X32 - 1, X32, X32 + 1, u32::MAX]) {
            let call = call(number, [0; 6]);
            assert_eq!(run(&program, &call), expected(&profile, &call), "{call:?}");
            let call = call_i386(number, [0; 6]);
            assert_eq!(run(&program, &call), expected(&profile, &call), "{call:?}");
            // AArch64
            let foreign = Call { architecture: 0xc000_00b7, ..call };
            assert_eq!(run(&program, &foreign), UNKNOWN, "{foreign:?}");
        }
    }
}

#[test]
fn the_default_profile_names_only_calls_that_there_are_and_each_once() {
    let mut numbers = syscalls::X86_64.numbers();
    numbers.extend(syscalls_i386::I386.all());
    let profile = Seccomp::default_profile(0);
    let mut seen = HashSet::new();
    for rule in &profile.rules {
        for name in &rule.names {
            assert!(numbers.contains_key(name.as_str()), "{name}");
            let first = seen.insert(name.clone());
            assert!(
                first || !rule.arguments.is_empty() || name == "ioctl" || name == "socketcall",
                "{name} is there twice"
            );
        }
    }
    for rule in Seccomp::default_profile(u64::MAX).rules {
        for name in rule.names {
            assert!(numbers.contains_key(name.as_str()), "{name}");
        }
    }
}

#[test]
fn what_is_dangerous_is_refused_by_default() {
    for name in [
        "mount",
        "umount2",
        "pivot_root",
        "chroot",
        "setns",
        "unshare",
        "open_by_handle_at",
        "open_tree",
        "open_tree_attr",
        "move_mount",
        "fsopen",
        "mount_setattr",
        "quotactl_fd",
        "kexec_load",
        "init_module",
        "finit_module",
        "reboot",
        "iopl",
        "ioperm",
        "syslog",
        "acct",
        "settimeofday",
        "clock_settime",
        "swapon",
        "bpf",
        "perf_event_open",
        "userfaultfd",
        "io_uring_setup",
        "io_uring_enter",
        "io_uring_register",
        "fanotify_init",
        "keyctl",
        "add_key",
        "request_key",
        "kcmp",
        "pidfd_getfd",
        "sethostname",
        "move_pages",
        "uselib",
    ] {
        assert_eq!(default_answer(name, [0; 6]), REFUSED, "{name}");
    }
    assert_eq!(default_answer("clone3", [0; 6]), UNKNOWN);
}

#[test]
fn a_capability_allows_its_calls_and_no_others() {
    let answers = |capabilities| {
        let program = compile(&Seccomp::default_profile(capabilities)).unwrap();
        move |name: &str| run(&program, &call(syscalls::X86_64.numbers()[name], [0; 6]))
    };
    for (capability, name) in [
        (2, "open_by_handle_at"),
        (16, "finit_module"),
        (17, "iopl"),
        (18, "chroot"),
        (19, "pidfd_getfd"),
        (20, "acct"),
        (21, "mount"),
        (22, "reboot"),
        (23, "mbind"),
        (25, "settimeofday"),
        (26, "vhangup"),
        (34, "syslog"),
        (38, "perf_event_open"),
        (39, "bpf"),
    ] {
        assert_eq!(answers(0)(name), REFUSED, "{name} without capability {capability}");
        assert_eq!(answers(1 << capability)(name), ALLOW, "{name} with {capability}");
        assert_eq!(answers(!(1 << capability) & !ADMIN)(name), REFUSED, "{name} with others");
    }
    assert_eq!(answers(ADMIN)("clone3"), ALLOW);
}

#[test]
fn bits_that_the_kernel_does_not_look_at_change_no_answer() {
    let high = 1 << 40;
    for (name, index, value, expected) in [
        ("ioctl", 1, libc::TIOCSTI, REFUSED),
        ("ioctl", 1, libc::TIOCLINUX, REFUSED),
        ("ioctl", 1, libc::TCGETS, ALLOW),
        ("socket", 0, libc::AF_UNIX as u64, ALLOW),
        ("socket", 0, libc::AF_INET6 as u64, ALLOW),
        ("socket", 0, libc::AF_VSOCK as u64, REFUSED),
        ("socket", 0, libc::AF_ALG as u64, REFUSED),
        ("socketpair", 0, libc::AF_UNIX as u64, ALLOW),
        ("socketpair", 0, libc::AF_TIPC as u64, REFUSED),
        ("personality", 0, 0xffff_ffff, ALLOW),
        ("personality", 0, libc::ADDR_NO_RANDOMIZE as u64, ALLOW),
        ("personality", 0, libc::READ_IMPLIES_EXEC as u64, REFUSED),
        ("clone", 0, libc::SIGCHLD as u64, ALLOW),
        ("clone", 0, libc::CLONE_NEWUSER as u64, REFUSED),
        ("clone", 0, (libc::CLONE_NEWNET | libc::SIGCHLD) as u64, REFUSED),
    ] {
        for value in [value, value | high] {
            let mut arguments = [0; 6];
            arguments[index] = value;
            assert_eq!(default_answer(name, arguments), expected, "{name} {value:#x}");
        }
    }
}

#[test]
fn what_is_compiled_already_is_what_the_profile_says() {
    let usual = crate::privileges::Capabilities::default().bounding.0;
    let usual = usual & super::super::defaults::relevant_capabilities();
    let program = Program::of(&Seccomp::default_profile(usual)).unwrap();
    let lines = program.code.chunks(5).map(|line| {
        let words: Vec<String> = line.iter().map(|word| format!("{word:#018x}")).collect();
        format!("    {},\n", words.join(", "))
    });
    let lines: String = lines.collect();
    let length = program.code.len();
    assert!(
        compiled::CAPABILITIES == usual && compiled::CODE == *program.code,
        "write into compiled.rs: CAPABILITIES = {usual:#x}, CODE: [u64; {length}] = [\n{lines}]"
    );
}
