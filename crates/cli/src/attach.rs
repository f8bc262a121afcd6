//! `isolab attach`: this terminal, or these streams, connected to a run in the background.

mod keys;

use std::{
    io::{self, IsTerminal as _, Read as _, Write as _},
    os::{fd::AsFd as _, unix::net::UnixStream},
};

use clap::Args;
use host::{TerminalMode, terminal_size};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH},
    iterator::Signals,
    low_level::pipe,
};
use supervisor::{Client, Frame, Stream};

use crate::{background, failure::Failure, stderr, streams::is_hung_up};
use keys::{DetachKeys, KeyMatcher, keys};

/// Attach to a background run: show its output from now on, and send input if it has a terminal or
/// was started with -i. Ctrl-P Ctrl-Q detaches. Signals are forwarded.
///
/// The exit code is the program's, or 0 after detaching.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name, as `isolab ps` shows it
    name: String,
    /// Key sequence to detach: letters, or ctrl- and a letter or one of @ [ \ ] ^ _
    #[arg(long, value_name = "KEYS", default_value = "ctrl-p,ctrl-q", value_parser = keys)]
    detach_keys: DetachKeys,
    /// Do not send input
    #[arg(long)]
    no_stdin: bool,
    /// Forward signals
    #[arg(long, value_name = "WHETHER", default_value = "true", action = clap::ArgAction::Set)]
    sig_proxy: bool,
}

/// Does it, and gives the exit code.
pub fn attach(arguments: &Arguments) -> Result<u8, Failure> {
    let name = &arguments.name;
    background::find_running(name)?;
    let what = "its streams are those of its `isolab run`";
    let (_, detached) = background::find_detached(name, what)?;
    let Some(client) = background::connect(name)? else {
        return Err(Failure::refused(format!("{name} has just ended")));
    };
    let (woken, wake) = UnixStream::pair().map_err(Failure::at("make a pair of sockets"))?;
    let signals = listen(arguments.sig_proxy, &wake);
    let signals = signals.map_err(Failure::at("set the signal handlers"))?;
    woken.set_nonblocking(true).map_err(Failure::at("make a socket non-blocking"))?;
    let typing = detached.terminal && io::stdin().is_terminal() && !arguments.no_stdin;
    let raw = typing.then(TerminalMode::raw).flatten();
    let keys = KeyMatcher::of(&arguments.detach_keys);
    let input = !arguments.no_stdin;
    let mut session = Session { client, signals, woken, input, keys };
    let ended = session.until_the_end(typing);
    drop(raw);
    match ended {
        Ok(SessionEnd::Exit(code)) => Ok(code),
        Ok(SessionEnd::Left) => {
            stderr::remark(&format!("isolab: {name} runs on\n"));
            Ok(0)
        }
        Ok(SessionEnd::TooSlow) => Err(Failure::refused("output arrived faster than it was read")
            .help(format!("`isolab logs {name}` shows all of it"))),
        Err(AttachError::Output(error)) => Err(Failure::at("write to standard output")(error)),
        Err(AttachError::Client(error)) => Err(background::lost(name, error)),
    }
}

fn listen(proxy: bool, wake: &UnixStream) -> io::Result<Signals> {
    let passed = [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2];
    let noted: Vec<i32> = passed.into_iter().filter(|_| proxy).chain([SIGWINCH]).collect();
    let signals = Signals::new(&noted)?;
    for signal in noted {
        pipe::register(signal, wake.try_clone()?)?;
    }
    Ok(signals)
}

enum SessionEnd {
    Exit(u8),
    Left,
    TooSlow,
}

enum AttachError {
    Output(io::Error),
    Client(supervisor::ClientError),
}

impl From<supervisor::ClientError> for AttachError {
    fn from(error: supervisor::ClientError) -> Self {
        Self::Client(error)
    }
}

struct Session {
    client: Client,
    signals: Signals,
    woken: UnixStream,
    /// Whether there is more to be passed on of standard input.
    input: bool,
    keys: KeyMatcher,
}

