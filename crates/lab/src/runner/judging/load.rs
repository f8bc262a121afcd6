//! A full load: a busy thread for each processor.

use std::{
    hint::black_box,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

/// The busy threads; dropping it ends them.
pub(crate) struct Load {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// From now on every processor has something else to do.
    pub(crate) fn start() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let busy = |_| {
            let over = Arc::clone(&over);
            thread::spawn(move || {
                let mut sum = 0_u64;
                while !over.load(Ordering::Relaxed) {
                    for number in 0..10_000 {
                        sum = black_box(sum.wrapping_add(number));
                    }
                }
            })
        };
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let threads = (0..processors).map(busy).collect();
        Self { over, threads }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It cannot have panicked: it only adds.
            let _ = thread.join();
        }
    }
}
