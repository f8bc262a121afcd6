//! `isolab run -t`: a terminal of its own, connected to a real one. The test is the person at it.

mod common;

use std::{
    fs::File,
    io::{Read as _, Write as _},
    os::fd::OwnedFd,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};
use rustix::termios::{tcgetwinsize, tcsetwinsize};

/// Long enough for the slowest host.
const PATIENCE: Duration = Duration::from_secs(20);

const ROWS: u16 = 33;
const COLUMNS: u16 = 101;

/// A terminal with a program on it.
struct Person {
    /// The side of keys and eyes.
    hands: File,
    /// The side of programs, kept to look at its modes.
    line: OwnedFd,
    seen: Receiver<Vec<u8>>,
    text: String,
    program: Child,
}

impl Person {
    /// Runs `script` by a shell in a container on a new terminal.
    fn runs(script: &str) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let program = Command::new(env!("CARGO_BIN_EXE_isolab"))
            .args(["run", "-t", "--", "/bin/sh", "-c", script])
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let mut eyes = File::from(pair.master.try_clone().unwrap());
        let (sender, seen) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = eyes.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { hands: pair.master.into(), line: pair.slave, seen, text: String::new(), program }
    }

    /// Looks at the screen until `text` is there.
    fn sees(&mut self, text: &str) {
        while !self.text.contains(text) {
            let Ok(chunk) = self.seen.recv_timeout(PATIENCE) else {
                let _ = self.program.kill();
                panic!("{text:?} is not in {:?}", self.text);
            };
            self.text += &String::from_utf8_lossy(&chunk);
        }
    }

    fn types(&mut self, keys: &[u8]) {
        self.hands.write_all(keys).unwrap();
    }

    fn resizes(&self, rows: u16, columns: u16) {
        let mut size = tcgetwinsize(&self.hands).unwrap();
        (size.ws_row, size.ws_col) = (rows, columns);
        tcsetwinsize(&self.hands, size).unwrap();
    }

    fn sees_the_end(&mut self) -> ExitStatus {
        for _ in 0..PATIENCE.as_millis() / 10 {
            if let Some(status) = self.program.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.program.kill();
        panic!("it does not end; seen: {:?}", self.text);
    }
}

fn containers() -> bool {
    common::can("container", container::available())
}

#[test]
fn a_program_on_a_terminal_knows_its_size_and_gives_its_code() {
    if !containers() {
        return;
    }
    let mut person = Person::runs("test -t 0 && test -t 1 && stty size; exit 42");
    person.sees(&format!("{ROWS} {COLUMNS}\r\n"));
    assert_eq!(person.sees_the_end().code(), Some(42));
}

#[test]
fn a_resized_window_is_told_to_the_program() {
    if !containers() {
        return;
    }
    let script = "trap 'stty size; exit 5' WINCH; echo ready; while :; do sleep 0.1; done";
    let mut person = Person::runs(script);
    person.sees("ready");
    person.resizes(44, 123);
    person.sees("44 123\r\n");
    assert_eq!(person.sees_the_end().code(), Some(5));
}

#[test]
fn control_c_is_the_programs_own() {
    if !containers() {
        return;
    }
    let mut deaf =
        Person::runs("trap 'echo caught; exit 7' INT; echo ready; while :; do sleep 0.1; done");
    deaf.sees("ready");
    deaf.types(b"\x03");
    deaf.sees("caught");
    assert_eq!(deaf.sees_the_end().code(), Some(7));
    let mut usual = Person::runs("echo ready; exec sleep 60");
    usual.sees("ready");
    usual.types(b"\x03");
    assert_eq!(usual.sees_the_end().code(), Some(130));
}

#[test]
fn what_is_typed_is_read_and_the_terminal_is_as_before() {
    if !containers() {
        return;
    }
    let mut person = Person::runs("echo ready; read word; echo \"<$word>\"");
    person.sees("ready");
    let echo = |person: &Person| {
        tcgetattr(&person.line).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
    };
    assert!(!echo(&person), "keys go through as they are");
    person.types(b"seventeen\r");
    person.sees("<seventeen>");
    assert_eq!(person.sees_the_end().code(), Some(0));
    assert!(echo(&person), "the terminal is left raw");
}
