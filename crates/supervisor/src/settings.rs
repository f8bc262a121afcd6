//! The settings of a supervisor, and its callbacks.

use sandbox::LedgerEntry;

/// The settings of a run in the background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name of its entry in the ledger.
    pub name: String,
    /// Whether it gets a terminal instead of pipes.
    pub terminal: bool,
    /// Whether its standard input stays open for clients; otherwise it is empty. That of a terminal
    /// always stays open.
    pub input: bool,
}

/// The callbacks of a supervisor, implemented by the crates above this one.
pub struct Callbacks<'a> {
    /// Called when the program runs, to tell the waiting command.
    pub started: &'a mut dyn FnMut(),
    /// Called some time after the start, to reclaim the memory that only the start needed.
    pub settled: &'a mut dyn FnMut(),
    /// Called when the launcher has ended, to free what is left of the run.
    pub free: &'a mut dyn FnMut(&LedgerEntry),
}
