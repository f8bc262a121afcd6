//! `isolab lab export`: one student's table, for the teacher.

use std::{collections::BTreeMap, fs, io::Write as _, path::Path};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::runner::{
    Answer, Error, LabContext, LocalUser, Result,
    course::Lab,
    output::text::clean,
    progress::{Guess, Record, State, clock},
};

/// The version of the file.
pub(crate) const VERSION: u32 = 1;

/// What one student has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Export {
    /// The version of the file.
    pub(crate) isolab_labs: u32,
    /// That of isolab.
    pub(crate) isolab: String,
    /// Who it is.
    pub(crate) student: String,
    /// When it was made.
    pub(crate) made: String,
    /// The host, in short.
    pub(crate) host: Host,
    /// The labs, by number.
    pub(crate) labs: BTreeMap<String, Exported>,
}

/// A host in short.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Host {
    pub(crate) kernel: String,
    pub(crate) processors: usize,
    pub(crate) kvm: bool,
    pub(crate) cgroups: String,
}

/// What was done of one lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Exported {
    pub(crate) name: String,
    pub(crate) state: State,
    pub(crate) attempts: u32,
    pub(crate) passed: Option<String>,
    pub(crate) revealed: Option<String>,
    pub(crate) failures: BTreeMap<String, u32>,
    pub(crate) guesses: BTreeMap<String, Guess>,
    /// The student's file, of a lab that was begun.
    #[serde(default)]
    pub(crate) answer: Option<String>,
}

impl Exported {
    fn of(lab: &Lab, record: Record) -> Self {
        let begun = record.begun.is_some();
        let answer = || lab.owner.read_text(&lab.judged_file()).ok();
        Self {
            name: lab.name.clone(),
            answer: begun.then(answer).flatten(),
            state: record.state(),
            attempts: record.attempts,
            passed: record.passed,
            revealed: record.revealed,
            failures: record.failures,
            guesses: record.guesses,
        }
    }
}

/// Gives the table, or writes it to a file.
///
/// # Errors
///
/// When the progress cannot be read, or the file not written.
pub fn export(context: &LabContext, student: Option<&str>, out: Option<&Path>) -> Result<Answer> {
    let progress = context.progress()?;
    let labs = context.course.labs.iter();
    let export = Export {
        isolab_labs: VERSION,
        isolab: env!("CARGO_PKG_VERSION").to_owned(),
        student: student.map_or_else(|| LocalUser::caller().name, clean),
        made: clock::now(),
        host: host(),
        labs: labs.map(|lab| (lab.id.clone(), Exported::of(lab, progress.of(&lab.id)))).collect(),
    };
    let json = serde_json::to_value(&export).expect("it has only plain values");
    let Some(out) = out else {
        return Ok(Answer { text: format!("{json:#}\n"), json, code: 0 });
    };
    write(out, format!("{json:#}\n").as_bytes())?;
    let text = match context.style.either("en", "zh") {
        "en" => format!("send {} to your teacher\n", out.display()),
        _ => format!("已写入 {}，交给老师即可\n", out.display()),
    };
    Ok(Answer { text, json: json!({ "written": out }), code: 0 })
}

/// Writes a file of the caller's: whole, or not at all.
pub(crate) fn write(path: &Path, text: &[u8]) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let write = || {
        let mut draft = tempfile::NamedTempFile::new_in(folder)?;
        draft.write_all(text)?;
        draft.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        draft.persist(path)?;
        Ok(())
    };
    LocalUser::caller().acting(write).map_err(Error::file("write", path))
}

fn host() -> Host {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Host {
        kernel: kernel.trim().to_owned(),
        processors: std::thread::available_parallelism().map_or(1, usize::from),
        kvm: microvm::available().is_ok(),
        cgroups: format!("{:?}", container::host().cgroup_layout).to_lowercase(),
    }
}
