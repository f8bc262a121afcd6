//! One task then, ten tasks now: what is left of a CPU's work when ten programs share it.

use std::{
    io::{self, Write},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use report::{Unit, metric};
use sandbox::{Builtin, Instance, Limits, Sandbox, Workload};

use crate::{
    Error, Session,
    outcome::{TIMEOUT, ensure_success},
    subjects::limited,
    watch::{Watch, pinned_program},
};

/// How many programs share the CPU.
const PROGRAMS: u32 = 10;

/// Measures the CPU time of one program alone, and of ten together on one CPU that do a tenth of its
/// work each. The value is the first divided by the second: 1 if slicing costs nothing. What other
/// programs of the host take is in neither.
pub fn measure<W: Write>(
    session: &mut Session<W>,
    labels: &[&'static str],
    watch: &Watch,
    quick: bool,
) -> io::Result<()> {
    // About a millisecond for a million.
    let iterations = if quick { 200_000_000 } else { 400_000_000 };
    for &label in labels {
        let share = match label {
            "microvm" => Err(Error::new(
                "its virtual CPU is a thread of the launcher, which cannot be held back until all \
                 ten are there",
            )),
            _ => share(label, watch, iterations),
        };
        match share {
            Ok(share) => session.write(label, (metric::SLICES_TOGETHER, Unit::Share, share), 0)?,
            Err(error) => session.writer.gaps(&[metric::SLICES_TOGETHER], label, &error)?,
        }
    }
    Ok(())
}

fn share(label: &str, watch: &Watch, iterations: u64) -> Result<f64, Error> {
    let sandbox = limited(label, &Limits::default())?;
    let cpu_time = |programs, iterations| cpu_time(&*sandbox, watch, programs, iterations);
    // What a start and an end take is no work.
    let start = cpu_time(PROGRAMS, 0)?;
    let alone = cpu_time(1, iterations)?.checked_sub(start / PROGRAMS);
    let together = cpu_time(PROGRAMS, iterations / u64::from(PROGRAMS))?.checked_sub(start);
    let work = alone.zip(together).filter(|(_, together)| !together.is_zero());
    let (alone, together) = work.ok_or_else(|| Error::new("the work took no CPU time"))?;
    Ok(alone.as_secs_f64() / together.as_secs_f64())
}

/// The CPU time of `programs` programs that begin at once.
fn cpu_time(
    sandbox: &dyn Sandbox,
    watch: &Watch,
    programs: u32,
    iterations: u64,
) -> Result<Duration, Error> {
    let spin = Workload::builtin(Builtin::Spin, &[iterations]).deadline(TIMEOUT);
    let start = |_| {
        let instance = pinned_program(sandbox, &spin, watch)?;
        signal(&*instance, Signal::SIGSTOP);
        Ok(instance)
    };
    let running = (0..programs).map(start).collect::<Result<Vec<_>, Error>>()?;
    running.iter().for_each(|instance| signal(&**instance, Signal::SIGCONT));
    let cpu_time = |instance: Box<dyn Instance>| {
        let outcome = ensure_success(instance.wait()?)?;
        outcome.usage.cpu_time.ok_or_else(|| Error::new("its CPU time is unknown"))
    };
    running.into_iter().map(cpu_time).sum()
}

fn signal(instance: &dyn Instance, signal: Signal) {
    for pid in instance.processes() {
        // A program without work may have ended already.
        let _ = kill(Pid::from_raw(pid.cast_signed()), signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_programs_do_about_the_work_of_one() {
        let Ok(watch) = Watch::of(Duration::from_millis(100)) else {
            println!("skipped: no clock");
            return;
        };
        let share = share("process", &watch, 100_000_000).unwrap();
        assert!((0.5..1.5).contains(&share), "{share}");
    }
}
