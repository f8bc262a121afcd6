//! One command of the plan: started, served while it runs, and told apart from the orphans that
//! the kernel gives to the first process.

use crate::{
    calls::{self, Errno, Result, call},
    sink::Sink,
    system,
};

/// How a command ended.
pub enum Ended {
    Exited(usize),
    Signaled(usize),
}

const SIGCHLD: usize = 17;
/// A set of signals with SIGCHLD as its member.
static DEATHS: u64 = 1 << (SIGCHLD - 1);

/// Runs the command whose path and words, and whose environment, are at these addresses, both ended
/// by a null.
pub fn run(words: &[usize], environment: &[usize], streams: [Sink; 3]) -> Result<Ended> {
    let deaths = watch_for_deaths()?;
    let output = [Pump::to(streams[1])?, Pump::to(streams[2])?];
    let verdict = pipe()?;
    let ends = [streams[0].descriptor(), output[0].inlet, output[1].inlet];
    const FORK: usize = 57;
    let child = call(FORK, [])?;
    if child == 0 {
        let Err(errno) = become_command(words, environment, ends);
        let _ = calls::write(verdict[1], &errno.0.to_le_bytes());
        system::exit(127);
    }
    calls::close(verdict[1]);
    for pump in &output {
        pump.close_inlet();
    }
    // The pipe closes when the command executes; before that it tells why it cannot.
    let mut errno = [0; 4];
    let failed = calls::read(verdict[0], &mut errno)? == errno.len();
    calls::close(verdict[0]);
    let ended = serve(child, deaths, output)?;
    calls::close(deaths);
    if failed { Err(Errno(i32::from_le_bytes(errno))) } else { Ok(ended) }
}

/// A descriptor that can be read when a child has died (signalfd(2)).
fn watch_for_deaths() -> Result<usize> {
    const RT_SIGPROCMASK: usize = 14;
    const SIGNALFD4: usize = 289;
    const CLOEXEC: usize = 0o2_000_000;
    const BLOCK: usize = 0;
    let set = &raw const DEATHS as usize;
    call(RT_SIGPROCMASK, [BLOCK, set, 0, 8])?;
    call(SIGNALFD4, [usize::MAX, set, 8, CLOEXEC])
}

fn pipe() -> Result<[usize; 2]> {
    const PIPE2: usize = 293;
    const CLOEXEC: usize = 0o2_000_000;
    let mut ends = [0u32; 2];
    call(PIPE2, [&raw mut ends as usize, CLOEXEC])?;
    Ok(ends.map(|end| end as usize))
}

/// In the child: a session of its own, on the terminal if its input is one, and then the command.
fn become_command(
    words: &[usize],
    environment: &[usize],
    streams: [usize; 3],
) -> Result<core::convert::Infallible> {
    const RT_SIGPROCMASK: usize = 14;
    const IOCTL: usize = 16;
    const DUP2: usize = 33;
    const EXECVE: usize = 59;
    const SETSID: usize = 112;
    const TIOCSCTTY: usize = 0x540e;
    const SET_MASK: usize = 2;
    calls::forbid_ports()?;
    call(SETSID, [])?;
    for (number, descriptor) in streams.into_iter().enumerate() {
        call(DUP2, [descriptor, number])?;
    }
    let _ = call(IOCTL, [0, TIOCSCTTY, 0]); // refused by what is no terminal
    let none = 0u64;
    call(RT_SIGPROCMASK, [SET_MASK, &raw const none as usize, 0, 8])?;
    let [program, called @ ..] = words else { return Err(Errno::GARBLED) };
    let (program, list) = (*program, called.as_ptr() as usize);
    call(EXECVE, [program, list, environment.as_ptr() as usize])?;
    Err(Errno::GARBLED)
}

/// Carries what the command says, and buries the dead until the command is among them.
fn serve(command: usize, deaths: usize, mut pumps: [Pump; 2]) -> Result<Ended> {
    const FOREVER: isize = -1;
    loop {
        let ready = wait([deaths, pumps[0].outlet, pumps[1].outlet], FOREVER)?;
        for (pump, ready) in pumps.iter_mut().zip(&ready[1..]) {
            if *ready {
                pump.carry();
            }
        }
        if ready[0]
            && let Some(ended) = bury(command, deaths)
        {
            // What it said is in the pipes; orphans may hold them open, so their end may not come.
            while let [_, first, second] = wait([NONE, pumps[0].outlet, pumps[1].outlet], 0)?
                && (first || second)
            {
                for (pump, ready) in pumps.iter_mut().zip([first, second]) {
                    if ready {
                        pump.carry();
                    }
                }
            }
            pumps.iter_mut().for_each(Pump::close);
            return Ok(ended);
        }
    }
}

/// No descriptor: `poll` passes over it.
const NONE: usize = u32::MAX as usize;

/// Which of these can be read, at once or after waiting (poll(2)).
fn wait(descriptors: [usize; 3], milliseconds: isize) -> Result<[bool; 3]> {
    const POLL: usize = 7;
    const POLLIN: u64 = 1;
    // struct pollfd: the descriptor, what is asked for, and what is found.
    let mut polled = descriptors.map(|descriptor| descriptor as u64 | POLLIN << 32);
    call(POLL, [&raw mut polled as usize, polled.len(), milliseconds as usize])?;
    Ok(polled.map(|entry| entry >> 48 != 0))
}

/// Waits for all who have died; gives the end of `command` if it is one of them.
fn bury(command: usize, deaths: usize) -> Option<Ended> {
    const WAIT4: usize = 61;
    const WNOHANG: usize = 1;
    const ANY: usize = usize::MAX;
    let mut notice = [0; 128];
    let _ = calls::read(deaths, &mut notice); // one notice may stand for many
    let mut ended = None;
    let mut status = 0u32;
    while let Ok(pid @ 1..) = call(WAIT4, [ANY, &raw mut status as usize, WNOHANG, 0]) {
        if pid == command {
            ended = Some(match status & 0x7f {
                0 => Ended::Exited((status >> 8 & 0xff) as usize),
                signal => Ended::Signaled(signal as usize),
            });
        }
    }
    ended
}

/// From a pipe of the command to a port; a device needs none, the command has it itself.
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

    /// Carries what is there, at most a page and once.
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
    /// What a command reads from; nothing comes in by a port or a page.
    fn descriptor(self) -> usize {
        match self {
            Self::Device(descriptor) => descriptor,
            Self::Port(_) | Self::Page(_) => NONE,
        }
    }
}
