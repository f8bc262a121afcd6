//! `isolab completions`: what a shell needs to complete the words of this command.

use clap::{Args, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::{Isolab, failure::Failure, output};

/// Print the completions for a shell.
#[derive(Debug, Args)]
#[command(after_help = "For this session of bash:  source <(isolab completions bash)")]
pub struct Arguments {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub fn completions(arguments: &Arguments) -> Result<u8, Failure> {
    let mut script = Vec::new();
    generate(arguments.shell, &mut Isolab::command(), "isolab", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(0)
}
