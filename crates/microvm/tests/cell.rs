//! A guest that owns its monitor: through a deliberate hole it has the VMM's threads make system
//! calls, and reaches nothing.
//!
//! `cargo test -p microvm --features hole --test cell`

mod common;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
    time::Duration,
};

use common::{chain, kernel, kvm, out};
use microvm::{
    LinuxVm, MicroVm, Mode,
    cell::{
        Walls, enter_process,
        hole::{POINTER, PORT},
    },
    linux::GuestRoot,
};
use sandbox::{Limits, Sandbox as _, Status, Trace, Workload};

/// Names the test that is this process's whole work, where it is a launcher.
const LAUNCHER: &str = "ISOLAB_TEST_LAUNCHER";

/// A guest that has the thread behind `port` make a call, and exits with the lowest byte of the
/// result. The words of the call and a text lie behind its code.
fn guest(loaded_at: u32, port: u16, number: i64, arguments: [u64; 6], text: &str) -> Vec<u8> {
    const CODE: usize = 64;
    const WORDS: usize = 8 * 8;
    let words = loaded_at + CODE as u32;
    let [low, high] = port.to_le_bytes();
    let mut code = vec![0x66, 0xba, low, high, 0xb8]; // mov dx, PORT; mov eax, words
    code.extend(words.to_le_bytes());
    code.push(0xef); // out dx, eax
    if port != PORT {
        // The devices' thread takes its time: wait until the result is there.
        code.extend([0x80, 0x3c, 0x25]); // cmp byte [result + 7], 0x77
        code.extend((words + 63).to_le_bytes());
        code.extend([0x77, 0x74, 0xf6]); // je back
    }
    code.extend([0x8a, 0x04, 0x25]); // mov al, [result]
    code.extend((words + 56).to_le_bytes());
    code.extend([0x66, 0xba, 0xf4, 0, 0xee]); // mov dx, EXIT; out dx, al
    code.resize(CODE, 0x90);
    let text_at = u64::from(words) + WORDS as u64;
    code.extend(number.to_le_bytes());
    for argument in arguments {
        let argument = if argument == TEXT { POINTER | text_at } else { argument };
        code.extend(argument.to_le_bytes());
    }
    code.extend(0x7777_7777_7777_7777u64.to_le_bytes());
    code.extend(text.as_bytes());
    code.push(0);
    code
}

/// Stands for the address of the guest's text.
const TEXT: u64 = POINTER;

type Ran = sandbox::Result<sandbox::Outcome>;

/// From ring 3 of a bare machine, through the thread of its virtual CPU.
fn bare(number: i64, arguments: [u64; 6], text: &str) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guest.bin");
    fs::write(&file, guest(0x10_0000, PORT, number, arguments, text)).unwrap();
    let machine = MicroVm { mode: Mode::User64, ..MicroVm::default() };
    machine.run(&Workload::command([&file]).deadline(Duration::from_secs(20)))
}

/// From the kernel of a Linux guest, through the thread behind `port`.
fn linux(port: u16, number: i64, arguments: [u64; 6], text: &str) -> Ran {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, kernel(&guest(0x100_0000, port, number, arguments, text))).unwrap();
    let mut machine =
        LinuxVm { root: GuestRoot::Initramfs(Vec::new()), ..LinuxVm::new(file.path()) };
    machine.limits.memory_bytes = Some(40 << 20);
    machine.run(&Workload::command(["/init"]).deadline(Duration::from_secs(20)))
}

