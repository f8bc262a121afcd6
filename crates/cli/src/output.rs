//! Standard output and standard error, either of which somebody may have closed, or made
//! non-blocking.

use std::{
    fs::File,
    io::{self, ErrorKind, IsTerminal as _, Read, Write},
    os::fd::AsFd,
    sync::OnceLock,
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::failure::Failure;

/// Writes `text` to standard output. A reader who has seen enough (`| head`) is no failure.
pub fn print(text: &str) -> Result<(), Failure> {
    match write(io::stdout(), text) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(Failure::at("write to standard output")),
    }
}

/// Writes `value` to standard output as one JSON object and a line feed. A reader that is gone before
/// all of it was read has lost something.
pub fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let written = write(io::stdout(), &format!("{value:#}\n"));
    written.map_err(Failure::at("write to standard output"))
}

/// Where standard error led before it was given away.
static ERRORS: OnceLock<File> = OnceLock::new();

/// Keeps standard error for [`remark`], whatever becomes of its descriptor.
pub fn keep_errors() -> io::Result<()> {
    let kept = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    ERRORS.get_or_init(|| kept);
    Ok(())
}

/// Writes `text` to standard error, if anybody reads it.
pub fn remark(text: &str) {
    let _ = match ERRORS.get() {
        Some(kept) => write(kept, text),
        None => write(io::stderr(), text),
    };
}

/// Writes all of `text`, however slowly it is read.
fn write(stream: impl Write + AsFd, text: &str) -> io::Result<()> {
    let mut stream = Waiting(stream);
    stream.write_all(text.as_bytes())?;
    stream.flush()
}

/// A stream that is waited for where it is non-blocking, and full or empty.
pub struct Waiting<T>(pub T);

impl<T: AsFd> Waiting<T> {
    fn until_ready<N>(
        &mut self,
        events: PollFlags,
        mut attempt: impl FnMut(&mut T) -> io::Result<N>,
    ) -> io::Result<N> {
        loop {
            match attempt(&mut self.0) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut watched = [PollFd::new(self.0.as_fd(), events)];
                    let _ = poll(&mut watched, PollTimeout::NONE); // it is tried again in any case
                }
                done => return done,
            }
        }
    }
}

impl<T: Write + AsFd> Write for Waiting<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.until_ready(PollFlags::POLLOUT, |stream| stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.until_ready(PollFlags::POLLOUT, T::flush)
    }
}

impl<T: Read + AsFd> Read for Waiting<T> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.until_ready(PollFlags::POLLIN, |stream| stream.read(room))
    }
}

/// Highlights for a terminal, nothing for a file.
#[derive(Debug, Clone, Copy)]
pub struct Ink {
    on: bool,
}

impl Ink {
    /// Of standard error.
    pub fn of_errors() -> Self {
        Self::new(io::stderr().is_terminal())
    }

    /// Of standard output.
    pub fn of_output() -> Self {
        Self::new(io::stdout().is_terminal())
    }

    fn new(terminal: bool) -> Self {
        // https://no-color.org: set and not empty means no colours.
        Self { on: terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// Whether there are any.
    pub fn is_on(self) -> bool {
        self.on
    }

    /// No highlights, whatever the output is.
    #[cfg(test)]
    pub const PLAIN: Self = Self { on: false };

    fn paint(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A heading.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// What may be skipped.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// All is well.
    pub fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    /// Something is lacking.
    pub fn yellow(self, text: &str) -> String {
        self.paint("33", text)
    }
}
