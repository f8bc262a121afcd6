//! What a container does to its files, and what overlayfs made of it.
//!
//! The calls are made from outside, on the container's root: they go through the same mount as its
//! own.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    time::Instant,
};

use container::layer::{is_whiteout, opaque_mark};

use super::{
    LastChange,
    directory::{APPLICATION, DATABASE, LIBRARIES, OverlayContainer},
};
use crate::{Error, Result};

/// How many files a container may create: more would not fit on the screen.
pub(super) const MOST_NOTES: usize = 3;

/// Makes a file that no layer has.
pub(super) fn create(container: &OverlayContainer) -> Result<LastChange> {
    let merged = container.merged()?;
    let free = notes().find(|name| !is_there(&merged.join(name)));
    let Some(path) = free else { return Ok(LastChange::Enough) };
    let made = File::create_new(merged.join(&path));
    made.and_then(|mut file| file.write_all(b"by this one\n"))
        .map_err(Error::system(format!("create {path} in the container")))?;
    Ok(LastChange::Created { path })
}

/// Changes a byte of a file of the image.
pub(super) fn write(container: &OverlayContainer) -> Result<LastChange> {
    let (upper, merged) = (container.upper().join(DATABASE), container.merged()?.join(DATABASE));
    let path = DATABASE.to_owned();
    let copied_before = is_there(&upper);
    let began = Instant::now();
    let opened = File::options().write(true).open(merged);
    opened
        .and_then(|file| file.write_all_at(b"x", 0))
        .map_err(Error::system(format!("write to {path} in the container")))?;
    let microseconds = began.elapsed().as_micros() as u64;
    if copied_before {
        return Ok(LastChange::Written { path, microseconds });
    }
    let copy = fs::symlink_metadata(&upper);
    let copy = copy.map_err(Error::system(format!("look at the copy {}", upper.display())))?;
    Ok(LastChange::CopiedUp { path, bytes: copy.len(), microseconds })
}

/// Deletes a file of the image; when that is gone, one that the container made.
pub(super) fn delete(container: &OverlayContainer) -> Result<LastChange> {
    let merged = container.merged()?;
    let mut candidates = [APPLICATION.to_owned()].into_iter().chain(notes());
    let found = candidates.find(|name| is_there(&merged.join(name)));
    let Some(path) = found else { return Ok(LastChange::Enough) };
    fs::remove_file(merged.join(&path))
        .map_err(Error::system(format!("delete {path} in the container")))?;
    Ok(match is_whiteout(&container.upper().join(&path)) {
        true => LastChange::Hidden { path },
        false => LastChange::Removed { path },
    })
}

/// Deletes a directory of the image, and creates it again with one file.
pub(super) fn replace(container: &OverlayContainer) -> Result<LastChange> {
    let merged = container.merged()?;
    let (path, file) = LIBRARIES;
    let replaced = || {
        if is_there(&merged.join(path)) {
            fs::remove_dir_all(merged.join(path))?;
        }
        fs::create_dir(merged.join(path))?;
        fs::write(merged.join(file), "another\n")
    };
    replaced().map_err(Error::system(format!("replace {path} in the container")))?;
    let unmarked = || io::Error::other("it is missing or unreadable");
    let mark = opaque_mark(&container.upper().join(path)).ok_or_else(unmarked);
    let mark = mark.map_err(Error::system(format!("read the opaque mark of {path} in upper")))?;
    Ok(LastChange::Replaced { path: format!("{path}/"), mark: mark.to_owned() })
}

/// The files that a container makes.
fn notes() -> impl Iterator<Item = String> {
    (1..=MOST_NOTES).map(|number| format!("note-{number}"))
}

fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}
