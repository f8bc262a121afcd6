//! Lab 07: virtual CPUs are threads. The part that makes a machine with several of them.
//!
//! ```text
//!   guest physical memory                        who runs it
//!   0x100000  program of vCPU 0, counts for ever   a thread of the student's, in ring 3
//!   0x101000  the same for vCPU 1 ...              another thread ...
//!   0x10N000  program of the last vCPU: halts      the last thread, in ring 0: only there is hlt
//!   0x200000  the counters, a page that the check reads: vCPU 0's, at 64 vCPU 1's ...
//! ```

mod guests;
mod signal;
mod vcpu;

use std::{
    io,
    process::ExitCode,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use lab::program::{Host, Trouble, run};
use nix::unistd::Pid;

pub use guests::COUNTER_BYTES;
pub use vcpu::{Exit, Vcpu};

use guests::Guests;
use vcpu::Seat;

/// A thread that runs a virtual CPU, and what came of it.
pub type VcpuThread = JoinHandle<nix::Result<()>>;

/// The student's functions.
pub struct Answer {
    /// Gives each virtual CPU a thread, and all threads one CPU.
    pub start: fn(Vec<Vcpu>, usize) -> io::Result<Vec<VcpuThread>>,
    /// How long a thread wanted to run and could not.
    pub stolen_time: fn(Pid) -> io::Result<Duration>,
}

/// The program: starts the virtual CPUs, sends signals to their threads, rings for the one that has
/// halted, tells the stolen time, and turns the machine off.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let cpu = host.number("cpu", 0) as usize;
        if host.is_checked() {
            // A small machine on another CPU, which no thread of the large one may have.
            let elsewhere = host.number("elsewhere", 0) as usize;
            let (guests, threads) = started(host, answer, 1, elsewhere)?;
            host.meet("elsewhere");
            turn_off(host, &guests, threads, "elsewhere-off")?;
        }
        let busy = host.number("vcpus", 3) as usize;
        let (guests, threads) = started(host, answer, busy, cpu)?;
        host.meet("running");

        signal::send(guests.seats().iter().take(busy).filter_map(|seat| seat.thread()));
        let rings = host.meet_for_number("signalled");

        for _ in 0..rings {
            guests.ring();
        }
        host.meet("rung");

        // A check that could not look closely enough asks once more.
        while {
            tell_stolen_times(host, answer, &guests)?;
            host.meet("told") == "again"
        } {}
        turn_off(host, &guests, threads, "off")
    })
}

fn tell_stolen_times(host: &Host, answer: &Answer, guests: &Guests) -> Result<(), Trouble> {
    for (number, seat) in guests.seats().iter().enumerate() {
        let Some(thread) = seat.thread() else { continue };
        let stolen = host.step("stolen_time", || (answer.stolen_time)(thread))?;
        host.say(&format!("thread-{number}"), thread);
        host.say(&format!("stolen-{number}"), stolen.as_nanos().min(u64::MAX.into()));
    }
    Ok(())
}

/// A machine whose virtual CPUs have got their threads, and those that have not ended already.
fn started(
    host: &Host,
    answer: &Answer,
    busy: usize,
    cpu: usize,
) -> Result<(Guests, Vec<VcpuThread>), Trouble> {
    let mut guests = host.step("create a machine", || Guests::new(busy))?;
    let vcpus = guests.take_vcpus();
    let threads = host.step("start", || (answer.start)(vcpus, cpu))?;
    host.say("handles", threads.len());
    let threads = settle(host, threads, guests.seats())?;
    Ok((guests, threads))
}

/// Has the guests turn their virtual CPUs off, and waits for the threads.
fn turn_off(
    host: &Host,
    guests: &Guests,
    threads: Vec<VcpuThread>,
    point: &str,
) -> Result<(), Trouble> {
    guests.turn_off();
    host.meet(point);
    threads.into_iter().try_for_each(|thread| ended(host, thread))
}

/// Waits until the threads are in their guests; gives those that have not ended already.
fn settle(
    host: &Host,
    threads: Vec<VcpuThread>,
    seats: &[Arc<Seat>],
) -> Result<Vec<VcpuThread>, Trouble> {
    let began = Instant::now();
    let taken = || seats.iter().filter(|seat| seat.thread().is_some()).count();
    while taken() < threads.len()
        && !threads.iter().any(JoinHandle::is_finished)
        && began.elapsed() < Duration::from_secs(2)
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    let (finished, running): (Vec<_>, Vec<_>) =
        threads.into_iter().partition(JoinHandle::is_finished);
    finished.into_iter().try_for_each(|thread| ended(host, thread))?;
    Ok(running)
}

/// Joins a thread that is at its end.
fn ended(host: &Host, thread: VcpuThread) -> Result<(), Trouble> {
    host.step("run a virtual CPU", || match thread.join() {
        Ok(result) => result.map_err(|errno| errno.to_string()),
        // The check has been told where and why.
        Err(_) => Err("its thread panicked".to_owned()),
    })
}

/// A meeting at which a number is said.
trait MeetForNumber {
    fn meet_for_number(&self, point: &str) -> u64;
}

impl MeetForNumber for Host {
    fn meet_for_number(&self, point: &str) -> u64 {
        self.meet(point).parse().unwrap_or(1)
    }
}
