//! Runs one command of the plan: it serves the command while it runs, and distinguishes it from
//! sessions and from the orphans that the kernel gives to the first process.

use crate::{
    calls::{self, Errno, Result, call},
    channel::Channel,
    machine,
    sink::Sink,
    system,
    system::number,
    user::Setting,
};

/// How a command ended.
#[derive(Clone, Copy)]
pub enum ExitStatus {
    Exited(usize),
    Signaled(usize),
}

const SIGCHLD: usize = 17;
/// A set of signals with SIGCHLD as its member.
static DEATHS: u64 = 1 << (SIGCHLD - 1);

/// Runs the command with this null-terminated list of words, and serves `channel` meanwhile.
pub fn run(
    words: &[usize],
    setting: Setting<'_>,
    streams: [Sink; 3],
    channel: &mut Channel,
) -> Result<ExitStatus> {
    let deaths = watch_for_deaths()?;
    let output = [Pump::to(streams[1])?, Pump::to(streams[2])?];
    let ends = [streams[0].descriptor(), output[0].inlet, output[1].inlet];
    let (child, failed) = start(words, setting, ends)?;
    for pump in &output {
        pump.close_inlet();
    }
    channel.command = child;
    let ended = serve(child, deaths, output, setting, channel)?;
    calls::close(deaths);
    match failed {
        Some(errno) => Err(errno),
        None => Ok(ended),
    }
}

/// Starts a command with these descriptors as its streams. Returns its pid, and the error of its
/// `execve` if that failed.
pub fn start(
    words: &[usize],
    setting: Setting<'_>,
    ends: [usize; 3],
) -> Result<(usize, Option<Errno>)> {
    let verdict = pipe()?;
    let child = call(number::FORK, [])?;
    if child == 0 {
        let Err(errno) = become_command(words, setting, ends);
        let _ = calls::write(verdict[1], &errno.0.to_le_bytes());
        system::exit(127);
    }
    calls::close(verdict[1]);
    // The `execve` closes the pipe; if it fails, the error is written to it.
    let mut errno = [0; 4];
    let failed = calls::read(verdict[0], &mut errno)? == errno.len();
    calls::close(verdict[0]);
    Ok((child, failed.then_some(Errno(i32::from_le_bytes(errno)))))
}

/// A descriptor that can be read when a child has died (signalfd(2)).
fn watch_for_deaths() -> Result<usize> {
    const CLOEXEC: usize = 0o2_000_000;
    const BLOCK: usize = 0;
    let set = &raw const DEATHS as usize;
    call(number::RT_SIGPROCMASK, [BLOCK, set, 0, 8])?;
    call(number::SIGNALFD4, [usize::MAX, set, 8, CLOEXEC])
}

/// A pipe: the reading end and the writing end.
pub fn pipe() -> Result<[usize; 2]> {
    const CLOEXEC: usize = 0o2_000_000;
    let mut ends = [0u32; 2];
    call(number::PIPE2, [&raw mut ends as usize, CLOEXEC])?;
    Ok(ends.map(|end| end as usize))
}

/// In the child: makes a session of its own, with its input as controlling terminal if it is one,
/// and executes the command.
fn become_command(
    words: &[usize],
    setting: Setting<'_>,
    streams: [usize; 3],
) -> Result<core::convert::Infallible> {
    const TIOCSCTTY: usize = 0x540e;
    const SET_MASK: usize = 2;
    machine::forbid_ports()?;
    call(number::SETSID, [])?;
    for (number, descriptor) in streams.into_iter().enumerate() {
        call(number::DUP2, [descriptor, number])?;
    }
    let _ = call(number::IOCTL, [0, TIOCSCTTY, 0]); // refused if it is not a terminal
    let none = 0u64;
    call(number::RT_SIGPROCMASK, [SET_MASK, &raw const none as usize, 0, 8])?;
    let [program, called @ ..] = words else { return Err(Errno::MALFORMED) };
    let (program, list) = (*program, called.as_ptr() as usize);
    setting.user.assume()?;
    call(number::EXECVE, [program, list, setting.environment.as_ptr() as usize])?;
    Err(Errno::MALFORMED)
}

