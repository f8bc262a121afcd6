//! The launcher of a virtual machine closes itself around it: see [`microvm::cell`].

use microvm::cell::{self, Role, Walls};
use sandbox::{Limits, Outcome, Trace, TraceEntry};

use crate::{failure::Failure, kinds::Kind};

/// The cell of a launcher that runs one machine; of one that runs something else, nothing.
pub struct Cell {
    is_needed: bool,
    trace: Trace,
}

/// Whether a launcher of this kind is the monitor of a virtual machine.
pub fn is_needed(kind: Kind) -> bool {
    matches!(kind, Kind::Microvm | Kind::Linux)
}

impl Cell {
    /// Closes the process, before its machine is started. What its user has named is open by now.
    pub fn close(kind: Kind, limits: &Limits, is_traced: bool) -> Result<Self, Failure> {
        let mut trace = Trace::new(is_traced);
        let walls = match kind {
            Kind::Linux => Walls::All,
            _ => Walls::Cheap,
        };
        let is_needed = is_needed(kind);
        if is_needed {
            cell::enter_process(limits, walls, &mut trace)?;
        }
        Ok(Self { is_needed, trace })
    }

    /// Closes the calling thread, which from here on waits for the machine and tells of it.
    pub fn wait_inside(&mut self) -> Result<(), Failure> {
        if self.is_needed {
            cell::enter(Role::Monitor, &mut self.trace)?;
        }
        Ok(())
    }

    /// Puts its events before those of the machine.
    pub fn tell(self, outcome: &mut Outcome) {
        let own: Vec<TraceEntry> = self.trace.entries;
        outcome.trace.entries.splice(0..0, own);
    }
}
