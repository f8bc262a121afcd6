//! What a container does to its files, and what overlayfs made of it.
//!
//! The calls are made from outside, on the container's root: they go through the same mount as its
//! own.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    time::Instant,
};

use container::layer::{is_whiteout, opaque_mark};

use super::{
    LastChange,
    directory::{OverlayContainer, Targets},
    inside::{Inside, is_there},
};
use crate::{Error, Result};

/// A link that has taken the file's place is not followed.
const NO_LINK: i32 = nix::libc::O_NOFOLLOW;

/// How many files a container may create: more would not fit on the screen.
pub(super) const MOST_NOTES: usize = 3;

/// Makes a file that no layer has.
pub(super) fn create(container: &OverlayContainer) -> Result<LastChange> {
    let merged = container.merged()?;
    let free = notes().find(|name| !is_there(&merged, name));
    let Some(path) = free else { return Ok(LastChange::Enough) };
    let made = Inside::of(&merged, &path).and_then(|inside| File::create_new(inside.path()));
    made.and_then(|mut file| file.write_all(b"by this one\n"))
        .map_err(Error::system(format!("create {path} in the container")))?;
    Ok(LastChange::Created { path })
}

/// Changes a byte of a file of the image.
pub(super) fn write(container: &OverlayContainer, targets: &Targets) -> Result<LastChange> {
    let merged = container.merged()?;
    let found = targets.written.clone().filter(|path| is_there(&merged, path));
    let Some(path) = found else { return Ok(LastChange::Enough) };
    let upper = container.upper();
    let copied_before = is_there(&upper, &path);
    let failed = || Error::system(format!("write to {path} in the container"));
    let inside = Inside::of(&merged, &path).map_err(failed())?;
    let began = Instant::now();
    let opened = File::options().write(true).custom_flags(NO_LINK).open(inside.path());
    opened.and_then(|file| file.write_all_at(b"x", 0)).map_err(failed())?;
    let microseconds = began.elapsed().as_micros() as u64;
    if copied_before {
        return Ok(LastChange::Written { path, microseconds });
    }
    let copy = Inside::of(&upper, &path).and_then(|inside| inside.metadata());
    let copy = copy.map_err(Error::system(format!("look at the copy {path} in upper")))?;
    Ok(LastChange::CopiedUp { path, bytes: copy.len(), microseconds })
}

/// Deletes a file of the image; when that is gone, one that the container made.
pub(super) fn delete(container: &OverlayContainer, targets: &Targets) -> Result<LastChange> {
    let merged = container.merged()?;
    let mut candidates = targets.deleted.clone().into_iter().chain(notes());
    let found = candidates.find(|name| is_there(&merged, name));
    let Some(path) = found else { return Ok(LastChange::Enough) };
    Inside::of(&merged, &path)
        .and_then(|inside| fs::remove_file(inside.path()))
        .map_err(Error::system(format!("delete {path} in the container")))?;
    let is_hidden = Inside::of(&container.upper(), &path).is_ok_and(|it| is_whiteout(&it.path()));
    Ok(if is_hidden { LastChange::Hidden { path } } else { LastChange::Removed { path } })
}

/// Deletes a directory of the image, and creates it again with one file.
pub(super) fn replace(container: &OverlayContainer, targets: &Targets) -> Result<LastChange> {
    let merged = container.merged()?;
    let Some((path, file)) = &targets.replaced else { return Ok(LastChange::Enough) };
    let replaced = || {
        let inside = Inside::of(&merged, path)?;
        let directory = inside.path();
        if fs::symlink_metadata(&directory).is_ok() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir(&directory)?;
        let name = Path::new(file).file_name().ok_or(io::ErrorKind::InvalidInput)?;
        fs::write(directory.join(name), "another\n")
    };
    replaced().map_err(Error::system(format!("replace {path} in the container")))?;
    let unmarked = || io::Error::other("it is missing or unreadable");
    let upper = Inside::of(&container.upper(), path);
    let mark = upper.and_then(|inside| opaque_mark(&inside.path()).ok_or_else(unmarked));
    let mark = mark.map_err(Error::system(format!("read the opaque mark of {path} in upper")))?;
    Ok(LastChange::Replaced { path: format!("{path}/"), mark: mark.to_owned() })
}

/// The files that a container makes.
fn notes() -> impl Iterator<Item = String> {
    (1..=MOST_NOTES).map(|number| format!("note-{number}"))
}
