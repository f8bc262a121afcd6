//! What a supervisor is told, and what it asks of its caller.

use sandbox::LedgerEntry;

/// How a run in the background is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name of its entry in the ledger.
    pub name: String,
    /// Whether it gets a terminal, and else pipes.
    pub terminal: bool,
    /// Whether its standard input stays open for clients; else it is empty. A terminal's always does.
    pub input: bool,
}

/// What the crates above this one do for a supervisor.
pub struct Callbacks<'a> {
    /// The program runs: tells whoever waits for that.
    pub started: &'a mut dyn FnMut(),
    /// A while has passed: what the start needed of memory can be given back.
    pub settled: &'a mut dyn FnMut(),
    /// The launcher has ended: frees what is left of the run.
    pub free: &'a mut dyn FnMut(&LedgerEntry),
}
