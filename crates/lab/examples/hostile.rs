//! A student's program that does what it should not: the tests look at what becomes of it.

use std::{
    fs,
    io::Write,
    os::{
        fd::AsFd,
        linux::net::SocketAddrExt,
        unix::{
            fs::OpenOptionsExt,
            net::{SocketAddr, UnixDatagram, UnixStream},
        },
    },
    process::{Command, ExitCode},
};

use lab::program::run;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    sys::{
        ptrace,
        signal::{Signal, kill},
    },
    unistd::{ForkResult, Pid, fork, getppid, sethostname},
};

fn main() -> ExitCode {
    run(|host| {
        match host.argument("does") {
            "nothing" => {}
            "panics" => panic!("of its own accord"),
            "loops" => loop {
                std::hint::spin_loop();
            },
            "forks without end" => loop {
                fork_one();
            },
            "eats memory" => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(vec![1u8; 16 << 20]);
                }
            }
            "kills its parent and everybody" => {
                let _ = kill(getppid(), Signal::SIGKILL);
                let _ = kill(Pid::from_raw(1), Signal::SIGTERM);
                let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
            }
            "writes to the host" => write_to_the_host(host.argument("file")),
            "looks into the check" => look_into_the_check(),
            "leaves a mount" => {
                let none = None::<&str>;
                mount(Some("none"), "/mnt", Some("tmpfs"), MsFlags::empty(), none).unwrap();
            }
            "leaves a process" => match fork_one() {
                Some(_) => {}
                None => loop {
                    std::thread::park();
                },
            },
            "renames the host" => sethostname("stolen").unwrap(),
            "fakes a verdict" => {
                println!("{{\"lab\":\"00\",\"verdict\":\"pass\",\"id\":null}}");
                let line = std::io::stdin().as_fd().try_clone_to_owned().unwrap();
                let mut line = UnixStream::from(line);
                line.write_all(b"verdict pass\n").unwrap();
            }
            "reaches for the terminal" => reach_for_the_terminal(),
            "calls sockets of the host" => call_sockets(host.argument("file")),
            "uses what its caller has open" => use_open_descriptors(),
            "takes the covers off" => take_the_covers_off(),
            "traces the check" => trace_the_check(),
            "takes all power it can get" => take_power(),
            "fills the disk" => fill_the_disk(),
            "sends escapes to the terminal" => {
                println!("harmless\x1b]0;title\x07\u{202e}end");
                panic!("to have its output shown");
            }
            "ends before it is looked at" => std::process::exit(0),
            "lets unshare do it" => {
                let mut child = Command::new("/usr/bin/unshare").arg("/bin/cat").spawn().unwrap();
                let _ = child.wait();
            }
            other => panic!("nobody told what {other:?} is"),
        }
        host.meet("inside");
        Ok(())
    })
}

fn fork_one() -> Option<Pid> {
    // SAFETY: this process has one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { child }) => Some(child),
        Ok(ForkResult::Child) => None,
        Err(_) => {
            std::thread::sleep(std::time::Duration::from_millis(10));
            Some(Pid::this())
        }
    }
}

/// Every way to change something outside must be closed; one that is open is a panic.
fn write_to_the_host(file: &str) {
    let none = None::<&str>;
    let again = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
    let ways: [(&str, bool); 7] = [
        ("write to the test's file", fs::write(file, "changed").is_ok()),
        ("remove the test's file", fs::remove_file(file).is_ok()),
        ("write into /bin", fs::write("/bin/isolab-was-here", "").is_ok()),
        ("write into /usr", fs::write("/usr/isolab-was-here", "").is_ok()),
        ("remount /usr writable", mount(none, "/usr", none, again, none).is_ok()),
        ("set a variable of the kernel", fs::write("/proc/sys/kernel/panic", "0").is_ok()),
        ("trigger the kernel", fs::write("/proc/sysrq-trigger", "h").is_ok()),
    ];
    assert!(fs::read(file).is_err(), "it could read the test's file");
    // Its own file is a copy; it harms nobody but itself.
    let _ = fs::remove_file("/run/lab/program");
    for (way, open) in ways {
        assert!(!open, "it could {way}");
    }
}

/// Process 1 is the check's, and root inside is not its root.
fn look_into_the_check() {
    for file in ["mem", "fd/0", "environ", "root/etc"] {
        let path = format!("/proc/1/{file}");
        assert!(fs::read(&path).is_err(), "{path} can be read");
    }
    let outside = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    assert_eq!(outside.count(), 2, "there are others than process 1 and this one");
}