fn by_each_thread(number: i64, arguments: [u64; 6], text: &str) -> [(&'static str, Ran); 3] {
    [
        ("the virtual CPU thread", bare(number, arguments, text)),
        ("the virtual CPU thread", linux(PORT, number, arguments, text)),
        ("the devices thread", linux(PORT + 4, number, arguments, text)),
    ]
}

#[test]
fn the_hole_is_one() {
    if !kvm() {
        return;
    }
    for (thread, ran) in by_each_thread(libc::SYS_getpid, [0; 6], "") {
        let expected = Status::Exited(std::process::id() as u8);
        assert_eq!(ran.unwrap().status, expected, "{thread}");
    }
}

#[test]
fn a_guest_that_owns_a_thread_of_the_vmm_reaches_nothing_and_is_found_out() {
    if !kvm() {
        return;
    }
    let here = libc::AT_FDCWD as u64;
    let parent = u64::from(std::os::unix::process::parent_id());
    let (inet, stream) = (libc::AF_INET as u64, libc::SOCK_STREAM as u64);
    let attacks: [(i64, [u64; 6], &str); 16] = [
        (libc::SYS_open, [TEXT, 0, 0, 0, 0, 0], "/etc/passwd"),
        (libc::SYS_openat, [here, TEXT, 0, 0, 0, 0], "/etc/passwd"),
        (libc::SYS_openat, [here, TEXT, 2, 0, 0, 0], "/proc/self/mem"),
        (libc::SYS_openat, [here, TEXT, 0x42, 0o600, 0, 0], "/tmp/isolab-was-here"),
        (libc::SYS_execve, [TEXT, 0, 0, 0, 0, 0], "/bin/sh"),
        (libc::SYS_socket, [inet, stream, 0, 0, 0, 0], ""),
        (libc::SYS_connect, [0, TEXT, 16, 0, 0, 0], "\u{2}"),
        (libc::SYS_ptrace, [16, parent, 0, 0, 0, 0], ""),
        (libc::SYS_kill, [parent, 15, 0, 0, 0, 0], ""),
        (libc::SYS_tgkill, [parent, parent, 15, 0, 0, 0], ""),
        (libc::SYS_mount, [0, TEXT, 0, 0, 0, 0], "/tmp"),
        (libc::SYS_setns, [0, 0, 0, 0, 0, 0], ""),
        (libc::SYS_process_vm_readv, [parent, 0, 0, 0, 0, 0], ""),
        (libc::SYS_clone, [17, 0, 0, 0, 0, 0], ""),
        (libc::SYS_bpf, [0, 0, 0, 0, 0, 0], ""),
        (libc::SYS_unlink, [TEXT, 0, 0, 0, 0, 0], "/etc/passwd"),
    ];
    for (number, arguments, text) in attacks {
        for (thread, ran) in by_each_thread(number, arguments, text) {
            let message = chain(&ran.expect_err(thread));
            let expected =
                format!("{thread} asked for system call {number}, which its cell refuses");
            assert!(message.contains(&expected), "{message}");
        }
    }
    assert!(!Path::new("/tmp/isolab-was-here").exists());
    // The process that the machines were in is as it was.
    assert!(fs::read("/etc/passwd").is_ok());
}

/// Runs the test `name` as a launcher's own process.
fn as_launcher(name: &str) -> Output {
    let mut test = Command::new(std::env::current_exe().unwrap());
    test.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(LAUNCHER, name);
    test.output().unwrap()
}

fn is_launcher(name: &str) -> bool {
    std::env::var(LAUNCHER).is_ok_and(|given| given == name)
}

#[test]
fn a_launcher_ends_at_once_with_a_message() {
    const NAME: &str = "a_launcher_ends_at_once_with_a_message";
    if !kvm() {
        return;
    }
    if is_launcher(NAME) {
        enter_process(&Limits::default(), Walls::All, &mut Trace::new(false)).unwrap();
        let ran = bare(libc::SYS_openat, [libc::AT_FDCWD as u64, TEXT, 0, 0, 0, 0], "/etc/passwd");
        unreachable!("it lives on: {:?}", ran.map(|outcome| outcome.status));
    }
    let output = as_launcher(NAME);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{errors}");
    let expected = "isolab: the virtual CPU thread asked for system call 257";
    assert!(errors.contains(expected), "{errors}");
}

/// What /proc says of a launcher while its guest runs, in lines `name=value`.
#[test]
fn a_launcher_is_closed_before_its_guest_runs() {
    const NAME: &str = "a_launcher_is_closed_before_its_guest_runs";
    if !kvm() {
        return;
    }
    if is_launcher(NAME) {
        return tell_of_a_launcher();
    }
    let output = as_launcher(NAME);
    let text = String::from_utf8_lossy(&output.stdout);
    let line = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("{name} in {text}{:?}", output.stderr)).to_owned()
    };
    assert_eq!(line("inherited"), "closed");
    assert_eq!(line("core"), "0");
    assert!(line("space").parse::<u64>().unwrap() < 64 << 30);
    assert_eq!(line("guest"), "Ok(Exited(0))");
    if line("unshared") == "true" {
        for namespace in ["ipc", "uts", "mnt", "net"] {
            let own = fs::read_link(format!("/proc/self/ns/{namespace}")).unwrap();
            assert_ne!(line(namespace), own.display().to_string());
        }
    } else {
        eprintln!("skipped: this user may have no namespaces of his own");
    }
    if nix::unistd::geteuid().is_root() {
        assert_eq!(line("user of vcpu0"), "65534");
        assert_eq!(line("root of vcpu0"), "fdinfo");
    }
}

