//! Compute, memory and the way out: programs that take their own times, with the time stamp
//! counter, around the measured part alone.

use std::{
    io::{self, Write},
    mem,
};

use report::{Unit, metric};
use sandbox::{Builtin, Workload};

use crate::{
    Error, MeasureOptions, Part, Session, Value,
    clock::tick_rate,
    outcome::{TIMEOUT, ensure_success},
    participant::Participant,
    peers::{ProgramPeer, Words},
    session::{Labelled as _, Task},
    subjects::{LINUX, linux_guest},
    turns::Turns,
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

impl Program {
    /// Its path in the root of a peer, and its arguments.
    fn words(&self) -> Words {
        let arguments = self.arguments.iter().map(u64::to_string);
        [format!("/{}", self.builtin.name())].into_iter().chain(arguments).collect()
    }
}

/// A program, and which of them it is.
struct Numbered<'a>(usize, &'a Program);

impl Task for Numbered<'_> {
    fn metrics(&self) -> Vec<&'static str> {
        vec![self.1.metric]
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

/// Who runs a program.
type Runner<'a> = Participant<'a, ProgramPeer>;

impl Runner<'_> {
    /// Whether a start of it takes longer than a program.
    fn is_slow(&self) -> bool {
        self.label() == LINUX || matches!(self, Self::Peer(_))
    }

    /// Whether the system calls of its programs end in a kernel of its own.
    fn has_kernel(&self) -> bool {
        match self {
            Self::Isolab(subject) => subject.label == LINUX,
            Self::Peer(peer) => peer.is_machine(),
        }
    }
}

/// Runs every program in every sandbox, round by round; peers and Linux guests, whose starts take
/// longer than the programs, in one round of each process.
pub fn measure<W: Write>(session: &mut Session<W>, options: &MeasureOptions) -> io::Result<()> {
    let rate = tick_rate().map_err(io::Error::other)?;
    let programs = programs(options.quick);
    let mut own = mem::take(&mut session.subjects);
    own.extend(linux_guest());
    let mut runners: Vec<_> = own.iter().map(Runner::Isolab).collect();
    for definition in options.peers.iter() {
        match ProgramPeer::prepare(definition, programs.iter().map(Program::words).collect()) {
            Ok(peer) => runners.push(Runner::Peer(Box::new(peer))),
            Err(error) => session.writer.gaps(Part::Programs.metrics(), definition.name, &error)?,
        }
    }
    let own_kernel = Error::new("its system calls end in the guest's own kernel");
    for runner in &runners {
        if runner.has_kernel() {
            session.writer.gaps(&[metric::CROSSING], runner.label(), &own_kernel)?;
        }
    }
    let turns = Turns::of(options, session.warm_up_and_rounds());
    let numbers: Vec<_> = (0..).zip(&programs).map(|(number, it)| Numbered(number, it)).collect();
    session.rounds_among(&runners, &numbers, |runner, Numbered(number, program), turn| {
        let waits = runner.is_slow() && !turns.of_slowest(turn);
        if waits || runner.has_kernel() && program.metric == metric::CROSSING {
            return Ok(Vec::new());
        }
        match runner {
            Runner::Isolab(subject) => {
                let workload = Workload::builtin(program.builtin, &program.arguments);
                let outcome = ensure_success(subject.sandbox.run(&workload.deadline(TIMEOUT))?)?;
                let report = outcome.report;
                let report = report.ok_or_else(|| Error::new("the program reported nothing"))?;
                value(program, report.ticks(), rate)
            }
            Runner::Peer(peer) => value(program, peer.ticks(*number)?, rate),
        }
    })
}

fn value(program: &Program, ticks: u64, rate: f64) -> Result<Vec<Value>, Error> {
    if ticks == 0 {
        return Err(Error::new("the program's clock stood still"));
    }
    let seconds = ticks as f64 / rate;
    let value = match program.unit {
        Unit::BytesPerSecond => program.amount / seconds,
        _ => seconds * 1e9 / program.amount,
    };
    Ok(vec![(program.metric, program.unit, value)])
}
