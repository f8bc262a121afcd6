//! The messages: one file a lab, `labs/NN-name/messages.toml`, both languages side by side.
//!
//! ```toml
//! [lab.en]
//! title = "A name of its own"
//! goal = "..."                  # one or two sentences for `isolab lab start`
//! first = "..."                 # the first step
//! [lab.zh]
//! title = "..."
//!
//! [predict.exits.en]            # asked before the check, shown beside `measured.exits`
//! question = "How many exits for 1000 bytes?"
//! unit = "exits"
//!
//! [unjudged.realtime.en]        # what a PASS on this host leaves open
//! what = "whether the ten take turns under SCHED_RR"
//! why = "this host refuses it: {because}"
//!
//! [steps.1.en]                  # shown for `todo!("lab 8, step 1: ...")`
//! what = "three flags, joined by |"
//! hints = ["the concept", "where to look", "almost the line"]
//!
//! [evidence]                    # what the check writes in English, in Chinese
//! "{} mounts" = "{} 个挂载"     # `{2}` is the second of the English braces
//!
//! [L08-no-fork]
//! man = "pid_namespaces(7)"
//! [L08-no-fork.en]
//! saw = "process {pid} is still in its parent's pid namespace {namespace}"
//! expected = "..."
//! why = "..."
//! next = "..."
//! hints = ["the concept", "where to look", "almost the line"]
//! [L08-no-fork.zh]
//! ```
//!
//! What goes wrong in any lab alike is in this crate's own `messages.toml`.

use std::{collections::BTreeMap, io};

pub use host::Language;
use serde::{Deserialize, Deserializer};

/// A thing said in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Both<T> {
    /// In English.
    pub en: T,
    /// In Chinese.
    pub zh: T,
}

impl<T> Both<T> {
    /// In this language.
    pub fn get(&self, language: Language) -> &T {
        match language {
            Language::En => &self.en,
            Language::Zh => &self.zh,
        }
    }
}

/// What a lab says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// Its title.
    pub title: String,
    /// What the student will have made.
    pub goal: String,
    /// Where to begin.
    pub first: String,
}

/// A guess that the student makes before the run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prediction {
    /// What is asked.
    pub question: String,
    /// The unit of the answer.
    pub unit: String,
}

/// A part of the contract that some hosts cannot show.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOpen {
    /// What was not judged.
    pub what: String,
    /// Why not, and where it would be; the host's reason goes into its `{because}`.
    pub why: String,
}

/// A step of the student's file, for whom the program stopped at its `todo!`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepText {
    /// What is to be written.
    pub what: String,
    /// The concept, where to look, almost the line.
    #[serde(default)]
    pub hints: Vec<String>,
}

/// A message in one language.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Text {
    /// What the check saw; facts go into its braces.
    pub saw: String,
    /// What it expected.
    pub expected: String,
    /// Why it matters, or how it comes about.
    pub why: String,
    /// What to do next.
    pub next: String,
    /// The concept, where to look, almost the line.
    #[serde(default)]
    pub hints: Vec<String>,
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Where the kernel's side of it is described: `pid_namespaces(7)`, `Intel SDM 3A 4.5`.
    pub man: String,
    /// In English.
    pub en: Text,
    /// In Chinese.
    pub zh: Text,
}

impl Message {
    /// In this language.
    pub fn get(&self, language: Language) -> &Text {
        match language {
            Language::En => &self.en,
            Language::Zh => &self.zh,
        }
    }
}

/// All that a lab has to say.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Catalogue {
    /// The lab itself; the common catalogue has none.
    pub lab: Option<Both<About>>,
    /// Its predictions and the names of what is measured, in the order of the file.
    #[serde(default, deserialize_with = "pairs")]
    pub predict: Vec<(String, Both<Prediction>)>,
    /// What a check leaves open where the host cannot show it, by name.
    #[serde(default)]
    pub unjudged: BTreeMap<String, Both<LeftOpen>>,
    /// The steps of its file, by their numbers.
    #[serde(default)]
    pub steps: BTreeMap<String, Both<StepText>>,
    /// Phrases that its check writes as evidence and as facts, in English, each with its Chinese.
    #[serde(default)]
    pub evidence: BTreeMap<String, String>,
    /// Its messages, by id.
    #[serde(flatten)]
    pub messages: BTreeMap<String, Message>,
}

