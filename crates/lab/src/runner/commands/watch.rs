//! `isolab lab watch`: build and check at every save.
//!
//! The times of the lab's files are read every 300 ms. The kernel could tell of changes itself
//! (inotify(7)), but not of those that another machine makes on a shared file system, as homes in
//! class often are; reading the times works on all of them.

use std::{
    collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::PathBuf, time::Duration,
};

use serde_json::json;

use super::check::{Options, check};
use crate::runner::{
    Answer, Error, Front, LabContext, Result, course::Lab,
    judging::check_process::is_readable_within,
};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(300);

/// What tells one state of a file from another.
type Stamps = BTreeMap<PathBuf, (i64, i64, u64, u64)>;

/// Checks now and at every save, until the user asks to stop.
///
/// # Errors
///
/// When the first check cannot be run because of what will not change by itself, such as a missing
/// cargo. What a save can mend is shown like a verdict.
pub fn watch(
    context: &LabContext,
    lab: &Lab,
    options: &Options,
    front: &mut dyn Front,
) -> Result<Answer> {
    let mut options = options.clone();
    let done = Answer { text: String::new(), json: json!(null), code: 0 };
    loop {
        let before = stamps(&folders(lab));
        match page(context, lab, &options, front) {
            Ok(answer) => front.page(&answer),
            Err(Error::Interrupted) => return Ok(done),
            Err(error) => return Err(error),
        }
        // A guess is made once; it was asked for, and left out.
        options.ask = false;
        options.predict.clear();
        if !wait(&folders(lab), before, front) {
            return Ok(done);
        }
    }
}

/// One check, and the line below it.
fn page(
    context: &LabContext,
    lab: &Lab,
    options: &Options,
    front: &mut dyn Front,
) -> Result<Answer> {
    let style = &context.style;
    let mut answer = match check(context, lab, options, front) {
        Err(
            error @ (Error::LabBroken { .. } | Error::Damaged { .. } | Error::CheckDied { .. }),
        ) => {
            let (said, fix) = (error.message(style.language), error.fix(style.language));
            let text = format!("isolab: {said}\n  {}\n", fix.unwrap_or_default());
            Answer { text, json: json!({ "lab": lab.id, "error": said }), code: error.code() }
        }
        answer => answer?,
    };
    let folder = context.as_typed(&lab.judged_file());
    let line = match style.either("en", "zh") {
        "en" => {
            format!("watching {}: looks at it every 300 ms; Ctrl-C to stop", folder.display())
        }
        _ => format!("正在留意 {}：每 300 毫秒看一次文件；Ctrl-C 结束", folder.display()),
    };
    answer.text += &format!("\n{}\n", style.dim(&line));
    Ok(answer)
}

/// Waits for a save; `false` if the user asks to stop.
fn wait(folders: &[PathBuf], before: Stamps, front: &dyn Front) -> bool {
    let mut known = stamps(folders);
    // What changed during the run was the check's doing, or the program's; a source that changed
    // was the student's, and what is on the screen is about an older one.
    let is_source = |path: &&PathBuf| path.extension().is_some_and(|it| it == "rs");
    let sources = |stamps: &Stamps| -> Vec<_> {
        stamps.keys().filter(is_source).map(|path| stamps[path]).collect()
    };
    if sources(&before) != sources(&known) {
        return !is_readable_within(front.end(), Duration::ZERO);
    }
    drop(before);
    loop {
        if is_readable_within(front.end(), INTERVAL) {
            return false;
        }
        let now = stamps(folders);
        if now != known {
            // An editor may be in the midst of it: wait until nothing moves.
            known = now;
            while !is_readable_within(front.end(), INTERVAL / 3) {
                let now = stamps(folders);
                if std::mem::replace(&mut known, now.clone()) == now {
                    return true;
                }
            }
            return false;
        }
    }
}

/// Where a lab's files are: the lab's own, and the student's.
fn folders(lab: &Lab) -> [PathBuf; 2] {
    [lab.folder.clone(), lab.work.clone()]
}

/// The files of these folders as they are now, without what editors keep for themselves.
fn stamps(folders: &[PathBuf]) -> Stamps {
    let mut stamps = Stamps::new();
    let mut waiting = folders.to_vec();
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_editors = name.starts_with(['.', '#']) || name.ends_with('~') || name == "4913";
            let Ok(about) = entry.metadata() else { continue };
            if is_editors || name == "target" {
                continue;
            }
            match about.is_dir() {
                true => waiting.push(entry.path()),
                false => {
                    let stamp = (about.mtime(), about.mtime_nsec(), about.size(), about.ino());
                    stamps.insert(entry.path(), stamp);
                }
            }
        }
    }
    stamps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_seen_and_an_editors_own_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("src/student.rs");
        fs::create_dir(folder.path().join("src")).unwrap();
        fs::write(&file, "one").unwrap();
        let folders = [folder.path().to_owned()];
        let before = stamps(&folders);
        fs::write(folder.path().join("src/.student.rs.swp"), "").unwrap();
        fs::write(folder.path().join("src/student.rs~"), "").unwrap();
        assert_eq!(stamps(&folders), before);
        // As most editors save: another file takes the name.
        let draft = folder.path().join("draft");
        fs::write(&draft, "two").unwrap();
        fs::rename(draft, &file).unwrap();
        assert_ne!(stamps(&folders), before);
    }
}
