//! What the program writes itself.

use std::{
    collections::VecDeque,
    io::Read,
    sync::{Arc, Mutex},
    thread::JoinHandle,
};

use crate::visible::visible;

/// The last bytes that a program wrote itself.
#[derive(Debug, Clone, Default)]
pub(in crate::check) struct Tail(Arc<Mutex<VecDeque<u8>>>);

impl Tail {
    const MOST: usize = 4096;

    /// Takes all that comes out of `source`.
    pub(in crate::check) fn follow(
        &self,
        mut source: impl Read + Send + 'static,
    ) -> JoinHandle<()> {
        let tail = self.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = source.read(&mut buffer) {
                let Ok(mut kept) = tail.0.lock() else { break };
                kept.extend(&buffer[..read]);
                let over = kept.len().saturating_sub(Self::MOST);
                kept.drain(..over);
            }
        })
    }

    pub(in crate::check) fn lines(&self) -> Vec<String> {
        let Ok(kept) = self.0.lock() else { return Vec::new() };
        let bytes: Vec<u8> = kept.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<String> = text.lines().map(visible).collect();
        lines[lines.len().saturating_sub(10)..].to_vec()
    }
}