impl Catalogue {
    /// The messages that all labs share.
    pub fn common() -> Self {
        Self::parse(include_str!("../messages.toml")).expect("a test reads this very text")
    }

    /// A lab's messages, from the text of its `messages.toml`.
    ///
    /// # Errors
    ///
    /// When it does not have this form; the error names the line.
    pub fn of_lab(text: &str) -> io::Result<Self> {
        Self::parse(text).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let mut catalogue: Self = toml::from_str(text)?;
        // A table of TOML has no order; a lab asks its questions in the one in which it has them.
        catalogue.predict.sort_by_key(|(name, _)| text.find(&format!("[predict.{name}.")));
        Ok(catalogue)
    }

    /// The step that a `todo!` names: `lab 8, step 1: ...`; its number and its text.
    pub fn step(&self, todo: &str) -> Option<(&str, &Both<StepText>)> {
        let (_, rest) = todo.split_once("step ")?;
        let number = rest.split(|letter: char| !letter.is_ascii_alphanumeric()).next()?;
        self.steps.get_key_value(number).map(|(number, step)| (number.as_str(), step))
    }
}

fn pairs<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, Both<Prediction>)>, D::Error> {
    BTreeMap::deserialize(from).map(|table: BTreeMap<_, _>| table.into_iter().collect())
}

/// Puts `facts` into the braces of `text`; a brace without a fact stays as it is.
pub fn fill(text: &str, facts: &BTreeMap<String, String>) -> String {
    facts
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_messages_are_there_in_both_languages() {
        let common = Catalogue::common();
        assert!(common.messages.contains_key("not-written"));
        for (id, message) in &common.messages {
            for text in [&message.en, &message.zh] {
                assert!(!text.saw.is_empty() && !text.next.is_empty(), "{id}");
            }
        }
    }

    #[test]
    fn predictions_keep_the_order_of_the_file() {
        let one = |name: &str| {
            let text = |it| format!("[predict.{name}.{it}]\nquestion = \"?\"\nunit = \"ms\"\n");
            text("en") + &text("zh")
        };
        let text: String = ["normal", "in-turn", "all"].map(one).concat();
        let names = Catalogue::of_lab(&text).unwrap().predict.into_iter().map(|(name, _)| name);
        assert_eq!(names.collect::<Vec<_>>(), ["normal", "in-turn", "all"]);
    }

    #[test]
    fn a_todo_is_a_step_in_both_languages() {
        let text = "[steps.12.en]\nwhat = \"one call\"\n[steps.12.zh]\nwhat = \"一个调用\"\n";
        let catalogue = Catalogue::of_lab(text).unwrap();
        let (number, step) = catalogue.step("lab 8, step 12: one call").unwrap();
        assert_eq!((number, &*step.zh.what), ("12", "一个调用"));
        assert_eq!(catalogue.step("lab 8, step 1: one call"), None);
        assert!(catalogue.step("something").is_none());
    }

    #[test]
    fn every_step_of_every_lab_has_a_text_and_three_hints() {
        let labs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../labs");
        let mut steps = 0;
        for folder in std::fs::read_dir(labs).unwrap().map(|entry| entry.unwrap().path()) {
            let Ok(student) = std::fs::read_to_string(folder.join("src/student.rs")) else {
                continue;
            };
            let text = std::fs::read_to_string(folder.join("messages.toml")).unwrap();
            let catalogue = Catalogue::of_lab(&text).unwrap();
            for todo in student.split("todo!(").skip(1) {
                let todo = todo.split('"').nth(1).unwrap();
                let (_, step) = catalogue.step(todo).unwrap_or_else(|| panic!("{todo}"));
                for text in [&step.en, &step.zh] {
                    assert!(!text.what.is_empty() && text.hints.len() == 3, "{todo}");
                }
                assert!(!step.zh.what.is_ascii(), "{todo}");
                steps += 1;
            }
        }
        assert!(steps > 20, "{steps}");
    }

    #[test]
    fn facts_go_into_braces() {
        let facts = BTreeMap::from([("pid".to_owned(), "7".to_owned())]);
        assert_eq!(fill("process {pid}, {other}", &facts), "process 7, {other}");
    }
}
