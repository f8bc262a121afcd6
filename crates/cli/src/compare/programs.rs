//! Compute, memory and the way out: programs that take their own times, with the time stamp
//! counter, around the measured part alone.

use std::io::{self, Write};

use report::Unit;
use sandbox::{Builtin, Native, Report, Workload};

use super::{
    measure::{Failure, Session, Task, Value},
    startup::{PATIENCE, well},
};

/// A program, its arguments, and how its ticks become a number.
struct Program {
    metric: &'static str,
    builtin: Builtin,
    arguments: Vec<u64>,
    unit: Unit,
    /// How many of what is counted the measured part does: iterations, bytes, steps.
    amount: f64,
}

impl Task for Program {
    fn metric(&self) -> &'static str {
        self.metric
    }
}

fn programs(quick: bool) -> [Program; 5] {
    let (iterations, rounds, steps, pages, trips) = match quick {
        true => (5_000_000, 2, 100_000, 1024, 1000),
        false => (20_000_000, 4, 400_000, 4096, 4000),
    };
    let (stream, chase) = (48, 64);
    // The three arrays of `stream` are whole words.
    let triad = (stream << 20) / 8 / 3 * 3 * 8 * rounds;
    let program = |metric, builtin, arguments: &[u64], unit, amount: u64| Program {
        metric,
        builtin,
        arguments: arguments.to_vec(),
        unit,
        amount: amount as f64,
    };
    let time = Unit::Nanoseconds;
    [
        program("compute.spin", Builtin::Spin, &[iterations], time, iterations),
        program(
            "memory.bandwidth",
            Builtin::Stream,
            &[stream, rounds],
            Unit::BytesPerSecond,
            triad,
        ),
        program("memory.latency", Builtin::Chase, &[chase, steps], time, steps),
        program("memory.touch", Builtin::Touch, &[pages], time, pages),
        program("crossing", Builtin::Cross, &[trips], time, trips),
    ]
}

/// Runs every program in every sandbox, round by round.
pub fn measure<W: Write>(session: &mut Session<W>, quick: bool) -> io::Result<()> {
    let rate = tick_rate().map_err(|failure| io::Error::other(failure.reason))?;
    session.rounds_of(&programs(quick), |subject, program| {
        let workload = Workload::builtin(program.builtin, &program.arguments).deadline(PATIENCE);
        let outcome = well(subject.sandbox.run(&workload)?)?;
        let report = outcome.report.ok_or_else(|| Failure::new("the program reported nothing"))?;
        value(program, &report, rate)
    })
}

fn value(program: &Program, report: &Report, rate: f64) -> Result<Vec<Value>, Failure> {
    if report.ticks() == 0 {
        return Err(Failure::new("the program's clock stood still"));
    }
    let seconds = report.ticks() as f64 / rate;
    let value = match program.unit {
        Unit::BytesPerSecond => program.amount / seconds,
        _ => seconds * 1e9 / program.amount,
    };
    Ok(vec![(program.metric, program.unit, value)])
}

/// Ticks a second of the time stamp counter, against the clock of the host.
pub fn tick_rate() -> Result<f64, Failure> {
    let unknown = "the rate of the time stamp counter could not be found out";
    Native.clocks()?.map(|(rate, _)| rate).ok_or_else(|| Failure::new(unknown))
}
