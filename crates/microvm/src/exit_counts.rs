//! Why a guest's processors left KVM_RUN, and how often.

use std::{
    cmp::Reverse,
    collections::{HashMap, VecDeque},
};

use sandbox::{ExitCount, ExitReason};

/// The exits of one guest. What a guest can make grow without end is bounded: after so many
/// different reasons the others are counted together.
#[derive(Debug, Default)]
pub struct ExitCounts {
    counts: HashMap<ExitReason, u64>,
    others: u64,
    last: VecDeque<ExitReason>,
}

impl ExitCounts {
    const REASONS: usize = 1024;
    const LAST: usize = 8;

    /// Counts one.
    pub fn count(&mut self, reason: ExitReason) {
        if self.last.len() == Self::LAST {
            self.last.pop_front();
        }
        self.last.push_back(reason.clone());
        self.add_so_many(reason, 1);
    }

    fn add_so_many(&mut self, reason: ExitReason, count: u64) {
        let full = self.counts.len() >= Self::REASONS;
        match self.counts.get_mut(&reason) {
            Some(own) => *own += count,
            None if full => self.others += count,
            None => drop(self.counts.insert(reason, count)),
        }
    }

    /// Each reason that is told apart, and how often it was.
    pub fn counts(&self) -> impl Iterator<Item = (&ExitReason, u64)> {
        self.counts.iter().map(|(reason, count)| (reason, *count))
    }

    /// Takes those of another processor of the same guest to its own.
    pub fn add(&mut self, other: Self) {
        for (reason, count) in other.counts {
            self.add_so_many(reason, count);
        }
        self.others += other.others;
    }

    /// How many exits KVM answered by itself, if it counted so many in `all`.
    pub fn in_kernel(&self, all: Option<u64>) -> Option<u64> {
        let seen: u64 = self.counts.values().sum::<u64>() + self.others;
        Some(all?.saturating_sub(seen))
    }

    /// The last few, the latest at the end.
    pub fn last(&self) -> Vec<ExitReason> {
        self.last.iter().cloned().collect()
    }

    /// How many there were of reasons that are not told apart.
    pub fn others(&self) -> u64 {
        self.others
    }

    /// All of them, the most frequent first.
    pub fn into_list(self) -> Vec<ExitCount> {
        let mut list: Vec<ExitCount> =
            self.counts.into_iter().map(|(reason, count)| ExitCount { reason, count }).collect();
        list.sort_by_cached_key(|each| (Reverse(each.count), each.reason.to_string()));
        if self.others > 0 {
            list.push(ExitCount { reason: ExitReason::Other("other".into()), count: self.others });
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_cannot_make_the_list_grow_without_end() {
        let mut exit_counts = ExitCounts::default();
        for address in 0..5000 {
            exit_counts.count(ExitReason::MmioRead { address });
        }
        assert_eq!(exit_counts.last().len(), ExitCounts::LAST);
        let list = exit_counts.into_list();
        assert_eq!(list.len(), ExitCounts::REASONS + 1);
        assert_eq!(list.iter().map(|each| each.count).sum::<u64>(), 5000);
    }
}
