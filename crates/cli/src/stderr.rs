//! Standard error, which somebody may have closed or which may lead elsewhere by now.

use std::{fs::File, io, os::fd::AsFd, sync::OnceLock};

use crate::blocking::write;

/// Where standard error led before it was given away.
static ERRORS: OnceLock<File> = OnceLock::new();

/// Keeps standard error for [`remark`], whatever becomes of its descriptor.
pub fn keep() -> io::Result<()> {
    let kept = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    ERRORS.get_or_init(|| kept);
    Ok(())
}

/// Writes `text` to standard error, if anybody reads it.
pub fn remark(text: &str) {
    let _ = match ERRORS.get() {
        Some(kept) => write(kept, text),
        None => write(io::stderr(), text),
    };
}
