//! What a comparison and its measuring processes are asked for.

use crate::{Part, peers::PeerSet};

/// A whole comparison.
#[derive(Debug, Clone, Copy)]
pub struct CompareOptions {
    /// Fewer rounds and smaller workloads.
    pub quick: bool,
    /// Seed of every random choice, such as the order of the sandboxes.
    pub seed: u64,
    /// Rounds in each process; the default depends on the part.
    pub rounds: Option<u32>,
    /// The programs of others that take part.
    pub peers: PeerSet,
    /// How many instances at once, with a curve of memory and start-up; the default is the part's.
    pub density: Option<u32>,
}

/// One measuring process: one part of the comparison.
#[derive(Debug, Clone, Copy)]
pub struct MeasureOptions {
    /// The part of the comparison.
    pub part: Part,
    /// The number of the process among those that measure this part.
    pub process: u32,
    /// How many processes measure it in the same nest, one after the other; 1 elsewhere.
    pub processes: u32,
    /// Seed of the order of the sandboxes.
    pub seed: u64,
    /// Fewer rounds and smaller workloads.
    pub quick: bool,
    /// Rounds that count; the default depends on the part.
    pub rounds: Option<u32>,
    /// Whether the process runs in a nest.
    pub in_nest: bool,
    /// The programs of others that take part, if it is a part in which they do.
    pub peers: PeerSet,
    /// How many instances at once, if it is the part of that.
    pub density: Option<u32>,
}
