//! What can be seen from inside: the same questions asked in every sandbox, and the answers held
//! against the host's own.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process,
    time::Duration,
};

use report::{Probe, metric::PROBE};
use sandbox::{Workload, chain};

use crate::{
    Error, Part, Session, Subject,
    message::{Message, MessageWriter},
    outcome::{ensure_success, hello},
    subjects::AGAIN,
};

/// The questions that a shell can answer. The launcher's number and a file of the host
/// show whether the host can be seen.
const SCRIPT: &str = r#"
echo "kernel=$(uname -r)"
echo "name=$(uname -n)"
echo "pids=$(ls /proc | grep -c '^[0-9]')"
if [ -d "/proc/$LAUNCHER" ]; then echo launcher=seen; fi
if [ -r "$MARKER" ]; then echo marker=read; fi
if echo changed > "$MARKER.written" 2> /dev/null; then echo marker=written; fi
echo "devices=$(ls /dev | grep -vc '^fd$\|^std')"
echo "disks=$(ls -l /dev | grep -c '^b')"
sed -n 's/^Seccomp:[^0-9]*/seccomp=/p; s/^CapEff:[^0-9a-f]*/capabilities=/p' /proc/self/status
echo end=
"#;

/// Asks in every sandbox and writes what was seen, and a gap for each question without an answer.
pub fn look<W: Write>(session: &mut Session<W>) -> io::Result<()> {
    let marker = MarkerFile::create()?;
    session.subjects.retain(|subject| subject.label != AGAIN);
    let found: Vec<_> =
        session.subjects.iter().map(|subject| (subject.label, ask(subject, &marker))).collect();
    for (label, answers) in found {
        match answers {
            Ok(answers) => write(&mut session.writer, label, &answers)?,
            Err(error) => session.writer.gaps(Part::Probes.metrics(), label, &error)?,
        }
    }
    session.writer.write(&Message::Round)
}

/// Writes the answers, which are in the order of the part's metrics.
fn write<W: Write>(
    writer: &mut MessageWriter<W>,
    label: &str,
    answers: &[Answer],
) -> io::Result<()> {
    for (metric, answer) in Part::Probes.metrics().iter().zip(answers) {
        match answer {
            Some((seen, exposed)) => writer.write(&Message::Probe(Probe {
                probe: metric.trim_start_matches(PROBE).to_owned(),
                sandbox: label.to_owned(),
                seen: seen.clone(),
                exposed: *exposed,
            }))?,
            None => {
                writer.gaps(&[metric], label, &Error::new("the shell inside gave no answer"))?;
            }
        }
    }
    Ok(())
}

/// A file of the host that should not be visible inside, let alone writable.
struct MarkerFile(PathBuf);

impl MarkerFile {
    fn create() -> io::Result<Self> {
        let marker = Self(env::temp_dir().join(format!("isolab-marker-{}", process::id())));
        fs::write(&marker.0, "of the host\n")?;
        Ok(marker)
    }

    fn written(&self) -> PathBuf {
        self.0.with_extension("written")
    }
}

impl Drop for MarkerFile {
    fn drop(&mut self) {
        // The second one is there only if something got out.
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(self.written());
    }
}

/// What was seen and whether it was the host's; `None` if that could not be determined.
type Answer = Option<(String, bool)>;
/// All answers, in the order of the metrics of [`Part::Probes`].
type Answers = Vec<Answer>;

fn ask(subject: &Subject, marker: &MarkerFile) -> Result<Answers, Error> {
    let mut shell = Workload::command(["sh", "-c", SCRIPT]).deadline(Duration::from_secs(10));
    shell.environment = vec![
        ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
        ("LAUNCHER".into(), process::id().to_string().into()),
        ("MARKER".into(), marker.0.clone().into()),
    ];
    // A sandbox that was asked before may have left it there.
    let _ = fs::remove_file(marker.written());
    match subject.sandbox.run(&shell) {
        Ok(outcome) => {
            let text = String::from_utf8_lossy(&ensure_success(outcome)?.output).into_owned();
            Ok(answers(&text, marker))
        }
        Err(error @ (sandbox::Error::Unsupported { .. } | sandbox::Error::NotFound { .. }))
            if subject.label == "microvm" =>
        {
            no_shell(subject, &error)
        }
        Err(error) => Err(error.into()),
    }
}

