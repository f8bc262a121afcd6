//! A person at a terminal, played by a test.

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

use super::isolab;

/// Long enough for the slowest host.
const PATIENCE: Duration = Duration::from_secs(20);

pub const ROWS: u16 = 33;
pub const COLUMNS: u16 = 101;

/// A terminal with a program on it.
pub struct Person {
    /// The side of keys and eyes.
    hands: File,
    /// The side of programs, kept to look at its modes.
    line: OwnedFd,
    seen: Receiver<Vec<u8>>,
    text: String,
    pub program: Child,
}

impl Person {
    /// Runs isolab with these words on a new terminal.
    pub fn runs(words: &[&str]) -> Self {
        Self::starts(&mut isolab(words))
    }

    /// Runs `command` on a new terminal.
    pub fn starts(command: &mut Command) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let program = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
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
    pub fn sees(&mut self, text: &str) {
        while !self.text.contains(text) {
            let Ok(chunk) = self.seen.recv_timeout(PATIENCE) else {
                let _ = self.program.kill();
                panic!("{text:?} is not in {:?}", self.text);
            };
            self.text += &String::from_utf8_lossy(&chunk);
        }
    }

    /// All that has been on the screen, to the last byte that came.
    pub fn has_seen(&mut self) -> &str {
        while let Ok(chunk) = self.seen.recv_timeout(Duration::from_millis(200)) {
            self.text += &String::from_utf8_lossy(&chunk);
        }
        &self.text
    }

    pub fn types(&mut self, keys: &[u8]) {
        self.hands.write_all(keys).unwrap();
    }

    pub fn resizes(&self, rows: u16, columns: u16) {
        let mut size = tcgetwinsize(&self.hands).unwrap();
        (size.ws_row, size.ws_col) = (rows, columns);
        tcsetwinsize(&self.hands, size).unwrap();
    }

    pub fn sees_the_end(&mut self) -> ExitStatus {
        for _ in 0..PATIENCE.as_millis() / 10 {
            if let Some(status) = self.program.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.program.kill();
        panic!("it does not end; seen: {:?}", self.text);
    }

    /// Whether what is typed is shown, and comes line by line, as it does before and after.
    pub fn is_cooked(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
    }
}
