//! A lab's contract, `labs/NN-name/clauses.toml`: what each sentence of the lab's text demands, by
//! which message the check says that it does not hold, and which wrong answer proves that it does.
//!
//! ```toml
//! background = ["`CpuSet` is a set of processors ..."]     # these demand nothing
//!
//! [[clause]]
//! says = "Give it to sched_setaffinity(2) ..."             # these do
//! by = ["L01-not-pinned"]
//! mutants = ["not-pinned"]
//! unjudged = "realtime"                                    # said with a pass where a host cannot show it
//!
//! [[equivalent]]                                           # changes by machine that are right as well
//! function = "find_slices"
//! change = "`<` to `<=`"
//! why = "no gap is exactly as long as the threshold"
//! ```
//!
//! The sentences are those of the section "Steps" of the README and of the documentation of
//! `src/student.rs`. One that ends in ` ...` stands for the sentence that begins so.

mod sentences;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Error, Result, course::Lab, output::verdict_text::Messages};

/// All that a lab demands.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Contract {
    /// The sentences that demand nothing.
    #[serde(default)]
    background: Vec<String>,
    /// Those that do.
    #[serde(default, rename = "clause")]
    clauses: Vec<Clause>,
    /// The changes of the solution that leave it right.
    #[serde(default)]
    pub(crate) equivalent: Vec<Equivalent>,
}

/// A sentence that demands something.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Clause {
    says: String,
    by: Vec<String>,
    mutants: Vec<String>,
    unjudged: Option<String>,
}

/// A change of the solution, made by machine, that no check can tell from it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Equivalent {
    /// The function of `src/solution.rs` that is changed.
    pub(crate) function: String,
    /// What is changed to what, as `isolab lab verify --mutate` tells it.
    pub(crate) change: String,
    /// Why the answer is still right.
    pub(crate) why: String,
}

/// What a lab's contract is held against.
struct Text<'a> {
    sentences: Vec<String>,
    messages: &'a Messages,
    /// The mutants, and the messages that catch them.
    mutants: BTreeMap<&'a str, &'a str>,
    prefix: String,
}

impl Contract {
    /// The contract of a lab.
    ///
    /// # Errors
    ///
    /// When the file is missing or does not have this form.
    pub(crate) fn of(lab: &Lab) -> Result<Self> {
        let path = lab.folder.join("clauses.toml");
        let text = lab.owner.read_text(&path).map_err(Error::file("read", &path))?;
        toml::from_str(&text).map_err(|error| Error::Damaged {
            path,
            cause: error.to_string().trim_end().to_owned(),
        })
    }

    /// Under which names a pass leaves open what this mutant does wrong.
    pub(crate) fn unjudged(&self, mutant: &str) -> Vec<String> {
        let proved = self.clauses.iter().filter(|it| it.mutants.iter().any(|name| name == mutant));
        proved.filter_map(|clause| clause.unjudged.clone()).collect()
    }

    /// What is wrong with it, a line each.
    ///
    /// # Errors
    ///
    /// When the lab's own texts cannot be read.
    pub(crate) fn faults(&self, lab: &Lab) -> Result<Vec<String>> {
        let read = |path: &str| {
            let path = lab.folder.join(path);
            lab.owner.read_text(&path).map_err(Error::file("read", path))
        };
        let mut all = sentences::of_steps(&read("README.md")?);
        all.extend(sentences::of_documentation(&read("src/student.rs")?));
        let prefix = lab.bin("-");
        let mutants = lab.mutants.iter().map(|mutant| {
            (mutant.bin.strip_prefix(&prefix).unwrap_or(&mutant.bin), mutant.caught_as.as_str())
        });
        Ok(self.faults_in(&Text {
            sentences: all,
            messages: &Messages::new(lab.catalogue()?),
            mutants: mutants.collect(),
            prefix: format!("L{}-", lab.id),
        }))
    }

    fn faults_in(&self, text: &Text<'_>) -> Vec<String> {
        let mut faults = Vec::new();
        for sentence in &text.sentences {
            let is_background = self.background.iter().any(|says| is_said(says, sentence));
            let is_demand = self.clauses.iter().any(|clause| is_said(&clause.says, sentence));
            match (is_background, is_demand) {
                (false, false) => faults.push(format!("neither clause nor background: {sentence}")),
                (true, true) => faults.push(format!("both clause and background: {sentence}")),
                _ => {}
            }
        }
        let listed = self.clauses.iter().map(|clause| &clause.says).chain(&self.background);
        for says in listed {
            if !text.sentences.iter().any(|sentence| is_said(says, sentence)) {
                faults.push(format!("no sentence of the lab: {says}"));
            }
        }
        for clause in &self.clauses {
            faults.extend(clause.faults(text));
        }
        for (mutant, caught_as) in &text.mutants {
            let is_proof = |clause: &Clause| clause.mutants.iter().any(|name| name == mutant);
            if caught_as.starts_with(&text.prefix) && !self.clauses.iter().any(is_proof) {
                faults.push(format!("the mutant {mutant} proves no clause"));
            }
        }
        faults.extend(text.faults());
        faults
    }
}

