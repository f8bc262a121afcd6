//! What can be seen from inside: the same questions asked in every sandbox, and the answers held
//! against the host's own.

use std::{
    env, fs,
    io::{self, Write},
    path::PathBuf,
    process,
    time::Duration,
};

use report::Probe;
use sandbox::{Builtin, Error, Workload};

use super::{
    measure::{Failure, Session},
    message::{Message, chain},
    startup::well,
    subjects::{AGAIN, LABELS, Subject},
};

/// The questions that a shell can answer. The launcher's number and a file of the host are the bait.
const SCRIPT: &str = r#"
echo "kernel=$(uname -r)"
echo "name=$(uname -n)"
echo "pids=$(ls /proc | grep -c '^[0-9]')"
if [ -d "/proc/$LAUNCHER" ]; then echo launcher=seen; fi
if [ -r "$BAIT" ]; then echo bait=read; fi
if echo changed > "$BAIT.written" 2> /dev/null; then echo bait=written; fi
echo "devices=$(ls /dev | grep -vc '^fd$\|^std')"
echo "disks=$(ls -l /dev | grep -c '^b')"
sed -n 's/^Seccomp:[^0-9]*/seccomp=/p; s/^CapEff:[^0-9a-f]*/capabilities=/p' /proc/self/status
"#;

/// What the probes are called in the records.
const PROBES: [&str; 6] = ["kernel", "pids", "host files", "devices", "host name", "way out"];

/// Asks in every sandbox and sends what was seen.
pub fn look<W: Write>(session: &mut Session<W>) -> io::Result<()> {
    let bait = Bait::lay()?;
    session.subjects.retain(|subject| subject.label != AGAIN);
    let mut found = Vec::new();
    for subject in &session.subjects {
        let seen = match ask(subject, &bait) {
            Ok(seen) => seen,
            Err(failure) => PROBES.map(|_| (format!("not seen: {}", failure.reason), false)).into(),
        };
        found.push((subject.label, seen));
    }
    for label in LABELS {
        let seen = found.iter().find(|(found, _)| *found == label);
        for (number, probe) in PROBES.iter().enumerate() {
            let Some((seen, exposed)) = seen.and_then(|(_, seen)| seen.get(number)) else {
                continue;
            };
            let (probe, sandbox) = ((*probe).to_owned(), label.to_owned());
            let (seen, exposed) = (seen.clone(), *exposed);
            session.sink.send(&Message::Probe(Probe { probe, sandbox, seen, exposed }))?;
        }
    }
    session.sink.send(&Message::Round)
}

/// A file of the host that nobody inside should see, and less so change.
struct Bait(PathBuf);

impl Bait {
    fn lay() -> io::Result<Self> {
        let bait = Self(env::temp_dir().join(format!("isolab-bait-{}", process::id())));
        fs::write(&bait.0, "of the host\n")?;
        Ok(bait)
    }

    fn written(&self) -> PathBuf {
        self.0.with_extension("written")
    }
}

impl Drop for Bait {
    fn drop(&mut self) {
        // The second one is there only if something got out.
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(self.written());
    }
}

/// What was seen and whether it was the host's, in the order of [`PROBES`].
type Seen = Vec<(String, bool)>;

fn ask(subject: &Subject, bait: &Bait) -> Result<Seen, Failure> {
    let mut shell = Workload::command(["sh", "-c", SCRIPT]).deadline(Duration::from_secs(10));
    shell.environment = vec![
        ("PATH".into(), "/usr/local/bin:/usr/bin:/bin".into()),
        ("LAUNCHER".into(), process::id().to_string().into()),
        ("BAIT".into(), bait.0.clone().into()),
    ];
    // Whoever was asked before may have left it there.
    let _ = fs::remove_file(bait.written());
    match subject.sandbox.run(&shell) {
        Ok(outcome) => {
            let text = String::from_utf8_lossy(&well(outcome)?.output).into_owned();
            Ok(answers(&text, bait))
        }
        Err(error @ (Error::Unsupported { .. } | Error::NotFound { .. })) => {
            no_shell(subject, &error)
        }
        Err(error) => Err(error.into()),
    }
}

/// A bare machine has no kernel to ask; what is left to count is how its program went to the host.
fn no_shell(subject: &Subject, error: &Error) -> Result<Seen, Failure> {
    let hello = Workload::builtin(Builtin::Hello, &[]).deadline(Duration::from_secs(10));
    let usage = well(subject.sandbox.run(&hello)?)?.usage;
    let nothing = |what: &str| (format!("none inside: {what}"), false);
    let exits = usage.crossings.iter().map(|way| format!("{} x {}", way.count, way.reason));
    let exits = exits.collect::<Vec<_>>().join(", ");
    Ok(vec![
        nothing(&chain(error)),
        nothing("no kernel that would number them"),
        nothing("no file system"),
        nothing("no device but the doorbell"),
        nothing("no kernel that would have one"),
        (format!("no system call reaches the host; exits of `hello`: {exits}"), false),
    ])
}

fn answers(text: &str, bait: &Bait) -> Seen {
    let all = |key: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
    };
    let one = |key: &str| all(key).first().copied().unwrap_or("unknown").to_owned();
    let host = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let read = all("bait").contains(&"read");
    let written = bait.written().exists();
    let files = match (read, written) {
        (true, true) => "reads and changes the host's files",
        (true, false) => "reads the host's files; what it writes is not on the host",
        (false, true) => "changes the host's files",
        (false, false) => "sees none of the host's files",
    };
    let launcher = all("launcher").contains(&"seen");
    let capabilities = u64::from_str_radix(&one("capabilities"), 16).unwrap_or(0).count_ones();
    let whose = if launcher { "the host's" } else { "all its own" };
    let filter = match &*one("seccomp") {
        "2" => "through a seccomp filter",
        _ => "all of them",
    };
    let disks = one("disks");
    vec![
        (one("kernel"), one("kernel") == host("/proc/sys/kernel/osrelease")),
        (format!("{} processes, {whose}", one("pids")), launcher),
        (files.to_owned(), read || written),
        (format!("{}, disks among them: {disks}", one("devices")), disks != "0"),
        (one("name"), one("name") == host("/proc/sys/kernel/hostname")),
        (
            format!("system calls of the host's kernel, {filter}; {capabilities} capabilities"),
            // Filtered or not, it is the host's kernel that answers.
            true,
        ),
    ]
}
