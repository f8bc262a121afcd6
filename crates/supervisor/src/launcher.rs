//! The launcher under a supervisor, and the supervisor's ends of its streams.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, ErrorKind, Read as _, Write as _},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::OpenOptionsExt as _,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use host::{raw_pair, set_terminal_size};
use nix::{
    fcntl::{FcntlArg, FdFlag, OFlag, fcntl},
    sys::stat::Mode,
    unistd::{mkfifo, pipe2},
};

use crate::{
    error::{Error, at},
    record::Stream,
    settings::Settings,
};

/// The FIFO in a run's directory.
const START: &str = "start";
/// How much input is buffered before clients have to wait.
const INPUT: usize = 64 << 10;

/// A launcher and its streams.
pub(crate) struct Launcher {
    pub(crate) child: Child,
    /// Where it reports that its program runs.
    pub(crate) start: File,
    /// Its outputs, by stream; `None` once closed. A terminal is one stream.
    pub(crate) outputs: [(Stream, Option<File>); 2],
    /// Its input.
    pub(crate) input: Option<File>,
    /// Buffered input that it has not read yet.
    pub(crate) waiting: VecDeque<u8>,
    /// The terminal, to set its size.
    terminal: Option<OwnedFd>,
}

/// The supervisor's ends and the launcher's.
struct LauncherStdio {
    outputs: [Option<File>; 2],
    input: Option<File>,
    terminal: Option<OwnedFd>,
    of_launcher: [Stdio; 3],
}

impl Launcher {
    /// Starts `command` with streams to this process, in the directory of the run.
    pub(crate) fn start(
        mut command: Command,
        settings: &Settings,
        directory: &Path,
    ) -> Result<Self, Error> {
        let path = directory.join(START);
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).map_err(at("make the FIFO for the start"))?;
        // For reading and writing, so that reading never sees end of file (fifo(7)).
        let mut options = File::options();
        options.read(true).write(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let start = options.open(&path).map_err(at("open the FIFO for the start"))?;
        let ends = if settings.terminal {
            LauncherStdio::terminal()
        } else {
            LauncherStdio::pipes(settings.input)
        };
        let LauncherStdio { outputs: [out, err], input, terminal, of_launcher } =
            ends.map_err(at("make its standard streams"))?;
        let [stdin, stdout, stderr] = of_launcher;
        let child = command.stdin(stdin).stdout(stdout).stderr(stderr).spawn();
        let child = child.map_err(at("start the launcher"))?;
        let outputs = [(Stream::Stdout, out), (Stream::Stderr, err)];
        Ok(Self { child, start, outputs, input, waiting: VecDeque::new(), terminal })
    }

    /// Whether its program runs.
    pub(crate) fn has_started(&mut self) -> bool {
        self.start.read(&mut [0]).is_ok_and(|count| count > 0)
    }

    /// Reads from one output; `None` if there is nothing now.
    pub(crate) fn read(&mut self, output: usize, chunk: &mut [u8]) -> Option<usize> {
        let file = &mut self.outputs[output].1;
        match file.as_mut()?.read(chunk) {
            Ok(0) => {}
            Ok(count) => return Some(count),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
            Err(error) if error.kind() == ErrorKind::Interrupted => return None,
            // EIO: the last slave of the terminal is closed.
            Err(_) => {}
        }
        *file = None;
        None
    }

    /// Whether clients may send more input.
    pub(crate) fn takes_input(&self) -> bool {
        self.waiting.len() < INPUT
    }

    /// Writes buffered input as far as it is read.
    pub(crate) fn type_in(&mut self) {
        while let (Some(input), false) = (&mut self.input, self.waiting.is_empty()) {
            let (bytes, _) = self.waiting.as_slices();
            match input.write(bytes) {
                Ok(count) => drop(self.waiting.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => self.input = None,
            }
        }
        if self.input.is_none() {
            self.waiting.clear();
        }
    }

    /// Sets the terminal to the size of a client's.
    pub(crate) fn resize(&self, size: (u16, u16)) {
        if let Some(terminal) = &self.terminal {
            let _ = set_terminal_size(terminal, size); // it fails only when the terminal is gone
        }
    }

    /// What to poll(2) for input.
    pub(crate) fn input_to_watch(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().filter(|_| !self.waiting.is_empty()).map(AsFd::as_fd)
    }
}

impl LauncherStdio {
    fn pipes(open_input: bool) -> io::Result<Self> {
        let pipe = || pipe2(OFlag::O_CLOEXEC);
        let ((out, launcher_out), (err, launcher_err)) = (pipe()?, pipe()?);
        let (input, launcher_in) = match open_input {
            true => {
                let (launcher_in, input) = pipe()?;
                (Some(File::from(input)), launcher_in.into())
            }
            false => (None, Stdio::null()),
        };
        let outputs = [Some(File::from(out)), Some(File::from(err))];
        for file in outputs.iter().chain([&input]).flatten() {
            fcntl(file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        }
        let of_launcher = [launcher_in, launcher_out.into(), launcher_err.into()];
        Ok(Self { outputs, input, terminal: None, of_launcher })
    }

    fn terminal() -> io::Result<Self> {
        let pair = raw_pair()?;
        // The default size, before a client sets it.
        set_terminal_size(&pair.master, (24, 80))?;
        for end in [&pair.master, &pair.slave] {
            fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        let end = || pair.slave.try_clone().map(Stdio::from);
        let of_launcher = [end()?, end()?, end()?];
        let outputs = [Some(File::from(pair.master.try_clone()?)), None];
        let input = Some(File::from(pair.master.try_clone()?));
        Ok(Self { outputs, input, terminal: Some(pair.master), of_launcher })
    }
}

/// Called by the launcher itself: its program runs.
///
/// # Errors
///
/// When its supervisor or the FIFO is gone.
pub fn report_started(directory: &Path) -> io::Result<()> {
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW).bits();
    let opened = File::options().write(true).custom_flags(flags).open(directory.join(START));
    opened?.write_all(b"s")
}
