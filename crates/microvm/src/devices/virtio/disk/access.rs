//! How a guest may use a disk.

/// A disk is read and written in such pieces.
pub const SECTOR: u64 = 512;

/// What a guest may do with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read it; so may other guests at the same time.
    Read,
    /// Read and write it, alone.
    Write,
}

impl std::fmt::Display for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Read => "reading",
            Self::Write => "writing",
        })
    }
}
