//! Lab 20: the comparison table, from your own data. The part that measures, and leads the
//! student's functions over what was measured.

mod claims;
mod inside;
mod measure;
mod signs;

use std::{fmt::Display, io, process::ExitCode};

use lab::program::{Host, Trouble, run};
use report::{Probe, Records, metric};
use serde::{Deserialize, Serialize};

pub use claims::{Claim, Judgement, textbook};
pub use inside::VisibleState;
pub use signs::{Carrier, Signs};

/// The rows of the textbook's table that are numbers: its word and the metric.
pub const ROWS: [(&str, &str); 5] = [
    ("start-up", metric::STARTUP_FIRST_BYTE),
    ("performance", metric::COMPUTE_SPIN),
    ("memory", metric::FOOTPRINT_MEMORY),
    ("disk", metric::FOOTPRINT_DISK),
    ("density", metric::DENSITY_COUNT),
];

/// The questions of the last row, isolation: what of the host can be seen from inside?
pub const PROBES: [&str; 4] = ["kernel", "name", "launcher", "marker"];

/// How one value is to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// It is smaller.
    Less,
    /// It is larger.
    More,
    /// No difference is shown.
    Same,
}

/// A sentence of the table: how the microVM's value is to the container's, and by which data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sentence {
    /// The series that it rests on, each as `METRIC/SANDBOX`: the microVM's, the container's.
    pub data: Vec<String>,
    /// How the first is to the second.
    pub relation: Relation,
    /// The median of the first divided by that of the second.
    pub ratio: f64,
}

/// All that was found out: samples and probes, and what carried the virtual machines.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Evidence {
    /// The series and the probes.
    pub records: Records,
    /// The signs of what carries a virtual machine here.
    pub signs: Signs,
}

/// What the check gives to try the functions on: made up, and each time anew.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Practice {
    /// Series and probes.
    pub records: Records,
    /// The metrics of `records`, a row of the table each.
    pub rows: Vec<String>,
    /// Hosts of every kind.
    pub signs: Vec<Signs>,
    /// The hosts, by their numbers in `signs`, on which claims are judged.
    pub judged_on: Vec<usize>,
    /// What is seen inside of a sandbox, and on its host.
    pub states: Vec<SandboxView>,
    /// What somebody says of the records.
    pub claims: Vec<Claim>,
}

/// What is seen inside of a sandbox, and on its host.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SandboxView {
    /// Which sandbox.
    pub sandbox: String,
    /// What is seen inside.
    pub inside: VisibleState,
    /// What the host has.
    pub host: VisibleState,
}

impl Practice {
    /// The hosts, by their numbers, on which the claim of that number is judged: every kind for what
    /// is said of hardware; else they make no difference, and one will do, never the same.
    pub fn hosts_for(&self, claim: usize) -> Vec<(usize, &Signs)> {
        let of_hardware = matches!(&self.claims[claim], Claim::Compares { hardware: true, .. });
        let all = self.judged_on.iter().map(|&number| (number, &self.signs[number]));
        if of_hardware {
            return all.collect();
        }
        all.skip(claim % self.judged_on.len()).take(1).collect()
    }
}

/// The student's functions.
pub struct Answer {
    /// What runs a virtual machine on a host with these signs?
    pub carrier: fn(&Signs) -> Carrier,
    /// The sentence of a row, `None` if it was not measured.
    pub sentence: fn(&Records, metric: &str) -> Option<Sentence>,
    /// What of the host shows inside.
    pub probes: fn(sandbox: &str, inside: &VisibleState, host: &VisibleState) -> Vec<Probe>,
    /// What the evidence says of a claim.
    pub judge: fn(&Claim, &Evidence) -> Judgement,
}

/// The program: the functions are tried on data that the check makes up; then the sandboxes are
/// looked into and measured, and the table is filled.
pub fn program(answer: &Answer) -> ExitCode {
    // The same program is what looks around inside of a container.
    if let Some(marker) = inside::asked_to_look() {
        return inside::look(&marker);
    }
    run(|host| {
        practise(host, answer)?;
        let probes = look_inside(host, answer)?;
        host.say("measuring", "start-up, performance, memory and disk; not density, see lab 19");
        let records = host.step("measure", || measure::records(probes))?;
        let signs = host.step("look at KVM", Signs::of_this_host)?;
        judge_all(host, answer, &Evidence { records, signs })
    })
}

