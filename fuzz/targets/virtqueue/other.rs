//! Another processor of the guest's, which changes memory while the device reads it.
//!
//! What a device has looked at may be another thing when it looks again. Which of the two it sees is
//! chance, so an input that is found may have to be tried more than once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
};

use vm_memory::{Bytes as _, GuestAddress};

use crate::{GUEST, guarded::MEMORY};

/// How many places it changes in turn.
const PLACES: usize = 16;

/// It works until it is dropped.
pub struct Processor {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Processor {
    /// It exchanges words of memory for others, both from what the guest does: three bytes each.
    pub fn at_work(acts: &[u8]) -> Self {
        let word = |bytes: &[u8]| u16::from_le_bytes([bytes[0], bytes[1]]);
        let changes: Vec<(GuestAddress, u16)> = acts
            .windows(3)
            .map(|bytes| (usize::from(word(bytes)) % (MEMORY / 2) * 2, word(&bytes[1..])))
            .map(|(at, value)| (GuestAddress(at as u64), value))
            .take(PLACES)
            .collect();
        let ended = Arc::<AtomicBool>::default();
        let over = ended.clone();
        let thread = thread::spawn(move || {
            while !over.load(Relaxed) {
                for (at, value) in &changes {
                    let before = GUEST.load::<u16>(*at, Relaxed).unwrap_or(0);
                    let _ = GUEST.store(*value, *at, Relaxed);
                    let _ = GUEST.store(before, *at, Relaxed);
                }
                thread::yield_now();
            }
        });
        Self { ended, thread: Some(thread) }
    }
}

impl Drop for Processor {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
