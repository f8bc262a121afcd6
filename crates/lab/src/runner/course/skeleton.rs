//! The student's file as it was at first, kept for `reset`.

use std::path::PathBuf;

use super::{Course, Lab};
use crate::runner::{Book, Error, Result, progress::clock};

/// Keeps the pristine file, unless that was done before.
pub(crate) fn keep(book: &Book, course: &Course, lab: &Lab) -> Result<()> {
    let kept = kept_at(book, lab)?;
    if kept.exists() {
        return Ok(());
    }
    let text = match pristine(course, lab) {
        Some(text) => text,
        None => lab.owner.read(&lab.student()).map_err(Error::file("read", lab.student()))?,
    };
    book.write(&kept, &text)
}

/// Whether the student's file differs from the one that git has; `None` without git.
pub(crate) fn is_edited(course: &Course, lab: &Lab) -> Option<bool> {
    let pristine = pristine(course, lab)?;
    Some(lab.owner.read(&lab.student()).ok()? != pristine)
}

/// The file as git has it.
fn pristine(course: &Course, lab: &Lab) -> Option<Vec<u8>> {
    let path = lab.student();
    let path = path.strip_prefix(&course.root).ok()?.to_str()?.to_owned();
    let mut git = course.toolchain.command("git");
    let shown = git.args(["show", &format!(":./{path}")]).output().ok()?;
    (shown.status.success() && !shown.stdout.is_empty()).then_some(shown.stdout)
}

/// Puts the file that is judged back as it was; gives where the student's text is now.
pub(crate) fn put_back(book: &Book, course: &Course, lab: &Lab) -> Result<PathBuf> {
    keep(book, course, lab)?;
    let (kept, student) = (kept_at(book, lab)?, lab.judged_file());
    let text = match pristine(course, lab) {
        Some(text) => text,
        None => book.read_file(&kept).map_err(Error::file("read", &kept))?,
    };
    let own = lab.owner.read(&student).unwrap_or_default();
    let backup = book.folder_for("backups")?;
    let backup = backup.join(format!("{}-{}.rs", lab.full_name(), clock::seconds()));
    book.write(&backup, &own)?;
    lab.owner.write(&student, &text).map_err(Error::file("write", &student))?;
    Ok(backup)
}

fn kept_at(book: &Book, lab: &Lab) -> Result<PathBuf> {
    Ok(book.folder_for("skeletons")?.join(format!("{}.rs", lab.full_name())))
}
