//! Each role's cell from inside: what is refused, how, and that it was not refused before.

use std::{ffi::CString, fs::File, io::Write as _, os::fd::AsRawFd, thread};

use sandbox::Trace;

use super::{hole::call, *};

/// Does `work` in a thread of `role`, and gives what it gives.
fn inside<T: Send>(role: Role, work: impl FnOnce() -> T + Send) -> T {
    let confined = || {
        enter(role, &mut Trace::new(false)).unwrap();
        work()
    };
    thread::scope(|scope| scope.spawn(confined).join()).unwrap()
}

/// Those that can open nothing.
const ROLES: [Role; 4] = [Role::Vcpu, Role::Devices, Role::Monitor, Role::Control];

/// System calls with arguments for which they would succeed outside, or fail for another reason
/// than EPERM.
fn attacks() -> Vec<(&'static str, i64, [u64; 6])> {
    let path = |text: &str| CString::new(text).unwrap().into_raw() as u64;
    let (passwd, own_memory) = (path("/etc/passwd"), path("/proc/self/mem"));
    let nowhere = path("/nowhere");
    let (here, stream) = (libc::AT_FDCWD as u64, libc::SOCK_STREAM as u64);
    let (inet, unix) = (libc::AF_INET as u64, libc::AF_UNIX as u64);
    let parent = std::os::unix::process::parent_id().into();
    let own = std::process::id().into();
    let executable = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    let anonymous = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
    let nothing = u64::MAX;
    vec![
        ("open a file", libc::SYS_open, [passwd, 0, 0, 0, 0, 0]),
        ("openat a file", libc::SYS_openat, [here, passwd, 0, 0, 0, 0]),
        ("openat2 a file", libc::SYS_openat2, [here, passwd, 0, 0, 0, 0]),
        ("open the process's memory", libc::SYS_openat, [here, own_memory, 2, 0, 0, 0]),
        ("open by handle", libc::SYS_open_by_handle_at, [here, 0, 0, 0, 0, 0]),
        ("stat a file", libc::SYS_newfstatat, [here, passwd, 0, 0, 0, 0]),
        ("statx a file", libc::SYS_statx, [here, passwd, 0, 0, 0, 0]),
        ("readlink", libc::SYS_readlinkat, [here, passwd, 0, 0, 0, 0]),
        ("mkdir", libc::SYS_mkdir, [nowhere, 0, 0, 0, 0, 0]),
        ("rename", libc::SYS_rename, [nowhere, nowhere, 0, 0, 0, 0]),
        ("chmod", libc::SYS_chmod, [nowhere, 0, 0, 0, 0, 0]),
        ("execute a program", libc::SYS_execve, [nowhere, 0, 0, 0, 0, 0]),
        ("executeat a program", libc::SYS_execveat, [here, nowhere, 0, 0, 0, 0]),
        ("make a socket of the network", libc::SYS_socket, [inet, stream, 0, 0, 0, 0]),
        ("make a socket of this host", libc::SYS_socket, [unix, stream, 0, 0, 0, 0]),
        ("connect", libc::SYS_connect, [nothing, 0, 0, 0, 0, 0]),
        ("bind", libc::SYS_bind, [nothing, 0, 0, 0, 0, 0]),
        ("send to an address", libc::SYS_sendto, [nothing, 0, 0, 0, nowhere, 16]),
        ("send a message", libc::SYS_sendmsg, [nothing, 0, 0, 0, 0, 0]),
        ("trace its parent", libc::SYS_ptrace, [16, parent, 0, 0, 0, 0]),
        ("signal its parent", libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
        ("signal a thread of its parent", libc::SYS_tgkill, [parent, parent, 0, 0, 0, 0]),
        ("read another's memory", libc::SYS_process_vm_readv, [own, 0, 0, 0, 0, 0]),
        ("write another's memory", libc::SYS_process_vm_writev, [own, 0, 0, 0, 0, 0]),
        ("take another's descriptor", libc::SYS_pidfd_getfd, [nothing, 0, 0, 0, 0, 0]),
        ("open a process", libc::SYS_pidfd_open, [own, 0, 0, 0, 0, 0]),
        ("fork", libc::SYS_clone, [0, nothing, 0, 0, 0, 0]),
        ("clone3", libc::SYS_clone3, [0, 0, 0, 0, 0, 0]),
        ("vfork", libc::SYS_vfork, [0; 6]),
        ("mount", libc::SYS_mount, [0, nowhere, 0, 0, 0, 0]),
        ("open a file system", libc::SYS_fsopen, [nowhere, 0, 0, 0, 0, 0]),
        ("change its root", libc::SYS_chroot, [nowhere, 0, 0, 0, 0, 0]),
        ("change its directory", libc::SYS_chdir, [nowhere, 0, 0, 0, 0, 0]),
        ("enter namespaces", libc::SYS_setns, [nothing, 0, 0, 0, 0, 0]),
        ("make namespaces", libc::SYS_unshare, [0, 0, 0, 0, 0, 0]),
        ("load a program of BPF", libc::SYS_bpf, [nothing, 0, 0, 0, 0, 0]),
        ("count events", libc::SYS_perf_event_open, [0, 0, nothing, nothing, 0, 0]),
        ("handle page faults", libc::SYS_userfaultfd, [1, 0, 0, 0, 0, 0]),
        ("make a ring of io_uring", libc::SYS_io_uring_setup, [0, 0, 0, 0, 0, 0]),
        ("become root", libc::SYS_setuid, [0, 0, 0, 0, 0, 0]),
        ("take capabilities", libc::SYS_capset, [0, 0, 0, 0, 0, 0]),
        ("take its filter off", libc::SYS_prctl, [22, 0, 0, 0, 0, 0]),
        ("set a signal's handler", libc::SYS_rt_sigaction, [10, 0, 0, 8, 0, 0]),
        ("raise its limits", libc::SYS_prlimit64, [0, 7, 0, 0, 0, 0]),
        ("map memory to execute", libc::SYS_mmap, [0, 4096, executable, anonymous, nothing, 0]),
        ("make a page executable", libc::SYS_mprotect, [0, 4096, executable, 0, 0, 0]),
        ("type into a terminal", libc::SYS_ioctl, [0, libc::TIOCSTI, 0, 0, 0, 0]),
        ("make a machine", libc::SYS_ioctl, [nothing, 0xae01, 0, 0, 0, 0]),
        ("copy a descriptor", libc::SYS_fcntl, [0, libc::F_DUPFD as u64, 3, 0, 0, 0]),
        ("a call of the x32 ABI", 0x4000_0000 | libc::SYS_openat, [here, passwd, 0, 0, 0, 0]),
        ("a call that does not exist", 9999, [0; 6]),
    ]
}

#[test]
fn nothing_can_be_reached_from_any_role() {
    let attacks = attacks();
    for role in ROLES {
        for (what, number, arguments) in &attacks {
            let (result, breach) = inside(role, || (call(*number, *arguments), breach()));
            assert_eq!(result, -i64::from(libc::EPERM), "{what} as {}", role.name());
            assert_eq!(breach, Some(Breach { role, call: *number }), "{what}");
        }
    }
}

/// It finds files by openat2(2), from the descriptors that it was given; by a path of the host it finds
/// none, for its root is empty.
#[test]
fn the_thread_of_shared_directories_reaches_nothing_else_either() {
    let role = Role::Shares;
    for (what, number, arguments) in &attacks() {
        let (result, breach) = inside(role, || (call(*number, *arguments), breach()));
        match *number {
            libc::SYS_openat2 | libc::SYS_readlinkat => assert!(result < 0, "{what}"),
            number => {
                assert_eq!(result, -i64::from(libc::EPERM), "{what}");
                assert_eq!(breach, Some(Breach { role, call: number }), "{what}");
            }
        }
    }
    if !geteuid().is_root() {
        eprintln!("skipped: only root's threads have a root without files");
        return;
    }
    for path in [c"/etc/passwd", c"/proc/self/mem", c"../../../etc/passwd", c"../mem"] {
        let how: [u64; 3] = [0; 3];
        let at = libc::AT_FDCWD as u64;
        let arguments = [at, path.as_ptr() as u64, how.as_ptr() as u64, 24, 0, 0];
        assert!(call(libc::SYS_openat2, arguments) >= 0 || path.to_bytes()[0] == b'.', "{path:?}");
        let (result, breach) = inside(role, || (call(libc::SYS_openat2, arguments), breach()));
        assert_eq!((result, breach), (-i64::from(libc::ENOENT), None), "{path:?}");
    }
}

/// What is refused is refused by the cell: outside it succeeds, or fails for a reason of its own.
#[test]
fn the_same_calls_are_not_refused_outside() {
    // Those that would do something to this process, or for which another than root lacks the right.
    const LEFT_OUT: [i64; 14] = [
        libc::SYS_clone,
        libc::SYS_vfork,
        libc::SYS_ptrace,
        libc::SYS_kill,
        libc::SYS_tgkill,
        libc::SYS_open_by_handle_at,
        libc::SYS_mount,
        libc::SYS_fsopen,
        libc::SYS_chroot,
        libc::SYS_bpf,
        libc::SYS_setuid,
        libc::SYS_capset,
        libc::SYS_prctl,
        libc::SYS_perf_event_open,
    ];
    let refused = |number, arguments| call(number, arguments) == -i64::from(libc::EPERM);
    for (what, number, arguments) in attacks() {
        assert!(LEFT_OUT.contains(&number) || !refused(number, arguments), "{what}");
    }
}

#[test]
fn a_cell_is_of_one_thread_and_the_process_goes_on() {
    for role in ROLES {
        inside(role, || assert!(File::open("/etc/passwd").is_err()));
        assert!(File::open("/etc/passwd").is_ok(), "{}", role.name());
        assert_eq!(breach(), None, "it is another thread's");
    }
    let status = || std::fs::read_to_string("/proc/thread-self/status").unwrap();
    assert!(status().contains("Seccomp:\t0"), "{}", status());
}

/// What `/proc` says of a thread of this role.
fn seen_from_outside(role: Role) -> String {
    let (tell, received) = std::sync::mpsc::channel();
    let (done, wait) = std::sync::mpsc::channel::<()>();
    let confined = thread::spawn(move || {
        tell.send(nix::unistd::gettid()).unwrap();
        enter(role, &mut Trace::new(false)).unwrap();
        tell.send(nix::unistd::gettid()).unwrap();
        let _ = wait.recv();
    });
    received.recv().unwrap();
    let thread = received.recv().unwrap();
    let status = std::fs::read_to_string(format!("/proc/self/task/{thread}/status")).unwrap();
    drop(done);
    confined.join().unwrap();
    status
}

#[test]
fn a_thread_has_no_capabilities_and_can_gain_none() {
    for role in ROLES {
        let status = seen_from_outside(role);
        let none = format!("{:016x}", 0);
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(status.contains(&format!("{set}:\t{none}")), "{status}");
        }
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
        assert!(status.contains("Seccomp:\t2"), "{status}");
    }
}

