//! Keeps other processes from reading this process's memory.
//!
//! Until it executes its program, the child has its launcher's memory. Other processes in a shared
//! pid namespace could open that memory and take over the launcher, unless it is not dumpable
//! (PR_SET_DUMPABLE(2const)); only a process with `CAP_SYS_PTRACE` on the host is exempt.

use std::sync::{Mutex, PoisonError};

use nix::sys::prctl::{get_dumpable, set_dumpable};

/// While one lives, no process without `CAP_SYS_PTRACE` may open the memory of this one.
#[derive(Debug)]
pub(crate) struct Undumpable(());

/// How many there are, in all threads, and the value before the first one.
static SET: Mutex<(usize, bool)> = Mutex::new((0, true));

impl Undumpable {
    pub(crate) fn set() -> Self {
        let mut set = SET.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, before) = &mut *set;
        if *count == 0 {
            *before = get_dumpable().unwrap_or(true);
            // It fails for no value of this type.
            let _ = set_dumpable(false);
        }
        *count += 1;
        Self(())
    }
}

impl Drop for Undumpable {
    fn drop(&mut self) {
        let mut set = SET.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, before) = &mut *set;
        *count -= 1;
        if *count == 0 {
            let _ = set_dumpable(*before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_restores_what_was() {
        let (one, other) = (Undumpable::set(), Undumpable::set());
        drop(one);
        assert!(!get_dumpable().unwrap());
        drop(other);
    }
}
