//! What the student's statistics make of numbers.

use std::fs;

use lab::program::{Host, Trouble};
use report::{Interval, Sample};

use super::{Answer, FILE, Subject};

/// Made-up values, of which the check knows the medians; then made-up samples,
/// `SEED,SEED;PROCESS:ROUND:VALUE PROCESS:ROUND:VALUE`, of which it knows the intervals. A `|` is
/// between two sets.
pub(super) fn drill(host: &Host, answer: &Answer) {
    let words = host.meet("drill");
    if words.is_empty() {
        return;
    }
    for (set, words) in words.split('|').enumerate() {
        let values: Vec<f64> = words.split(' ').filter_map(|word| word.parse().ok()).collect();
        host.say(&format!("drill-median.{set}"), number((answer.median)(&values)));
    }
    let words = host.meet("median");
    for (set, words) in words.split('|').enumerate() {
        let (seeds, samples) = words.split_once(';').unwrap_or_default();
        let samples: Vec<Sample> = samples.split(' ').filter_map(sample).collect();
        for (turn, seed) in seeds.split(',').filter_map(|word| word.parse().ok()).enumerate() {
            let (low, high) = ends((answer.median_interval)(&samples, seed));
            host.say(&format!("drill.{set}.{turn}-low"), low);
            host.say(&format!("drill.{set}.{turn}-high"), high);
        }
    }
    host.meet("interval");
}

fn sample(word: &str) -> Option<Sample> {
    let mut parts = word.split(':');
    Some(Sample {
        process: parts.next()?.parse().ok()?,
        round: parts.next()?.parse().ok()?,
        value: parts.next()?.parse().ok()?,
    })
}

fn number(value: Option<f64>) -> String {
    value.map_or("nothing".into(), |value| value.to_string())
}

fn ends(interval: Option<Interval>) -> (String, String) {
    (number(interval.map(|interval| interval.low)), number(interval.map(|interval| interval.high)))
}

/// The time to the first byte, of each subject.
pub(super) fn summary(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let text = host.step("read the file", || fs::read_to_string(FILE))?;
    let mut medians = Vec::new();
    for subject in Subject::ALL {
        let samples = samples_of(&text, subject);
        let values: Vec<f64> = samples.iter().map(|sample| sample.value).collect();
        let median = (answer.median)(&values);
        let (low, high) = ends((answer.median_interval)(&samples, 1));
        let name = subject.name();
        host.say(&format!("{name}-median"), number(median));
        host.say(&format!("{name}-low"), &low);
        host.say(&format!("{name}-high"), &high);
        medians.extend(median);
    }
    if let [once, again, machine] = medians[..] {
        let percent = |left: f64, right: f64| format!("{:+.1} %", (left / right - 1.0) * 100.0);
        host.say("floor", percent(again, once));
        host.say("microvm-against-container", percent(machine, once));
    }
    host.meet("summary");
    Ok(())
}

/// The time to the first byte in nanoseconds: the first three phases.
pub fn samples_of(text: &str, subject: Subject) -> Vec<Sample> {
    let rows = text.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let numbers: Vec<f64> = fields.get(3..9)?.iter().filter_map(|f| f.parse().ok()).collect();
        let own = fields[2] == subject.name();
        let value = numbers.get(..3)?.iter().sum();
        let (process, round) = (fields[0].parse().ok()?, fields[1].parse().ok()?);
        own.then_some(Sample { value, process, round })
    });
    rows.collect()
}
