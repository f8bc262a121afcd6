//! The rounds of a measuring process: every sandbox once in each, in an order that the seed decides.

use std::{
    io::{self, Write},
    mem,
};

use report::Unit;

use crate::{
    Amount, Error, MeasureOptions, Part,
    message::{Measurement, Message, MessageWriter},
    order::order,
    subjects::{Missing, Subject, again, subjects},
};

/// A number with its metric.
pub type Value = (&'static str, Unit, f64);

/// The sandboxes, the rounds, and where the numbers go.
pub struct Session<W> {
    /// The sandboxes that can run here.
    pub subjects: Vec<Subject>,
    /// Where messages go.
    pub writer: MessageWriter<W>,
    part: Part,
    amount: Amount,
    seed: u64,
    process: u32,
}

impl<W: Write> Session<W> {
    /// A session of these options; what this host lacks is written to `output` at once.
    pub fn new(options: &MeasureOptions, output: W) -> Self {
        let (mut subjects, missing) = subjects();
        subjects.push(again());
        let mut writer = MessageWriter::new(output);
        for Missing { label, error } in missing {
            // A reader that is gone is noticed at the next message.
            let _ = writer.gaps(options.part.metrics(), label, &error);
        }
        let mut amount = options.part.amount(options.quick);
        amount.rounds = options.rounds.unwrap_or(amount.rounds);
        let &MeasureOptions { part, seed, process, .. } = options;
        Self { subjects, writer, part, amount, seed, process }
    }

    /// Takes one measurement of each sandbox in each round. A sandbox that fails is a gap from
    /// then on, and does not keep the others waiting.
    pub fn rounds(
        &mut self,
        mut measure: impl FnMut(&Subject) -> Result<Vec<Value>, Error>,
    ) -> io::Result<()> {
        let whole = [WholePart(self.part)];
        self.rounds_of(&whole, |subject, _| measure(subject))
    }

    /// The same for each of several `tasks`, which fail one by one.
    pub fn rounds_of<T: Task>(
        &mut self,
        tasks: &[T],
        mut measure: impl FnMut(&Subject, &T) -> Result<Vec<Value>, Error>,
    ) -> io::Result<()> {
        let subjects = mem::take(&mut self.subjects);
        let done = self.rounds_among(&subjects, tasks, |subject, task, _| measure(subject, task));
        self.subjects = subjects;
        done
    }

    /// The same for others than the sandboxes alone, with the number of the round; those of the warm-up
    /// are counted, too.
    pub fn rounds_among<S: Labelled, T: Task>(
        &mut self,
        subjects: &[S],
        tasks: &[T],
        mut measure: impl FnMut(&S, &T, u32) -> Result<Vec<Value>, Error>,
    ) -> io::Result<()> {
        let Amount { warm_up, rounds, .. } = self.amount;
        let mut failed = vec![false; subjects.len() * tasks.len()];
        for round in 0..warm_up + rounds {
            for (number, task) in tasks.iter().enumerate() {
                for index in self.turns(round, subjects.len()) {
                    let subject = &subjects[index];
                    let failed = &mut failed[index * tasks.len() + number];
                    if *failed {
                        continue;
                    }
                    match measure(subject, task, round) {
                        Ok(_) if round < warm_up => {}
                        Ok(values) => {
                            for value in values {
                                let (label, caveat) = (subject.label(), subject.caveat());
                                let message = message(label, caveat, value, round - warm_up);
                                self.writer.write(&message)?;
                            }
                        }
                        Err(error) => {
                            *failed = true;
                            self.writer.gaps(&task.metrics(), subject.label(), &error)?;
                        }
                    }
                }
            }
            self.writer.write(&Message::Round)?;
        }
        Ok(())
    }

    /// The order of `count` sandboxes in a round, which is balanced over all processes; those of the
    /// warm-up are counted by themselves.
    pub fn turns(&self, round: u32, count: usize) -> Vec<usize> {
        let Amount { warm_up, rounds, .. } = self.amount;
        match round.checked_sub(warm_up) {
            Some(round) => order(self.seed, self.process * rounds + round, count),
            None => order(!self.seed, self.process * warm_up + round, count),
        }
    }

    /// Whether this is the first of the processes that measure this part.
    pub fn is_first_process(&self) -> bool {
        self.process == 0
    }

    /// How many rounds are thrown away, and how many count.
    pub fn warm_up_and_rounds(&self) -> (u32, u32) {
        (self.amount.warm_up, self.amount.rounds)
    }

    /// The numbers of the rounds that count, for a part that does not ask every sandbox in each.
    pub fn rounds_that_count(&self) -> std::ops::Range<u32> {
        0..self.amount.rounds
    }

    /// Writes one number of something that is none of the sandboxes.
    pub fn write_of(&mut self, of: &impl Labelled, value: Value, round: u32) -> io::Result<()> {
        self.writer.write(&message(of.label(), of.caveat(), value, round))
    }

    /// Writes one number outside of the rounds.
    pub fn write(&mut self, label: &str, value: Value, round: u32) -> io::Result<()> {
        let caveat = self.subjects.iter().find(|subject| subject.label == label);
        let caveat = caveat.and_then(|subject| subject.caveat.clone());
        self.writer.write(&message(label, caveat, value, round))
    }
}

/// What has turns in the rounds.
pub trait Labelled {
    /// Its name in the records.
    fn label(&self) -> &str;

    /// What the reader must know to read its numbers rightly.
    fn caveat(&self) -> Option<String>;
}

impl Labelled for Subject {
    fn label(&self) -> &str {
        self.label
    }

    fn caveat(&self) -> Option<String> {
        self.caveat.clone()
    }
}

/// What is measured in one turn.
pub trait Task {
    /// Its metrics.
    fn metrics(&self) -> Vec<&'static str>;
}

/// All metrics of a part at once.
struct WholePart(Part);

impl Task for WholePart {
    fn metrics(&self) -> Vec<&'static str> {
        self.0.metrics().to_vec()
    }
}

fn message(label: &str, caveat: Option<String>, value: Value, round: u32) -> Message {
    let (metric, unit, value) = value;
    let (metric, sandbox) = (metric.to_owned(), label.to_owned());
    Message::Measured(Measurement { metric, sandbox, unit, value, round, caveat })
}
