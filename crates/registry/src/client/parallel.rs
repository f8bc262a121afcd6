//! Several at the same time: a few threads take one layer after the other.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use super::Failure;

/// How many layers are transferred at the same time, as for Docker.
const PARALLEL: usize = 3;

/// Does `work` with each of `items` and its index. After a failure, the others learn that they are
/// to stop, and the first failure is returned.
pub(super) fn each<T: Sync>(
    items: &[T],
    work: impl Fn(usize, &T, &AtomicBool) -> Result<(), Failure> + Sync,
) -> Result<(), Failure> {
    let (next, is_stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let first_failure = Mutex::new(None);
    let take_all = || {
        while !is_stopped.load(Ordering::Relaxed) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(index) else { return };
            if let Err(failure) = work(index, item, &is_stopped) {
                // The others fail because they are stopped, which says nothing.
                let mut first = first_failure.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert(failure);
                is_stopped.store(true, Ordering::Relaxed);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..PARALLEL.min(items.len()) {
            scope.spawn(take_all);
        }
        take_all();
    });
    let first = first_failure.into_inner().unwrap_or_else(PoisonError::into_inner);
    first.map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_are_done_and_the_first_failure_is_told() {
        let done = AtomicUsize::new(0);
        let add = |_, number: &usize, _: &AtomicBool| {
            done.fetch_add(*number, Ordering::Relaxed);
            Ok(())
        };
        each(&[1, 2, 3, 4, 5], add).unwrap();
        each(&[], add).unwrap();
        assert_eq!(done.into_inner(), 15);
        let failed = each(&[0, 1, 2], |index, _, is_stopped: &AtomicBool| {
            if index == 1 {
                return Err(Failure::protocol("r.example", "the first"));
            }
            while !is_stopped.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            Err(Failure::Cancelled)
        });
        assert!(failed.unwrap_err().to_string().contains("the first"));
    }
}