/// Forwards the command's output, serves `channel`, and reaps children until the command is among
/// them.
fn serve(
    command: usize,
    deaths: usize,
    mut pumps: [Pump; 2],
    setting: Setting<'_>,
    channel: &mut Channel,
) -> Result<ExitStatus> {
    const FOREVER: isize = -1;
    loop {
        let mut polled = [Polled::NONE; 3 + Channel::POLLED];
        let (own, of_channel) = polled.split_at_mut(3);
        for (polled, file) in own.iter_mut().zip([deaths, pumps[0].outlet, pumps[1].outlet]) {
            *polled = Polled::to_read(file);
        }
        channel.poll(of_channel);
        wait(&mut polled, FOREVER)?;
        let (own, of_channel) = polled.split_at(3);
        let ready = [own[0].is_ready(), own[1].is_ready(), own[2].is_ready()];
        for (pump, ready) in pumps.iter_mut().zip(&ready[1..]) {
            if *ready {
                pump.carry();
            }
        }
        if ready[0]
            && let Some(ended) = reap(command, deaths, channel)
        {
            // Its output is in the pipes; orphans may keep them open, so end of file may never
            // come.
            loop {
                let mut polled = [&pumps[0], &pumps[1]].map(|pump| Polled::to_read(pump.outlet));
                wait(&mut polled, 0)?;
                if !polled.iter().any(Polled::is_ready) {
                    break;
                }
                for (pump, polled) in pumps.iter_mut().zip(&polled) {
                    if polled.is_ready() {
                        pump.carry();
                    }
                }
            }
            pumps.iter_mut().for_each(Pump::close);
            return Ok(ended);
        }
        channel.serve(of_channel, setting);
    }
}

/// No descriptor: `poll` ignores it.
pub const NONE: usize = u32::MAX as usize;

/// struct pollfd: the descriptor, the requested events and the returned ones.
#[derive(Clone, Copy)]
pub struct Polled(u64);

impl Polled {
    /// Nothing is asked for.
    pub const NONE: Self = Self(NONE as u64);

    /// Whether `descriptor` can be read.
    pub fn to_read(descriptor: usize) -> Self {
        const POLLIN: u64 = 1;
        Self(descriptor as u64 | POLLIN << 32)
    }

    /// Whether `descriptor` can be written.
    pub fn to_write(descriptor: usize) -> Self {
        const POLLOUT: u64 = 4;
        Self(descriptor as u64 | POLLOUT << 32)
    }

    /// Whether it is ready, or broken, which the next use will show.
    pub fn is_ready(&self) -> bool {
        self.0 >> 48 != 0
    }
}

/// Finds which of these are ready, immediately or after waiting (poll(2)).
fn wait(polled: &mut [Polled], milliseconds: isize) -> Result<()> {
    call(number::POLL, [polled.as_mut_ptr() as usize, polled.len(), milliseconds as usize])
        .map(drop)
}

/// Reaps all dead children; returns the status of `command` if it is among them.
fn reap(command: usize, deaths: usize, channel: &mut Channel) -> Option<ExitStatus> {
    const WNOHANG: usize = 1;
    const ANY: usize = usize::MAX;
    let mut notice = [0; 128];
    let _ = calls::read(deaths, &mut notice); // one notification may stand for several
    let mut ended = None;
    let mut status = 0u32;
    while let Ok(pid @ 1..) = call(number::WAIT4, [ANY, &raw mut status as usize, WNOHANG, 0]) {
        let how = match status & 0x7f {
            0 => ExitStatus::Exited((status >> 8 & 0xff) as usize),
            signal => ExitStatus::Signaled(signal as usize),
        };
        match pid == command {
            true => ended = Some(how),
            false => channel.has_died(pid, how),
        }
    }
    ended
}

/// Copies a pipe of the command to a port or page; a device needs no copying, because the command
/// has it open itself.
struct Pump {
    inlet: usize,
    outlet: usize,
    sink: Sink,
}

impl Pump {
    fn to(sink: Sink) -> Result<Self> {
        let [outlet, inlet] = match sink {
            Sink::Port(_) | Sink::Page(_) => pipe()?,
            Sink::Device(descriptor) => [NONE, descriptor],
        };
        Ok(Self { inlet, outlet, sink })
    }

    fn close_inlet(&self) {
        if self.outlet != NONE {
            calls::close(self.inlet);
        }
    }

    /// Copies what is available, at most one page.
    fn carry(&mut self) {
        let mut bytes = [0; 4096];
        match calls::read(self.outlet, &mut bytes) {
            Ok(count @ 1..) => self.sink.write(bytes.get(..count).unwrap_or_default()),
            _ => self.close(),
        }
    }

    fn close(&mut self) {
        if self.outlet != NONE {
            calls::close(self.outlet);
            self.outlet = NONE;
        }
    }
}

impl Sink {
    /// What a command reads from; a port or a page provides no input.
    fn descriptor(self) -> usize {
        match self {
            Self::Device(descriptor) => descriptor,
            Self::Port(_) | Self::Page(_) => NONE,
        }
    }
}
