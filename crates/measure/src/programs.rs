//! Compute, memory and the way out: programs that take their own times, with the time stamp
//! counter, around the measured part alone.

use std::io::{self, Write};

use report::{Unit, metric};
use sandbox::{Builtin, Report, Workload};

use crate::{
    Error, Session, Value,
    clock::tick_rate,
    outcome::{TIMEOUT, ensure_success},
    session::Task,
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
    fn metrics(&self) -> Vec<&'static str> {
        vec![self.metric]
    }
}

fn programs(quick: bool) -> [Program; 5] {
    let (iterations, rounds, steps, pages, round_trips) = match quick {
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
        program(metric::COMPUTE_SPIN, Builtin::Spin, &[iterations], time, iterations),
        program(
            metric::MEMORY_BANDWIDTH,
            Builtin::Stream,
            &[stream, rounds],
            Unit::BytesPerSecond,
            triad,
        ),
        program(metric::MEMORY_LATENCY, Builtin::Chase, &[chase, steps], time, steps),
        program(metric::MEMORY_TOUCH, Builtin::Touch, &[pages], time, pages),
        program(metric::CROSSING, Builtin::Cross, &[round_trips], time, round_trips),
    ]
}

/// Runs every program in every sandbox, round by round.
pub fn measure<W: Write>(session: &mut Session<W>, quick: bool) -> io::Result<()> {
    let rate = tick_rate().map_err(io::Error::other)?;
    session.rounds_of(&programs(quick), |subject, program| {
        let workload = Workload::builtin(program.builtin, &program.arguments).deadline(TIMEOUT);
        let outcome = ensure_success(subject.sandbox.run(&workload)?)?;
        let report = outcome.report.ok_or_else(|| Error::new("the program reported nothing"))?;
        value(program, &report, rate)
    })
}

fn value(program: &Program, report: &Report, rate: f64) -> Result<Vec<Value>, Error> {
    if report.ticks() == 0 {
        return Err(Error::new("the program's clock stood still"));
    }
    let seconds = report.ticks() as f64 / rate;
    let value = match program.unit {
        Unit::BytesPerSecond => program.amount / seconds,
        _ => seconds * 1e9 / program.amount,
    };
    Ok(vec![(program.metric, program.unit, value)])
}
