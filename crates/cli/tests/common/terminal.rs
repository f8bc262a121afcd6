//! A terminal with a program on it: a test reads the screen and types.

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
const TIMEOUT: Duration = Duration::from_secs(20);

pub const ROWS: u16 = 33;
pub const COLUMNS: u16 = 101;

/// A terminal with a program on it.
pub struct TestTerminal {
    /// The side of the keyboard and the screen.
    keyboard: File,
    /// The side of programs, kept to look at its modes.
    line: OwnedFd,
    chunks: Receiver<Vec<u8>>,
    text: String,
    pub program: Child,
}

impl TestTerminal {
    /// Runs isolab with these words on a new terminal.
    pub fn run(words: &[&str]) -> Self {
        Self::start(&mut isolab(words))
    }

    /// Runs `command` on a new terminal.
    pub fn start(command: &mut Command) -> Self {
        let size = Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(Some(&size), None).unwrap();
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let program = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let mut screen = File::from(pair.master.try_clone().unwrap());
        let (sender, chunks) = channel();
        thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut chunk) {
                if sender.send(chunk[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self {
            keyboard: pair.master.into(),
            line: pair.slave,
            chunks,
            text: String::new(),
            program,
        }
    }

    /// Waits until `text` is on the screen.
    pub fn expect_text(&mut self, text: &str) {
        while !self.text.contains(text) {
            let Ok(chunk) = self.chunks.recv_timeout(TIMEOUT) else {
                let _ = self.program.kill();
                panic!("{text:?} is not in {:?}", self.text);
            };
            self.text += &String::from_utf8_lossy(&chunk);
        }
    }

    /// All that has been on the screen, to the last byte that came.
    pub fn screen(&mut self) -> &str {
        while let Ok(chunk) = self.chunks.recv_timeout(Duration::from_millis(200)) {
            self.text += &String::from_utf8_lossy(&chunk);
        }
        &self.text
    }

    pub fn type_keys(&mut self, keys: &[u8]) {
        self.keyboard.write_all(keys).unwrap();
    }

    pub fn resize(&self, rows: u16, columns: u16) {
        let mut size = tcgetwinsize(&self.keyboard).unwrap();
        (size.ws_row, size.ws_col) = (rows, columns);
        tcsetwinsize(&self.keyboard, size).unwrap();
    }

    pub fn wait_for_exit(&mut self) -> ExitStatus {
        for _ in 0..TIMEOUT.as_millis() / 10 {
            if let Some(status) = self.program.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(10));
        }
        let _ = self.program.kill();
        panic!("it does not end; the screen has {:?}", self.text);
    }

    /// Whether what is typed is shown, and comes line by line, as it does before and after.
    pub fn is_cooked(&self) -> bool {
        tcgetattr(&self.line).unwrap().local_flags.contains(LocalFlags::ECHO | LocalFlags::ICANON)
    }
}
