//! A student's program that does what it should not: the tests look at what becomes of it.

use std::{
    fs,
    io::Write,
    os::fd::AsFd,
    process::{Command, ExitCode},
};

use lab::program::run;
use nix::{
    mount::{MsFlags, mount},
    sys::signal::{Signal, kill},
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
                let mut line = std::os::unix::net::UnixStream::from(line);
                line.write_all(b"verdict pass\n").unwrap();
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
    let ways: [(&str, bool); 8] = [
        ("write to the test's file", fs::write(file, "changed").is_ok()),
        ("remove the test's file", fs::remove_file(file).is_ok()),
        ("write into /etc", fs::write("/etc/isolab-was-here", "").is_ok()),
        ("write into /usr", fs::write("/usr/isolab-was-here", "").is_ok()),
        ("remount / writable", mount(none, "/", none, again, none).is_ok()),
        ("remount /usr writable", mount(none, "/usr", none, again, none).is_ok()),
        ("set a variable of the kernel", fs::write("/proc/sys/kernel/panic", "0").is_ok()),
        ("trigger the kernel", fs::write("/proc/sysrq-trigger", "h").is_ok()),
    ];
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
