//! Programs that look for gaps in their own running, and how they are watched.

use std::{io, thread, time::Duration};

use container::scheduling::leave_one_processor;
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};
use sandbox::{Builtin, Instance, Report, Sandbox, Workload};

use crate::{
    Error,
    clock::tick_rate,
    lanes::{Stretch, common, cut, running, trace},
    outcome::ensure_success,
};

/// A pause in one's own running counts as a gap from here on: longer than an interrupt, far shorter
/// than a time slice.
const GAP: Duration = Duration::from_micros(200);

/// How long programs are watched, and the clock that they are watched by.
pub struct Watch {
    length: Duration,
    /// Ticks per second.
    pub rate: f64,
    /// The CPU that programs have to share.
    shared: CpuSet,
}

impl Watch {
    /// Watches programs for `length`.
    pub fn of(length: Duration) -> io::Result<Self> {
        let rate = tick_rate().map_err(io::Error::other)?;
        Ok(Self { length, rate, shared: leave_one_processor()? })
    }

    /// A time in ticks.
    pub fn ticks(&self, time: Duration) -> u64 {
        (time.as_secs_f64() * self.rate) as u64
    }

    /// The tick at `instant`, by the two clocks of a program.
    pub fn tick_at(&self, report: &Report, instant: Duration) -> u64 {
        report.begin_ticks + self.ticks(instant.saturating_sub(report.begin_time))
    }

    /// Ticks as nanoseconds.
    pub fn nanoseconds(&self, ticks: u64) -> f64 {
        ticks as f64 * 1e9 / self.rate
    }

    /// The program that looks for gaps in its own running; it runs until it is asked to stop.
    pub fn slices(&self) -> Workload {
        let long = Duration::from_secs(60);
        let arguments = [self.ticks(long), self.ticks(GAP)];
        Workload::builtin(Builtin::Slices, &arguments).deadline(long)
    }

    /// Lets these programs run, and returns what each saw.
    pub fn over(&self, running: Vec<Box<dyn Instance>>) -> Result<Vec<Report>, Error> {
        thread::sleep(self.length);
        for instance in &running {
            instance.control().stop();
        }
        let report = |instance: Box<dyn Instance>| {
            let outcome = ensure_success(instance.wait()?)?;
            outcome.report.ok_or_else(|| Error::new("the program reported nothing"))
        };
        running.into_iter().map(report).collect()
    }
}

/// The running stretches of programs inside of their common window.
pub struct Lanes {
    /// One lane for each program.
    pub running: Vec<Vec<Stretch>>,
    /// When all of them were at work.
    pub window: Stretch,
}

impl Lanes {
    /// The lanes of these programs.
    pub fn of(reports: &[Report]) -> Result<Self, Error> {
        let window = common(reports)
            .ok_or_else(|| Error::new("the programs were never at work all at once"))?;
        let running = reports.iter().map(|report| cut(&running(report), window)).collect();
        Ok(Self { running, window })
    }

    /// The same without what was before `from`, in a window of whole rounds if it holds one: in
    /// half a round some have had their turn and others have not.
    pub fn whole_rounds(mut self, from: u64, round: u64) -> Result<Self, Error> {
        let (begin, end) = (self.window.0.max(from), self.window.1);
        if begin >= end {
            return Err(Error::new("the programs ended before their first round was over"));
        }
        let rounds = (end - begin) / round.max(1);
        self.window = (begin, if rounds == 0 { end } else { begin + rounds * round });
        self.running = self.running.iter().map(|ran| cut(ran, self.window)).collect();
        Ok(self)
    }

    /// The picture of them, with a name for each lane.
    pub fn trace(
        &self,
        metric: &str,
        names: impl IntoIterator<Item = String>,
        watch: &Watch,
    ) -> report::ScheduleTrace {
        let lanes: Vec<_> = names.into_iter().zip(self.running.iter().cloned()).collect();
        trace(metric, &lanes, self.window, watch.rate)
    }
}

/// Starts the program on the shared CPU.
pub fn pinned(sandbox: &dyn Sandbox, watch: &Watch) -> Result<Box<dyn Instance>, Error> {
    pinned_program(sandbox, &watch.slices(), watch)
}

/// Starts this program on the shared CPU.
pub fn pinned_program(
    sandbox: &dyn Sandbox,
    program: &Workload,
    watch: &Watch,
) -> Result<Box<dyn Instance>, Error> {
    let instance = sandbox.spawn(program)?;
    for pid in instance.processes() {
        let pid = Pid::from_raw(pid.cast_signed());
        sched_setaffinity(pid, &watch.shared).map_err(io::Error::from)?;
    }
    Ok(instance)
}
