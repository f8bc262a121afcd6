//! A call that was not on a thread's list, as it is reported.

use std::fmt;

use super::role::Role;

/// A thread of a machine asked for a system call that its role has no use for: somebody else is in
/// it, or isolab has a bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Breach {
    /// The thread's role.
    pub role: Role,
    /// The number of the call (`asm/unistd_64.h`).
    pub call: i64,
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (role, call) = (self.role.name(), self.call);
        write!(formatter, "the {role} thread asked for system call {call}, which its cell refuses")
    }
}