impl Clause {
    fn faults(&self, text: &Text<'_>) -> Vec<String> {
        let says = &self.says;
        let mut faults = Vec::new();
        if self.by.is_empty() || self.mutants.is_empty() {
            faults.push(format!("a clause without a message or without a mutant: {says}"));
        }
        for id in self.by.iter().filter(|id| text.messages.get(id).is_none()) {
            faults.push(format!("there is no message {id}, for the clause: {says}"));
        }
        for mutant in &self.mutants {
            match text.mutants.get(mutant.as_str()) {
                None => faults.push(format!("there is no mutant {mutant}, for the clause: {says}")),
                Some(caught_as) if !self.by.iter().any(|id| id == caught_as) => {
                    faults.push(format!(
                        "the mutant {mutant} is caught as {caught_as}, which is no message of the clause: {says}"
                    ));
                }
                Some(_) => {}
            }
        }
        if let Some(name) = &self.unjudged
            && !text.messages.own().unjudged.contains_key(name)
        {
            faults.push(format!("there is no text [unjudged.{name}], for the clause: {says}"));
        }
        faults
    }
}

impl Text<'_> {
    /// Messages of the lab that nothing proves, and those that two wrong answers share.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for id in self.messages.own().messages.keys() {
            let caught = self.mutants.iter().filter(|(_, caught_as)| *caught_as == id);
            let caught: Vec<&str> = caught.map(|(mutant, _)| *mutant).collect();
            match caught.as_slice() {
                [_] => {}
                [] => faults.push(format!("no mutant is caught as {id}")),
                several => faults.push(format!("{} are all caught as {id}", several.join(", "))),
            }
        }
        faults
    }
}

/// Whether the sentence is meant: the whole of it, or its beginning before ` ...`.
fn is_said(says: &str, sentence: &str) -> bool {
    match says.strip_suffix(" ...") {
        Some(beginning) => sentence.starts_with(beginning),
        None => says == sentence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::Catalogue;

    const TEXT: &str = "saw = ''\nexpected = ''\nwhy = ''\nnext = ''\n";

    fn faults(contract: &str) -> Vec<String> {
        let ids = ["L01-not-pinned", "L01-policy"];
        let messages: String = ids
            .iter()
            .map(|id| format!("[{id}]\nman = ''\n[{id}.en]\n{TEXT}[{id}.zh]\n{TEXT}"))
            .collect();
        let contract: Contract = toml::from_str(contract).unwrap();
        contract.faults_in(&Text {
            sentences: vec!["Pin it.".into(), "A set is a set.".into()],
            messages: &Messages::new(Catalogue::of_lab(&messages).unwrap()),
            mutants: BTreeMap::from([("not-pinned", "L01-not-pinned"), ("policy", "L01-policy")]),
            prefix: "L01-".to_owned(),
        })
    }

    #[test]
    fn a_contract_is_whole_when_every_sentence_has_its_proof() {
        let whole = "background = ['A set ...']\n[[clause]]\nsays = 'Pin it.'\n\
                     by = ['L01-not-pinned', 'L01-policy']\nmutants = ['not-pinned', 'policy']\n";
        assert_eq!(faults(whole), Vec::<String>::new());
    }

    #[test]
    fn each_gap_is_named() {
        let gaps = "background = ['A set is a set.', 'Gone.']\n[[clause]]\nsays = 'A set ...'\n\
                    by = ['L01-none', 'L01-policy']\nmutants = ['none', 'not-pinned']\n\
                    unjudged = 'realtime'\n[[clause]]\nsays = 'Pin it.'\nby = []\nmutants = []\n";
        let expected = [
            "both clause and background: A set is a set.",
            "no sentence of the lab: Gone.",
            "there is no message L01-none",
            "there is no mutant none",
            "the mutant not-pinned is caught as L01-not-pinned",
            "there is no text [unjudged.realtime]",
            "a clause without a message or without a mutant: Pin it.",
            "the mutant policy proves no clause",
        ];
        let found = faults(gaps);
        for (fault, expected) in found.iter().zip(expected) {
            assert!(fault.starts_with(expected), "{fault}");
        }
        assert_eq!(found.len(), expected.len());
        assert_eq!(
            faults("background = ['A set is a set.']")[0],
            "neither clause nor background: Pin it."
        );
    }
}
