//! Signals: what the caller ignores stays ignored, all others reach the program, and none ends the
//! launcher alone.

mod common;

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use common::{Host, in_english, isolab, output_of, signal};
use host::ProcessStat;

/// How the command is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Init,
    NoInit,
    Process,
    Exec,
}

/// All of them that this host can show.
fn all() -> Vec<By> {
    match common::can("container", container::available()) {
        true => vec![By::Init, By::NoInit, By::Process, By::Exec],
        false => vec![By::Process],
    }
}

fn words<'a>(by: By, host: &'a str, command: &[&'a str]) -> Vec<&'a str> {
    let front: &[&str] = match by {
        By::Init => &["run", "--init", "--"],
        By::NoInit => &["run", "--no-init", "--"],
        By::Process => &["run", "--in", "process", "--"],
        By::Exec => &["exec", host],
    };
    [front, command].concat()
}

/// isolab by a caller that a shell's `prologue` has made what it is.
fn isolab_after(prologue: &str, words: &[&str]) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &format!("{prologue}; exec \"$@\""), "sh"]);
    command.arg(env!("CARGO_BIN_EXE_isolab"));
    in_english(command, words)
}

/// The exit code of a command that may not hang.
fn code_of(command: &mut Command) -> Option<i32> {
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("it hangs: {command:?}");
}

#[test]
fn a_caller_that_does_not_wait_for_children_gets_the_code() {
    let host = all().contains(&By::Exec).then(|| Host::start("waits"));
    let name = host.as_ref().map_or("", |host| &*host.name);
    let blocks = Command::new("env").args(["--block-signal=CHLD", "true"]).status();
    for by in all() {
        for (script, code) in [("exit 42", 42), ("(exit 3) & wait $!", 3), ("kill -9 $$", 137)] {
            if by == By::NoInit && code == 137 {
                continue; // the kernel does not let a first process kill itself
            }
            let words = words(by, name, &["sh", "-c", script]);
            for caller in ["trap '' CHLD", "trap '' CHLD PIPE HUP"] {
                let ended = code_of(&mut isolab_after(caller, &words));
                assert_eq!(ended, Some(code), "{by:?}, {caller}: {script}");
            }
            if blocks.as_ref().is_ok_and(std::process::ExitStatus::success) {
                let mut command = Command::new("env");
                command.args(["--block-signal=CHLD", env!("CARGO_BIN_EXE_isolab")]);
                let ended = code_of(&mut in_english(command, &words));
                assert_eq!(ended, Some(code), "{by:?}, blocked: {script}");
            }
        }
    }
}

/// The set of that name in a `/proc/PID/status`.
fn set(status: &str, name: &str) -> u64 {
    let set = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(set.trim_start_matches(':').trim(), 16).unwrap()
}

/// What this test ignores itself, as one below nohup(1) does; SIGPIPE is Rust's, not its children's.
fn own_ignored() -> u64 {
    set(&fs::read_to_string("/proc/self/status").unwrap(), "SigIgn") & !(1 << 12) & !INTERNAL
}

/// The C library's own, 32 and 33, which its posix_spawn(3) leaves ignored.
const INTERNAL: u64 = 0b11 << 31;

#[test]
fn what_the_caller_ignores_is_ignored_inside_and_nothing_is_blocked() {
    let host = all().contains(&By::Exec).then(|| Host::start("ignored"));
    let name = host.as_ref().map_or("", |host| &*host.name);
    for by in all() {
        let words = words(by, name, &["cat", "/proc/self/status"]);
        for (caller, ignored) in [
            ("true", 0),
            ("trap '' HUP", 1),
            ("trap '' INT QUIT", 0b110),
            ("trap '' USR1 TERM ALRM", 1 << 9 | 1 << 14 | 1 << 13),
            ("trap '' PIPE", 1 << 12),
            ("trap '' CHLD 40", 1 << 39),
        ] {
            if by == By::Process && caller.contains("PIPE") {
                continue; // Rust's library gives a child process the default
            }
            let (code, status, errors) = output_of(&mut isolab_after(caller, &words));
            assert_eq!(code, 0, "{errors}");
            let found = (set(&status, "SigIgn") & !INTERNAL, set(&status, "SigBlk"));
            assert_eq!(found, (ignored | own_ignored(), 0), "{by:?}, {caller}");
        }
    }
}

#[test]
fn an_ignored_signal_ends_neither_the_launcher_nor_the_program() {
    let host = all().contains(&By::Exec).then(|| Host::start("nohup"));
    let name = host.as_ref().map_or("", |host| &*host.name);
    for by in all() {
        for ignored in ["HUP", "INT", "USR2"] {
            let words = words(by, name, &["sh", "-c", "echo ready; sleep 1.3; exit 5"]);
            let mut command = isolab_after(&format!("trap '' {ignored}"), &words);
            let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            lines.read_line(&mut String::new()).unwrap();
            for _ in 0..3 {
                signal(child.id(), ignored);
                sleep(Duration::from_millis(100));
            }
            assert_eq!(child.wait().unwrap().code(), Some(5), "{by:?}, {ignored}");
        }
    }
}

/// A program that says the number of each of these signals when it comes.
struct Listener {
    launcher: Child,
    lines: BufReader<ChildStdout>,
}

impl Listener {
    fn start(by: By, host: &str, signals: &[i32]) -> Self {
        let traps: String = signals.iter().map(|it| format!("trap 'echo {it}' {it}; ")).collect();
        let script = format!("{traps} echo ready; while :; do sleep 0.02; done 2>/dev/null");
        let words = words(by, host, &["sh", "-c", &script]);
        let mut command = isolab(&words);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut launcher = command.spawn().unwrap();
        let lines = BufReader::new(launcher.stdout.take().unwrap());
        let mut listener = Self { launcher, lines };
        assert_eq!(listener.hears(), "ready", "{by:?}");
        listener
    }

