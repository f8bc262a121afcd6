//! `isolab run --attach`: which of the three streams the program has.

use std::io;

use clap::{Args, ValueEnum};
use nix::{
    fcntl::{OFlag, open},
    sys::stat::Mode,
    unistd::{dup2_stderr, dup2_stdin, dup2_stdout},
};

use crate::{failure::Failure, stderr};

#[derive(Debug, Args)]
pub(super) struct AttachArguments {
    /// Connect only this stream to the program: stdin, stdout or stderr; may be repeated
    /// [default: all three]
    #[arg(short, long, value_enum, value_name = "STREAM", ignore_case = true,
        conflicts_with_all = ["detach", "terminal", "json"])]
    attach: Vec<Stream>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Stream {
    Stdin,
    Stdout,
    Stderr,
}

impl AttachArguments {
    /// Connects the other streams of this process, which the program inherits, to nothing.
    pub(super) fn leave_others(&self) -> Result<(), Failure> {
        if self.attach.is_empty() {
            return Ok(());
        }
        let left = |stream| !self.attach.contains(&stream);
        let leave = || {
            let null = open("/dev/null", OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty())?;
            if left(Stream::Stdin) {
                dup2_stdin(&null)?;
            }
            if left(Stream::Stdout) {
                dup2_stdout(&null)?;
            }
            if left(Stream::Stderr) {
                // What isolab itself has to say still goes there.
                stderr::keep()?;
                dup2_stderr(&null)?;
            }
            Ok::<(), io::Error>(())
        };
        leave().map_err(Failure::at("connect the streams to /dev/null"))
    }
}