impl Session {
    fn until_the_end(&mut self, typing: bool) -> Result<SessionEnd, AttachError> {
        self.send(&Frame::Subscribe)?;
        if typing {
            self.send_size()?;
        }
        loop {
            // What has been received whole is not waited for.
            while let Some(frame) = self.client.take()? {
                if let Some(end) = show(frame).map_err(AttachError::Output)? {
                    return Ok(end);
                }
            }
            let (signalled, received, typed) = self.wait();
            if signalled {
                self.pass_signals(typing)?;
            }
            if typed && self.pass_input(typing)? {
                return Ok(SessionEnd::Left);
            }
            if received
                && let Some(end) = show(self.client.receive()?).map_err(AttachError::Output)?
            {
                return Ok(end);
            }
        }
    }

    /// Which of signals, supervisor and standard input there is something of.
    fn wait(&self) -> (bool, bool, bool) {
        let stdin = io::stdin();
        let mut watched = vec![
            PollFd::new(self.woken.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.client.as_fd(), PollFlags::POLLIN),
        ];
        if self.input {
            watched.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
        }
        while poll(&mut watched, PollTimeout::NONE) == Err(Errno::EINTR) {}
        let ready = |index: usize| {
            let watched: Option<&PollFd<'_>> = watched.get(index);
            watched.is_some_and(|watched| watched.any() == Some(true))
        };
        (ready(0), ready(1), ready(2))
    }

    fn send(&mut self, frame: &Frame) -> Result<(), AttachError> {
        match self.client.send(frame) {
            // It has ended: what it said before is still to be read.
            Err(error) if is_hung_up(&error) => {
                self.input = false;
                Ok(())
            }
            sent => Ok(sent.map_err(supervisor::ClientError::from)?),
        }
    }

    fn send_size(&mut self) -> Result<(), AttachError> {
        let (rows, columns) = terminal_size();
        self.send(&Frame::Resize(rows, columns))
    }

    fn pass_signals(&mut self, typing: bool) -> Result<(), AttachError> {
        while (&self.woken).read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        let signals: Vec<i32> = self.signals.pending().collect();
        for signal in signals {
            match signal {
                SIGWINCH if typing => self.send_size()?,
                SIGWINCH => {}
                signal => self.send(&Frame::Signal(u8::try_from(signal).unwrap_or(0)))?,
            }
        }
        Ok(())
    }

    /// Passes on what can be read; true when the keys that leave were among it.
    fn pass_input(&mut self, typing: bool) -> Result<bool, AttachError> {
        let mut chunk = [0; 16 << 10];
        // Not through the buffer of `stdin`, which poll does not see.
        let count = match nix::unistd::read(io::stdin(), &mut chunk) {
            Ok(count) => count,
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(false),
            Err(_) => 0,
        };
        if count == 0 {
            // Its own input stays open for whoever attaches next.
            self.input = false;
            return Ok(false);
        }
        let (passed, leave) = match typing {
            true => self.keys.pass(&chunk[..count]),
            false => (chunk[..count].to_vec(), false),
        };
        if !passed.is_empty() {
            self.send(&Frame::Input(passed))?;
        }
        Ok(leave)
    }
}

/// Shows what the supervisor said; the end, if it was that.
fn show(frame: Frame) -> io::Result<Option<SessionEnd>> {
    match frame {
        Frame::Output(Stream::Stdout, bytes) => {
            let mut output = io::stdout().lock();
            output.write_all(&bytes).and_then(|()| output.flush())?;
        }
        Frame::Output(Stream::Stderr, bytes) => io::stderr().lock().write_all(&bytes)?,
        Frame::Exit(code) => return Ok(Some(SessionEnd::Exit(code))),
        Frame::TooSlow => return Ok(Some(SessionEnd::TooSlow)),
        _ => {}
    }
    Ok(None)
}