    /// The next line; empty at the end.
    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.launcher.kill();
        let _ = self.launcher.wait();
    }
}

/// All that a process can catch but those that launchers need themselves: SIGCHLD (17), SIGTTIN and
/// SIGTTOU (21, 22); and SIGTSTP (20), which stops. 32 and 33 are the C library's.
const CAUGHT: [i32; 29] = [
    1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 16, 18, 23, 24, 25, 26, 27, 28, 29, 30, 31, 34,
    35, 50, 64,
];
const NOT_NOTED: [i32; 11] = [4, 5, 6, 7, 8, 11, 13, 34, 35, 50, 64];

#[test]
fn every_signal_that_can_be_caught_reaches_the_program() {
    let host = all().contains(&By::Exec).then(|| Host::start("caught"));
    let name = host.as_ref().map_or("", |host| &*host.name);
    for by in all() {
        // What a handler is wrong for, and real-time signals, do not reach a plain process.
        let caught =
            CAUGHT.into_iter().filter(|number| by != By::Process || !NOT_NOTED.contains(number));
        let caught: Vec<i32> = caught.filter(|it| own_ignored() >> (it - 1) & 1 == 0).collect();
        let mut listener = Listener::start(by, name, &caught);
        for number in caught {
            signal(listener.launcher.id(), &number.to_string());
            assert_eq!(listener.hears(), number.to_string(), "{by:?}");
        }
    }
}

#[test]
fn a_signal_at_any_time_of_the_launchers_life_reaches_the_program() {
    let host = all().contains(&By::Exec).then(|| Host::start("times"));
    let name = host.as_ref().map_or("", |host| &*host.name);
    for by in all() {
        // The launcher waits by itself, then by a thread, then has given its pages back.
        for wait in [0, 100, 1200] {
            let mut listener = Listener::start(by, name, &[14, 10]);
            sleep(Duration::from_millis(wait));
            for number in ["14", "10", "14"] {
                signal(listener.launcher.id(), number);
                assert_eq!(listener.hears(), number, "{by:?} after {wait} ms");
            }
        }
    }
}

#[test]
fn a_program_that_does_not_catch_a_signal_ends_by_it_and_the_launcher_says_so() {
    let host = all().contains(&By::Exec).then(|| Host::start("ends"));
    let name = host.as_ref().map_or("", |host| &*host.name);
    for by in all() {
        for number in [1, 10, 14, 27, 30] {
            if by == By::NoInit || own_ignored() >> (number - 1) & 1 == 1 {
                continue; // a first process gets no signal that it does not catch
            }
            let words = words(by, name, &["sh", "-c", "echo ready; exec sleep 60"]);
            let mut child = isolab(&words).stdout(Stdio::piped()).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap());
            lines.read_line(&mut String::new()).unwrap();
            signal(child.id(), &number.to_string());
            assert_eq!(child.wait().unwrap().code(), Some(128 + number), "{by:?}");
        }
    }
}

/// The letter of a process's state in `/proc/PID/stat`.
fn state(pid: u32) -> char {
    ProcessStat::of(pid).ok().and_then(|stat| stat.state()).unwrap_or('?')
}

#[test]
fn job_control_stops_the_launcher_and_the_program_and_lets_both_go_on() {
    let host = all().contains(&By::Exec).then(|| Host::start("jobs"));
    let name = host.as_ref().map_or("", |host| &*host.name);
    for by in all() {
        let mut listener = Listener::start(by, name, &[18]);
        let pid = listener.launcher.id();
        signal(pid, "TSTP");
        common::wait_for("the launcher to stop", || state(pid) == 'T');
        // A first process is not stopped by a signal that it does not catch, and a plain one only if
        // the process group of this test has a shell (setpgid(2), "orphaned process group").
        if by != By::NoInit && by != By::Process {
            let family = || common::descendants(pid);
            common::wait_for(&format!("the program to stop, {by:?}"), || {
                family().iter().any(|process| state(process.pid) == 'T')
            });
        }
        signal(pid, "CONT");
        assert_eq!(listener.hears(), "18", "{by:?}");
        common::wait_for("the launcher to go on", || state(pid) != 'T');
    }
}

/// The kernel keeps from process 1 what it has no handler for; a caller who asks twice means it.
#[test]
fn a_second_signal_that_process_1_has_no_handler_for_ends_it() {
    if !all().contains(&By::NoInit) {
        return;
    }
    for name in ["INT", "QUIT", "HUP"] {
        let words = ["run", "--", "sh", "-c", "echo ready; exec sleep 60"];
        let mut child = isolab(&words).stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut String::new()).unwrap();
        sleep(Duration::from_millis(100)); // until it is sleep(1)
        signal(child.id(), name);
        sleep(Duration::from_millis(200));
        assert_eq!(child.try_wait().unwrap(), None, "{name}");
        signal(child.id(), name);
        assert_eq!(child.wait().unwrap().code(), Some(137), "{name}");
    }
    // One that has a handler is told as often as the caller likes.
    let script = "trap 'echo told' INT; echo ready; while :; do sleep 0.05; done";
    let mut child =
        isolab(&["run", "--", "sh", "-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    for _ in 0..3 {
        signal(child.id(), "INT");
        line.clear();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "told\n");
    }
    for _ in 0..2 {
        signal(child.id(), "TERM");
        sleep(Duration::from_millis(100));
    }
    assert_eq!(child.wait().unwrap().code(), Some(137));
}
