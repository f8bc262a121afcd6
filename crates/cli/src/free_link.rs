//! `isolab free-link`: the process that takes a Linux guest's rules back from the host. Started by its
//! launcher, never by hand.
//!
//! The launcher has closed itself into a cell before its guest runs: it has left the host's network and
//! can ask the kernel for nothing any more. This process has seen no byte of the guest's. It waits for
//! the launcher's end, whatever that is, and does then what the launcher cannot.

use std::{
    io::{self, Read as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{ChildStdin, ChildStdout, Command, Stdio},
};

use clap::Args;
use sandbox::{LedgerEntry, Resource};

use crate::failure::Failure;

/// What it says on standard output once the rules are gone.
const FREED: &[u8] = b"freed\n";

/// Remove the rules of a guest's link once standard input ends.
#[derive(Debug, Args)]
pub struct Arguments {
    table: String,
}

/// Does it.
pub fn free_link(arguments: &Arguments) -> Result<u8, Failure> {
    // The memory that it has used to come here is of no use while it waits.
    let _ = container::drop_clean_pages();
    let mut nothing = Vec::new();
    let waited = io::stdin().read_to_end(&mut nothing);
    waited.map_err(Failure::at("wait for the guest's end"))?;
    let resources = vec![Resource::Table(arguments.table.clone())];
    let entry = LedgerEntry { resources, ..LedgerEntry::new(String::new(), "linux", Vec::new()) };
    container::free_resources(&entry)?;
    // A launcher that was killed does not listen.
    let _ = io::stdout().write_all(FREED);
    Ok(0)
}

/// The launcher's side of it: dropping this has the rules removed, as the launcher's death has.
#[derive(Debug)]
pub struct LinkKeeper {
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl LinkKeeper {
    /// Starts it for a table of rules, before they are written.
    pub fn start(table: &str) -> Result<Self, Failure> {
        let failed = || Failure::at("start the process that removes the link's rules");
        let mut command = Command::new("/proc/self/exe");
        command.arg0("isolab").args(["free-link", table]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // A key that interrupts the launcher is not for it.
        let mut child = command.process_group(0).spawn().map_err(failed())?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let none = || failed()(io::Error::other("it has no pipes"));
        Ok(Self { input, output: output.ok_or_else(none)? })
    }

    /// Has the rules removed, and waits for that; whether it was done.
    pub fn free(&mut self) -> bool {
        drop(self.input.take());
        let mut answer = Vec::new();
        self.output.read_to_end(&mut answer).is_ok() && answer == FREED
    }
}

impl Drop for LinkKeeper {
    fn drop(&mut self) {
        if self.input.is_some() {
            self.free();
        }
    }
}
