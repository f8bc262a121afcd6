//! One end of a console: bytes out of the guest, and bytes into it.
//!
//! Of each, the guest says how much it has room for: it gives buffers for what is to come, and what
//! finds none waits at the host.

use std::{
    fs::File,
    io::Read,
    os::fd::{AsFd, BorrowedFd},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Broken, Queues, Shape};

/// What takes a guest's output. It may wait for whoever reads it, and all devices wait with it.
pub type Sink = Box<dyn FnMut(&[u8]) + Send>;

/// So much is passed on at once.
const PIECE: usize = 4096;

/// The queues of a port: Linux fills the one for input with a page for each descriptor, and gives
/// at most 32 KiB of output at once.
pub const SHAPE: Shape = Shape { size: 16, bytes: 256 << 10 };

/// A way for bytes in both directions.
pub struct Port {
    output: Sink,
    input: Option<File>,
    /// There was input, and it came to its end.
    ended: bool,
    /// Read out of `input`, and not yet given to the guest.
    arrived: Vec<u8>,
}

impl Port {
    /// A port that leads to `output`, and from `input` if there is one.
    pub fn new(output: Sink, input: Option<File>) -> Self {
        Self { output, input, ended: false, arrived: Vec::new() }
    }

    /// The file that has something for the guest, until it ends.
    pub fn input(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(AsFd::as_fd)
    }

    /// Passes on what the guest has put into queue `number`.
    ///
    /// # Errors
    ///
    /// When that is no chain.
    pub fn pass_output(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        let mut piece = [0; PIECE];
        while let Some(mut chain) = queues.pop(number)? {
            while !chain.readable.is_empty() {
                let count = chain.readable.take(PIECE).copy_to(&mut piece);
                (self.output)(&piece[..count]);
            }
            queues.push(number, chain.head, 0)?;
        }
        Ok(())
    }

    /// Gives the guest what has arrived, as far as it has room in queue `number`.
    ///
    /// # Errors
    ///
    /// When what it has put there is no chain.
    pub fn give_input(&mut self, number: usize, queues: &mut Queues<'_>) -> Result<(), Broken> {
        loop {
            if self.arrived.is_empty() {
                self.arrived = self.read_input();
            }
            if self.arrived.is_empty() {
                return Ok(());
            }
            let Some(chain) = queues.pop(number)? else { return Ok(()) };
            let count = chain.writable.copy_from(&self.arrived);
            self.arrived.drain(..count);
            queues.push(number, chain.head, count as u32)?;
        }
    }

    /// What can be read without waiting. The file is not made non-blocking for that: it may be a
    /// terminal, and a terminal's other users would find it so.
    fn read_input(&mut self) -> Vec<u8> {
        let Some(mut file) = self.input.as_ref() else { return Vec::new() };
        let mut ready = [PollFd::new(file.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1)) {
            return Vec::new();
        }
        let mut piece = [0; PIECE];
        match file.read(&mut piece) {
            Ok(count) if count > 0 => piece[..count].to_vec(),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => Vec::new(),
            // It has ended, or can no longer be read, which for the guest is the same.
            _ => {
                self.input = None;
                self.ended = true;
                Vec::new()
            }
        }
    }

    /// What it has read and not given yet.
    pub fn save(&self) -> &[u8] {
        &self.arrived
    }

    /// Gives `arrived` before any other input.
    ///
    /// # Errors
    ///
    /// When that is more than it ever reads.
    pub fn restore(&mut self, arrived: Vec<u8>) -> Result<(), String> {
        if arrived.len() > PIECE {
            return Err(format!("{} bytes of input wait, of at most {PIECE}", arrived.len()));
        }
        self.arrived = arrived;
        Ok(())
    }

    /// Whether there was input, and all of it is the guest's.
    pub fn has_ended(&self) -> bool {
        self.ended && self.arrived.is_empty()
    }
}

impl std::fmt::Debug for Port {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Port").field("input", &self.input).finish_non_exhaustive()
    }
}