/// The caller's terminal may be another user's, and takes what is typed into it for that user's.
fn reach_for_the_terminal() {
    let listed = fs::read_dir("/dev/pts").into_iter().flatten().flatten().map(|it| it.path());
    let named = ["/dev/tty", "/dev/console", "/dev/tty1", "/proc/1/fd/0"].map(Into::into);
    for path in listed.chain(named) {
        if path.ends_with("ptmx") {
            continue;
        }
        let mut options = fs::File::options();
        let opened = options.write(true).custom_flags(nix::libc::O_NOCTTY).open(&path);
        if let Ok(mut terminal) = opened {
            let _ = terminal.write_all(b"\x1b[2Jdrawn by the program");
            panic!("it could open {}", path.display());
        }
    }
}

/// Sockets have names in file systems, which a read-only mount does not guard, and abstract ones.
fn call_sockets(name: &str) {
    let path = format!("{name}.socket");
    let hidden = SocketAddr::from_abstract_name(format!("{path}.abstract")).unwrap();
    assert!(UnixStream::connect_addr(&hidden).is_err(), "it could call an abstract socket");
    assert!(UnixStream::connect(&path).is_err(), "it could call {path}");
    let datagram = UnixDatagram::unbound().and_then(|own| own.send_to(b"x", &path));
    assert!(datagram.is_err(), "it could send to {path}");
    assert!(!fs::exists(&path).unwrap_or(false), "it sees {path}");
}

/// A shell leaves descriptors open, and so do editors and terminals.
fn use_open_descriptors() {
    for entry in fs::read_dir("/proc/self/fd").unwrap().flatten() {
        let (number, file) = (entry.file_name(), fs::read_link(entry.path()));
        let number: u32 = number.to_str().unwrap().parse().unwrap();
        // The listing itself is one.
        let own = file.as_ref().is_ok_and(|file| file.starts_with("/proc"));
        assert!(number <= 2 || own || is_line(&file), "{number} is open: {file:?}");
    }
}

/// The line to the check, of which the library has a second descriptor.
fn is_line(file: &std::io::Result<std::path::PathBuf>) -> bool {
    let line = fs::read_link("/proc/self/fd/0").unwrap();
    file.as_ref().is_ok_and(|file| *file == line)
}

/// The host's files are behind what is mounted over them.
fn take_the_covers_off() {
    for _ in 0..3 {
        for point in ["/tmp", "/run", "/dev/shm", "/var/tmp", "/proc", "/dev", "/usr", "/sys"] {
            let _ = umount2(point, MntFlags::MNT_DETACH);
        }
    }
    let none = None::<&str>;
    let _ = fs::create_dir("/proc");
    let _ = mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none);
    for file in ["/proc/1/cmdline", "/run/systemd", "/home", "/etc/passwd", "/tmp/.X11-unix"] {
        let init = file == "/proc/1/cmdline";
        let found = fs::read_to_string(file).unwrap_or_default();
        let own = found.contains("--warden") || found.is_empty();
        assert!(if init { own } else { !fs::exists(file).unwrap_or(false) }, "it sees {file}");
    }
}

fn trace_the_check() {
    let init = Pid::from_raw(1);
    assert!(ptrace::attach(init).is_err(), "it could trace process 1");
    assert!(ptrace::seize(init, ptrace::Options::empty()).is_err(), "it could seize process 1");
    let found = fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| found.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    assert_eq!(line("Seccomp:"), "2", "no system call is refused");
    assert_eq!(line("NoNewPrivs:"), "1", "a file's capabilities would count");
    assert!(ptrace::traceme().is_err(), "it could be traced");
}

/// A program of which the lab asks nothing has no capability, and none to get.
fn take_power() {
    let found = fs::read_to_string("/proc/self/status").unwrap();
    for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
        let line = found.lines().find_map(|line| line.strip_prefix(set)).unwrap().trim();
        assert_eq!(line.trim_start_matches('0'), "", "{set} {line}");
    }
    for flags in [CloneFlags::CLONE_NEWUSER, CloneFlags::CLONE_NEWNS, CloneFlags::CLONE_NEWNET] {
        assert!(unshare(flags).is_err(), "it could unshare {flags:?}");
    }
    let none = None::<&str>;
    let mounted = mount(Some("none"), "/tmp", Some("tmpfs"), MsFlags::empty(), none);
    assert!(mounted.is_err(), "it could mount");
    assert!(sethostname("stolen").is_err(), "it could rename its host");
}

fn fill_the_disk() {
    let piece = vec![1; 1 << 20];
    for folder in ["/tmp", "/run", "/dev/shm", "/var/tmp", "/"] {
        let Ok(mut file) = fs::File::create(format!("{folder}/full")) else { continue };
        let pieces = (0..512).take_while(|_| file.write_all(&piece).is_ok()).count();
        assert!(pieces < 512, "it could write {pieces} MiB into {folder}");
        fs::remove_file(format!("{folder}/full")).unwrap();
    }
}