/// Every function on the check's data.
fn practise(host: &Host, answer: &Answer) -> Result<(), Trouble> {
    let words = host.meet("practice");
    if words.is_empty() {
        return Ok(());
    }
    let practice: Practice = host.step("read the practice", || serde_json::from_str(&words))?;
    for (number, signs) in practice.signs.iter().enumerate() {
        say(host, &format!("carrier.{number}"), &(answer.carrier)(signs))?;
    }
    host.meet("carriers");
    for metric in &practice.rows {
        say(host, &format!("sentence.{metric}"), &(answer.sentence)(&practice.records, metric))?;
    }
    host.meet("sentences");
    for (number, view) in practice.states.iter().enumerate() {
        let probes = (answer.probes)(&view.sandbox, &view.inside, &view.host);
        say(host, &format!("probes.{number}"), &probes)?;
    }
    host.meet("probes");
    for (number, claim) in practice.claims.iter().enumerate() {
        for (on, signs) in practice.hosts_for(number) {
            let evidence = Evidence { records: practice.records.clone(), signs: signs.clone() };
            let judgement = (answer.judge)(claim, &evidence);
            say(host, &format!("judgement.{number}.{on}"), &judgement)?;
        }
    }
    host.meet("practised");
    Ok(())
}

/// A container that shares nothing, one that shares what the check says, and a machine.
fn look_inside(host: &Host, answer: &Answer) -> Result<Vec<Probe>, Trouble> {
    let root = host.step("make a root", || inside::ContainerRoot::make(host.argument("marker")))?;
    host.say("marker", root.marker().display());
    let outside = VisibleState::here(std::process::id(), root.marker());
    let mut all = Vec::new();
    for (point, shares) in [("container", ""), ("shared", host.argument("shares"))] {
        let step = format!("look around in a container that shares: {shares}");
        let seen = host.step(&step, || root.container(shares, || drop(host.meet(point))))?;
        let probes = (answer.probes)("container", &seen, &outside);
        say(host, &format!("probes.{point}"), &probes)?;
        if point == "container" {
            all.extend(probes);
        }
    }
    let seen = host.step("start a microVM", || inside::machine(|| drop(host.meet("machine"))))?;
    let probes = (answer.probes)("microvm", &seen, &outside);
    say(host, "probes.machine", &probes)?;
    host.meet("probed");
    all.extend(probes);
    Ok(all)
}

/// The table, and what the textbook says of it.
fn judge_all(host: &Host, answer: &Answer, evidence: &Evidence) -> Result<(), Trouble> {
    let folder = std::env::temp_dir().join(format!("lab20-{}", std::process::id()));
    let path = host.step("write the records", || evidence.records.write(&folder))?;
    host.say("records", path.display());
    say(host, "carrier", &(answer.carrier)(&evidence.signs))?;
    for (row, metric) in ROWS {
        let sentence = (answer.sentence)(&evidence.records, metric);
        if !host.is_checked() {
            println!("  {row:12} {}", Words(&sentence));
        }
        say(host, &format!("row.{metric}"), &sentence)?;
    }
    for (number, (words, claim)) in textbook().into_iter().enumerate() {
        let judgement = (answer.judge)(&claim, evidence);
        if !host.is_checked() {
            println!("  \"{words}\": {judgement:?}");
        }
        say(host, &format!("claim.{number}"), &judgement)?;
    }
    host.meet("judged");
    host.step("remove the records", || std::fs::remove_dir_all(&folder))
}

fn say(host: &Host, name: &str, value: &impl Serialize) -> Result<(), Trouble> {
    let text = host.step("write it down", || serde_json::to_string(value))?;
    if host.is_checked() {
        host.say(name, text);
    }
    Ok(())
}

/// A sentence for people.
struct Words<'a>(&'a Option<Sentence>);

impl Display for Words<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Some(Sentence { data, relation, ratio }) = self.0 else {
            return formatter.write_str("not measured");
        };
        match relation {
            Relation::Same => write!(formatter, "no difference shown")?,
            Relation::Less | Relation::More => {
                write!(formatter, "a microVM has {ratio:.2} times a container's")?;
            }
        }
        write!(formatter, " ({})", data.join(", "))
    }
}

/// An error with all that it came of.
fn chain(error: &dyn std::error::Error) -> io::Error {
    io::Error::other(sandbox::chain(error))
}
