//! `isolab wait`: until a run in the background has ended.

use clap::Args;
use supervisor::Frame;

use crate::{background, failure::Failure, output};

/// Wait until background runs end, and print their exit codes.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Names, as `isolab ps` shows them
    #[arg(required = true)]
    names: Vec<String>,
}

/// Prints the codes in the order of the names. As with Docker, the exit code of this command says
/// whether it could wait.
pub fn wait(arguments: &Arguments) -> Result<u8, Failure> {
    for name in &arguments.names {
        output::print(&format!("{}\n", exit_code(name)?))?;
    }
    Ok(0)
}

fn exit_code(name: &str) -> Result<u8, Failure> {
    let what = "its exit code goes to the `isolab run` that waits for it";
    let (_, detached) = background::find_detached(name, what)?;
    if let Some(exit) = detached.exit {
        return Ok(exit.code);
    }
    let Some(mut client) = background::connect(name)? else {
        return background::recorded_exit(name);
    };
    loop {
        match client.receive() {
            Ok(Frame::Exit(code)) => return Ok(code),
            Ok(_) => {}
            Err(error) => return Err(background::lost(name, error)),
        }
    }
}
