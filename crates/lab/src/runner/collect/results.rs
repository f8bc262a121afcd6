//! The verdicts of answers, kept so that a second run need not judge them again.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use super::submissions::Submission;
use crate::{
    runner::{Error, LocalUser, Result},
    verdict::{Report, Verdict},
};

/// No file of results is longer.
const MOST_BYTES: u64 = 1 << 30;

/// What was found of one answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) student: String,
    pub(super) lab: String,
    pub(super) name: String,
    /// `None` where the check gave none.
    pub(super) verdict: Option<Verdict>,
    /// The message.
    pub(super) id: Option<String>,
    /// Its first sentence, or why there is no verdict.
    pub(super) saw: Option<String>,
    /// What this host could not show.
    pub(super) unjudged: Vec<String>,
    pub(super) seconds: f64,
    /// By which judge.
    pub(super) judge: String,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    #[serde(flatten)]
    mark: Mark,
    /// The answer.
    text: String,
}

/// The file, to which verdicts are added.
pub(super) struct Results {
    file: File,
    known: BTreeMap<(String, String), Line>,
}

impl Results {
    /// Reads what there is. A line that is not whole, as a kill leaves it, is passed over.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let open = || {
            let mut options = File::options();
            let options = options.read(true).append(true).create(true).mode(0o600);
            options.custom_flags(OFlag::O_NOFOLLOW.bits()).open(path)
        };
        let mut file = LocalUser::caller().acting(open).map_err(Error::file("write", path))?;
        let mut known = BTreeMap::new();
        let mut is_whole = true;
        for line in BufReader::new((&file).take(MOST_BYTES)).split(b'\n') {
            let line = line.map_err(Error::file("read", path))?;
            let parsed = serde_json::from_slice::<Line>(&line);
            is_whole = parsed.is_ok();
            if let Ok(line) = parsed {
                known.insert((line.mark.student.clone(), line.mark.lab.clone()), line);
            }
        }
        if !is_whole {
            file.write_all(b"\n").map_err(Error::file("write", path))?;
        }
        Ok(Self { file, known })
    }

    /// The verdict on this very answer by this judge, if there was one.
    pub(super) fn known(&self, submission: &Submission, judge: &str) -> Option<Mark> {
        let key = (submission.student.clone(), submission.lab.clone());
        let line = self.known.get(&key)?;
        let is_final = matches!(line.mark.verdict, Some(Verdict::Pass | Verdict::Fail));
        let is_it = line.text == submission.text && line.mark.judge == judge;
        (is_final && is_it).then(|| line.mark.clone())
    }

    /// Writes a verdict down.
    pub(super) fn add(&mut self, mark: &Mark, submission: &Submission) -> Result<()> {
        let line = Line { mark: mark.clone(), text: submission.text.clone() };
        let mut text = serde_json::to_vec(&line).expect("it has only plain values");
        text.push(b'\n');
        self.file.write_all(&text).map_err(Error::system("write results.jsonl"))
    }
}

/// The parts that a pass does not speak of, and what the host said.
pub(super) fn unjudged(report: &Report) -> Vec<String> {
    report.unjudged.iter().map(|part| format!("{}: {}", part.name, part.because)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_taken_over_for_the_same_answer_and_judge_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.jsonl");
        let answer =
            |text: &str| Submission { student: "ada".into(), lab: "08".into(), text: text.into() };
        let mark = |verdict| Mark {
            student: "ada".into(),
            lab: "08".into(),
            name: "own-name".into(),
            verdict,
            id: None,
            saw: None,
            unjudged: Vec::new(),
            seconds: 1.0,
            judge: "1".into(),
        };
        let mut results = Results::open(&path).unwrap();
        results.add(&mark(Some(Verdict::Pass)), &answer("one")).unwrap();
        std::fs::write(&path, [&std::fs::read(&path).unwrap()[..], b"{\"student\":"].concat())
            .unwrap();
        let mut results = Results::open(&path).unwrap();
        assert_eq!(results.known(&answer("one"), "1"), Some(mark(Some(Verdict::Pass))));
        assert_eq!(results.known(&answer("two"), "1"), None);
        assert_eq!(results.known(&answer("one"), "2"), None);
        results.add(&mark(Some(Verdict::CannotTell)), &answer("one")).unwrap();
        assert_eq!(Results::open(&path).unwrap().known(&answer("one"), "1"), None);
    }
}
