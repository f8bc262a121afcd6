//! A measuring process: one part of the comparison, all sandboxes in turn.

use std::{
    io::{self, Write},
    process::{self, ExitStatus},
};

use nix::{sys::prctl, sys::signal::Signal, unistd::getppid};
use report::Unit;

use super::{
    density, footprint, linux,
    message::{Measured, Message, Sink, chain, why},
    parts::{Amount, Part},
    probes, programs, slices, startup,
    subjects::{Missing, Subject, again, order, subjects},
};

/// What a measuring process is asked for.
#[derive(Debug, Clone, clap::Args)]
pub struct MeasureArgs {
    /// The part of the comparison
    pub part: Part,
    /// Which of the fresh processes this is
    #[arg(long, default_value_t = 0)]
    pub process: u32,
    /// Decides the order of the sandboxes
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Fewer rounds, smaller amounts
    #[arg(long)]
    pub quick: bool,
    /// Rounds that count, instead of the usual number
    #[arg(long)]
    pub rounds: Option<u32>,
    /// The process that reads; without it there is nothing to measure for
    #[arg(long)]
    pub parent: Option<i32>,
}

/// A number with its metric.
pub type Value = (&'static str, Unit, f64);

/// Why one measurement gave no number.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub reason: String,
    /// What to do about it, if that is known.
    pub fix: String,
}

impl Failure {
    /// A failure that only its reason is known of.
    pub fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), fix: String::new() }
    }

    /// An `isolab run` failed, and said why in so many lines.
    pub fn of_run(status: ExitStatus, errors: &[u8]) -> Self {
        let errors = String::from_utf8_lossy(errors);
        let errors = errors.split_whitespace().collect::<Vec<_>>().join(" ");
        Self::new(format!("isolab run ended with {status}: {errors}"))
    }
}

impl From<sandbox::Error> for Failure {
    fn from(error: sandbox::Error) -> Self {
        let (reason, fix) = why(&error);
        Self { reason, fix }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(chain(&error))
    }
}

/// Measures one part and writes what it finds to standard output.
///
/// # Errors
///
/// When nobody reads any more.
pub fn run(args: &MeasureArgs) -> io::Result<()> {
    if let Some(parent) = args.parent {
        // Nobody would end this process, and all that it runs, in the parent's place.
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        if getppid().as_raw() != parent {
            process::exit(1);
        }
    }
    let mut session = Session::new(args, io::stdout());
    match args.part {
        Part::Probes => probes::look(&mut session),
        Part::Startup => startup::warm(&mut session),
        Part::Cold => startup::cold(&mut session),
        Part::Programs => programs::measure(&mut session, args.quick),
        Part::Footprint => footprint::measure(&mut session),
        Part::Density => density::measure(&mut session, args.quick),
        Part::Slices => slices::measure(&mut session, args.quick),
        Part::Linux => linux::measure(&mut session, args.part.metrics()),
    }
}

/// The sandboxes, the rounds, and where the numbers go.
pub struct Session<W> {
    /// The sandboxes that can run here.
    pub subjects: Vec<Subject>,
    /// Where messages go.
    pub sink: Sink<W>,
    part: Part,
    amount: Amount,
    seed: u64,
    process: u32,
}

impl<W: Write> Session<W> {
    fn new(args: &MeasureArgs, output: W) -> Self {
        let (mut subjects, missing) = subjects();
        subjects.push(again());
        let mut sink = Sink::new(output);
        for Missing { label, reason, fix } in missing {
            // A reader that is gone is noticed at the next message.
            let _ = sink.gaps(args.part.metrics(), label, (reason, fix));
        }
        let mut amount = args.part.amount(args.quick);
        amount.rounds = args.rounds.unwrap_or(amount.rounds);
        let &MeasureArgs { part, seed, process, .. } = args;
        Self { subjects, sink, part, amount, seed, process }
    }

    /// Takes one measurement of each sandbox in each round. A sandbox that fails is a gap from
    /// then on, and does not keep the others waiting.
    pub fn rounds(
        &mut self,
        mut measure: impl FnMut(&Subject) -> Result<Vec<Value>, Failure>,
    ) -> io::Result<()> {
        let metrics = self.part.metrics();
        self.each(&[()], |subject, ()| measure(subject), |()| metrics.to_vec())
    }

    /// The same for each of several `tasks`, which fail one by one.
    pub fn rounds_of<T: Task>(
        &mut self,
        tasks: &[T],
        measure: impl FnMut(&Subject, &T) -> Result<Vec<Value>, Failure>,
    ) -> io::Result<()> {
        self.each(tasks, measure, |task| vec![task.metric()])
    }

    fn each<T>(
        &mut self,
        tasks: &[T],
        mut measure: impl FnMut(&Subject, &T) -> Result<Vec<Value>, Failure>,
        metrics: impl Fn(&T) -> Vec<&'static str>,
    ) -> io::Result<()> {
        let Amount { warm_up, rounds, .. } = self.amount;
        let mut failed = vec![false; self.subjects.len() * tasks.len()];
        for round in 0..warm_up + rounds {
            for (number, task) in tasks.iter().enumerate() {
                for index in order(self.seed, self.process, round, self.subjects.len()) {
                    let subject = &self.subjects[index];
                    let failed = &mut failed[index * tasks.len() + number];
                    if *failed {
                        continue;
                    }
                    match measure(subject, task) {
                        Ok(_) if round < warm_up => {}
                        Ok(values) => {
                            for value in values {
                                self.sink.send(&measured(subject, value, round - warm_up))?;
                            }
                        }
                        Err(Failure { reason, fix }) => {
                            *failed = true;
                            self.sink.gaps(&metrics(task), subject.label, (reason, fix))?;
                        }
                    }
                }
            }
            self.sink.send(&Message::Round)?;
        }
        Ok(())
    }

    /// Sends one number outside of the rounds.
    pub fn send(&mut self, label: &str, value: Value, round: u32) -> io::Result<()> {
        let caveat = self.subjects.iter().find(|subject| subject.label == label);
        let caveat = caveat.and_then(|subject| subject.caveat.clone());
        self.sink.send(&message(label, caveat, value, round))
    }
}

/// A measurement of one metric.
pub trait Task {
    /// The metric.
    fn metric(&self) -> &'static str;
}

fn measured(subject: &Subject, value: Value, round: u32) -> Message {
    message(subject.label, subject.caveat.clone(), value, round)
}

fn message(label: &str, caveat: Option<String>, value: Value, round: u32) -> Message {
    let (metric, unit, value) = value;
    let (metric, sandbox) = (metric.to_owned(), label.to_owned());
    Message::Measured(Measured { metric, sandbox, unit, value, round, caveat })
}
