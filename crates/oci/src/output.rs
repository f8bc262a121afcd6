//! Standard output. Whoever reads it may stop, which is an error and not a panic.

use std::{
    fmt,
    io::{self, Write as _},
};

use crate::error::{Result, file};

/// Prints a line.
pub(crate) fn line(text: fmt::Arguments<'_>) -> Result<()> {
    let mut to = io::stdout().lock();
    to.write_fmt(format_args!("{text}\n")).map_err(file("write to", "standard output"))
}
