//! The rounds of a measuring process: every sandbox once in each, in an order that the seed decides.

use std::io::{self, Write};

use report::Unit;

use crate::{
    Amount, Error, MeasureOptions, Part,
    message::{Measurement, Message, MessageWriter},
    subjects::{Missing, Subject, again, order, subjects},
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
        let metrics = self.part.metrics();
        self.each(&[()], |subject, ()| measure(subject), |()| metrics.to_vec())
    }

    /// The same for each of several `tasks`, which fail one by one.
    pub fn rounds_of<T: Task>(
        &mut self,
        tasks: &[T],
        measure: impl FnMut(&Subject, &T) -> Result<Vec<Value>, Error>,
    ) -> io::Result<()> {
        self.each(tasks, measure, |task| vec![task.metric()])
    }

    fn each<T>(
        &mut self,
        tasks: &[T],
        mut measure: impl FnMut(&Subject, &T) -> Result<Vec<Value>, Error>,
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
                                self.writer.write(&measured(subject, value, round - warm_up))?;
                            }
                        }
                        Err(error) => {
                            *failed = true;
                            self.writer.gaps(&metrics(task), subject.label, &error)?;
                        }
                    }
                }
            }
            self.writer.write(&Message::Round)?;
        }
        Ok(())
    }

    /// The numbers of the rounds that count, for a part that does not ask every sandbox in each.
    pub fn rounds_that_count(&self) -> std::ops::Range<u32> {
        0..self.amount.rounds
    }

    /// Writes one number outside of the rounds.
    pub fn write(&mut self, label: &str, value: Value, round: u32) -> io::Result<()> {
        let caveat = self.subjects.iter().find(|subject| subject.label == label);
        let caveat = caveat.and_then(|subject| subject.caveat.clone());
        self.writer.write(&message(label, caveat, value, round))
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
    Message::Measured(Measurement { metric, sandbox, unit, value, round, caveat })
}