fn tell_of_a_launcher() {
    use std::os::fd::AsRawFd as _;
    let inherited = fs::File::open("/dev/null").unwrap();
    nix::fcntl::fcntl(&inherited, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
        .unwrap();
    let mut trace = Trace::new(true);
    let limits = Limits { memory_bytes: Some(64 << 20), ..Limits::default() };
    // The test harness has another thread, which forbids a user namespace; so root's are tried.
    enter_process(&limits, Walls::All, &mut trace).unwrap();
    let open = fs::exists(format!("/proc/self/fd/{}", inherited.as_raw_fd())).unwrap();
    // The harness has begun a line.
    println!("\ninherited={}", if open { "open" } else { "closed" });
    std::mem::forget(inherited);
    println!("unshared={}", nix::unistd::geteuid().is_root());
    for namespace in ["ipc", "uts", "mnt", "net"] {
        let link = fs::read_link(format!("/proc/thread-self/ns/{namespace}")).unwrap();
        println!("{namespace}={}", link.display());
    }
    let text = fs::read_to_string("/proc/self/limits").unwrap();
    let limit = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().to_owned()
    };
    println!("core={}", limit("Max core file size"));
    println!("space={}", limit("Max address space"));
    // A guest that waits for its end, so that its thread can be looked at.
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("guest.bin");
    fs::write(&file, [[0xeb, 0xfe].to_vec(), out(0xf4, 0)].concat()).unwrap();
    let machine = MicroVm { mode: Mode::User64, ..MicroVm::default() };
    let instance = machine.spawn(&Workload::command([&file])).unwrap();
    let thread = loop {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten().map(|task| task.path());
        let name = |task: &Path| fs::read_to_string(task.join("comm")).unwrap_or_default();
        let found = tasks.into_iter().find(|task| name(task).trim() == "vcpu0");
        let status = |task: &Path| fs::read_to_string(task.join("status")).unwrap_or_default();
        if let Some(task) = found.filter(|task| status(task).contains("Seccomp:\t2")) {
            break task;
        }
    };
    let status = fs::read_to_string(thread.join("status")).unwrap();
    let user = status.lines().find_map(|line| line.strip_prefix("Uid:\t")).unwrap();
    println!("user of vcpu0={}", user.split('\t').next().unwrap());
    let root = fs::read_link(thread.join("root")).unwrap_or_default();
    println!("root of vcpu0={}", root.file_name().unwrap_or_default().display());
    instance.control().kill();
    assert_eq!(instance.wait().unwrap().status, Status::Signaled(9));
    let small = folder.path().join("small.bin");
    fs::write(&small, out(0xf4, 0)).unwrap();
    let ran = machine.run(&Workload::command([&small])).map(|outcome| outcome.status);
    println!("guest={ran:?}");
}
