//! The container's standard input, or its terminal, as clients fill it.

use crate::{
    arguments::Options,
    buffer::Buffer,
    calls::{Descriptor, Errno, Polled, Result},
    pages,
};

/// The most bytes of input in one frame.
pub const MAX_INPUT: usize = 32 << 10;

/// Where input goes.
pub struct Input {
    state: State,
    /// Bytes that the container has not taken. Clients are not read while there are some, so that a
    /// container that does not read stalls them.
    pending: Buffer,
    written: usize,
    is_closed_once: bool,
    closes_when_written: bool,
}

enum State {
    /// The container is not there yet: input waits.
    Waiting,
    Open(Descriptor),
    /// The container takes no input: it is dropped.
    Closed,
}

impl Input {
    pub fn new(options: Options) -> Result<Self> {
        Ok(Self {
            state: if options.has_input { State::Waiting } else { State::Closed },
            pending: pages::buffer(MAX_INPUT)?,
            written: 0,
            // The end of input at a terminal is a key.
            is_closed_once: options.is_input_closed_once && !options.has_terminal,
            closes_when_written: false,
        })
    }

    /// From now on input goes there.
    pub fn open(&mut self, descriptor: Option<Descriptor>) {
        if matches!(self.state, State::Waiting) {
            self.state = descriptor.map_or(State::Closed, State::Open);
            self.write();
        }
    }

    /// Whether more input may be read from clients.
    pub fn has_space(&self) -> bool {
        self.pending.is_empty()
    }

    /// Reads input from a client, at most `most` bytes. Returns how many it was.
    pub fn read_from(&mut self, client: &Descriptor, most: usize) -> Result<usize> {
        let most = most.min(MAX_INPUT);
        let count = client.read(&mut self.pending.spare()[..most])?;
        self.pending.grow(count);
        self.write();
        Ok(count)
    }

    /// A client has no more input.
    pub fn end_of_client(&mut self) {
        self.closes_when_written |= self.is_closed_once;
        self.close_if_written();
    }

    /// The container's process has ended.
    pub fn close(&mut self) {
        self.state = State::Closed;
        self.write();
    }

    /// Writes what the container takes without blocking.
    pub fn write(&mut self) {
        while let State::Open(descriptor) = &self.state
            && let rest @ [_, ..] = &self.pending.filled()[self.written..]
        {
            match descriptor.write(rest) {
                Ok(count) => self.written += count,
                Err(Errno::AGAIN) => return,
                Err(Errno::INTERRUPTED) => {}
                // No one can read it any more.
                Err(_) => self.state = State::Closed,
            }
        }
        if !matches!(self.state, State::Waiting) {
            self.pending.clear();
            self.written = 0;
        }
        self.close_if_written();
    }

    fn close_if_written(&mut self) {
        if self.closes_when_written && self.pending.is_empty() {
            self.state = State::Closed;
        }
    }

    /// What to wait for.
    pub fn polled(&self) -> Polled {
        match &self.state {
            State::Open(descriptor) if !self.pending.is_empty() => {
                Polled::of(descriptor, Polled::WRITE)
            }
            _ => Polled::NONE,
        }
    }

    /// The buffer, to release its memory.
    pub fn buffer(&mut self) -> &mut Buffer {
        &mut self.pending
    }
}