#[test]
fn the_thread_of_shared_directories_keeps_what_root_needs_to_read() {
    let status = seen_from_outside(Role::Shares);
    let outside = std::fs::read_to_string("/proc/self/status").unwrap();
    let had = outside.lines().find_map(|line| line.strip_prefix("CapPrm:")).unwrap();
    let had = u64::from_str_radix(had.trim(), 16).unwrap();
    let kept = if geteuid().is_root() { had & 1 << DAC_READ_SEARCH } else { 0 };
    for (set, value) in [("CapInh", 0), ("CapPrm", kept), ("CapEff", kept), ("CapAmb", 0)] {
        assert!(status.contains(&format!("{set}:\t{value:016x}")), "{status}");
    }
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
}

#[test]
fn the_work_of_each_role_can_still_be_done() {
    let image = tempfile::tempfile().unwrap();
    image.set_len(1 << 20).unwrap();
    for role in ROLES {
        inside(role, || {
            // Memory, small and large, and threads that wait for each other.
            let large = vec![1u8; 8 << 20];
            assert_eq!(large.iter().map(|byte| u64::from(*byte)).sum::<u64>(), 8 << 20);
            drop((0..1000).map(|length| vec![0; length]).collect::<Vec<Vec<u8>>>());
            thread::sleep(std::time::Duration::from_millis(1));
            io::stderr().write_all(b"").unwrap();
            if matches!(role, Role::Vcpu | Role::Devices) {
                use std::os::unix::fs::FileExt as _;
                image.sync_data().unwrap();
                image.write_all_at(b"x", 7).unwrap();
            }
            // A panic is told, and goes on in whoever waits for the thread.
            let received = std::panic::catch_unwind(|| panic!("told by a thread in its cell"));
            assert!(received.is_err());
            assert_eq!(breach(), None, "{}", role.name());
        });
    }
    assert!(image.as_raw_fd() > 2);
}