/// A bare machine has no kernel to ask; what can be counted are the VM exits of its program.
fn no_shell(subject: &Subject, error: &sandbox::Error) -> Result<Answers, Error> {
    let usage = ensure_success(subject.sandbox.run(&hello())?)?.usage;
    let nothing = |what: &str| Some((format!("none inside: {what}"), false));
    let exits = usage.vm_exits.iter().map(|each| format!("{} x {}", each.count, each.reason));
    let exits = exits.collect::<Vec<_>>().join(", ");
    let way_out = format!("no system call reaches the host; exits of `hello`: {exits}");
    Ok(vec![
        nothing(&chain(error)),
        nothing("no kernel that would number them"),
        nothing("no file system"),
        nothing("no device but the doorbell"),
        nothing("no kernel that would have one"),
        (!exits.is_empty()).then_some((way_out, false)),
    ])
}

fn answers(text: &str, marker: &MarkerFile) -> Answers {
    let all = |key: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    };
    let one = |key: &str| all(key).first().copied().filter(|answer| !answer.is_empty());
    let host = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let compared = |key: &str, path: &str| -> Answer {
        let (inside, outside) = (one(key)?, host(path)?);
        Some((inside.to_owned(), inside == outside))
    };
    // What was not said says something only of a script that came to its end, and what was not
    // listed only where the shell itself was.
    let is_over = !all("end").is_empty();
    let lists = one("pids").is_some_and(|pids| pids != "0");
    let read = all("marker").contains(&"read");
    let written = marker.written().exists();
    let files = match (read, written) {
        (true, true) => "reads and changes the host's files",
        (true, false) => "reads the host's files; what it writes is not on the host",
        (false, true) => "changes the host's files",
        (false, false) => "sees none of the host's files",
    };
    let launcher = all("launcher").contains(&"seen");
    let whose = if launcher { "the host's" } else { "all its own" };
    let filter = one("seccomp").map(|mode| match mode {
        "2" => "through a seccomp filter",
        _ => "all of them",
    });
    let capabilities = one("capabilities").and_then(|mask| u64::from_str_radix(mask, 16).ok());
    vec![
        compared("kernel", "/proc/sys/kernel/osrelease"),
        one("pids")
            .filter(|_| launcher || is_over && lists)
            .map(|pids| (format!("{pids} processes, {whose}"), launcher)),
        (read || written || is_over).then(|| (files.to_owned(), read || written)),
        one("devices")
            .zip(one("disks"))
            .filter(|_| lists)
            .map(|(all, disks)| (format!("{all}, disks among them: {disks}"), disks != "0")),
        compared("name", "/proc/sys/kernel/hostname"),
        filter.zip(capabilities).map(|(filter, mask)| {
            let count = mask.count_ones();
            // Filtered or not, it is the host's kernel that answers.
            (format!("system calls of the host's kernel, {filter}; {count} capabilities"), true)
        }),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Answers {
        answers(text, &MarkerFile(env::temp_dir().join("isolab-marker-that-does-not-exist")))
    }

    #[test]
    fn a_question_without_an_answer_is_not_answered_for_it() {
        assert!(seen("").iter().all(Option::is_none));
        let some = seen("kernel=0.0.0\npids=\ndisks=0\nend=\n");
        let exposed: Vec<_> = some.iter().map(|answer| answer.as_ref().map(|it| it.1)).collect();
        assert_eq!(exposed, [Some(false), None, Some(false), None, None, None]);
        // Without `ls` nothing is counted.
        let counted = seen("pids=0\ndevices=0\ndisks=0\nend=\n");
        assert!(counted[1].is_none() && counted[3].is_none(), "{counted:?}");
        // A script that broke off has seen what it has seen, and nothing more.
        let broken = seen("pids=200\nlauncher=seen\nmarker=read\n");
        let exposed: Vec<_> = broken.iter().map(|answer| answer.as_ref().map(|it| it.1)).collect();
        assert_eq!(exposed, [None, Some(true), Some(true), None, None, None]);
    }

    #[test]
    fn the_report_knows_the_same_probes() {
        let names = report::catalogue::PROBES.map(|probe| format!("{PROBE}{probe}"));
        assert_eq!(Part::Probes.metrics(), names);
    }

    #[test]
    fn all_answers_make_all_probes() {
        let text = "kernel=9\nname=x\npids=3\ndevices=12\ndisks=1\nseccomp=2\n\
                    capabilities=00000000000005fb\nend=\n";
        let words: Vec<_> = seen(text).into_iter().map(|answer| answer.unwrap().0).collect();
        assert_eq!(words.len(), Part::Probes.metrics().len());
        assert_eq!(words[1], "3 processes, all its own");
        assert!(words[5].ends_with("through a seccomp filter; 9 capabilities"), "{words:?}");
    }
}
