//! `isolab list`: the built-in programs.

use crate::{failure::Failure, output, program};

/// Prints the built-in programs with their arguments.
pub fn list() -> Result<u8, Failure> {
    output::print(&format!(
        "Built-in programs, each the same in every sandbox:\n{}",
        program::builtins()
    ))?;
    Ok(0)
}
