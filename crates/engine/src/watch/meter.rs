//! Counts the bytes of a stream, and records them, but not each of a million small pieces.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use super::{BytesRecord, StreamName, Watch, WatchEvent, hide_in};

/// How many bytes of a piece are shown.
const SHOWN: usize = 256;
/// How many records a stream may have at once, and how long it takes until it may have one more. What
/// is only counted has one at once.
const BURST: u32 = 32;
const REFILL: Duration = Duration::from_millis(50);

/// A stream that may be watched.
#[derive(Debug)]
pub struct Meter {
    watch: Arc<Watch>,
    connection: Option<u64>,
    container: Option<String>,
    stream: StreamName,
    /// Whether its bytes are for people to see.
    is_shown: bool,
    total: u64,
    /// What was counted and is not recorded yet, and how it begins.
    pending: u64,
    text: Vec<u8>,
    /// How many records it may have now, and since when.
    left: u32,
    since: Instant,
}

impl Meter {
    /// A meter of `stream`. What is not `is_shown` is only counted.
    pub fn new(
        watch: &Arc<Watch>,
        (connection, container): (Option<u64>, Option<String>),
        stream: StreamName,
        is_shown: bool,
    ) -> Self {
        let watch = Arc::clone(watch);
        let left = if is_shown { BURST } else { 1 };
        let (pending, text, since) = (0, Vec::new(), Instant::now());
        Self {
            watch,
            connection,
            container,
            stream,
            is_shown,
            total: 0,
            pending,
            text,
            left,
            since,
        }
    }

    /// The stream has carried these bytes.
    pub fn count(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        if !self.watch.is_watched() {
            return;
        }
        self.pending += bytes.len() as u64;
        if self.is_shown && self.text.len() < SHOWN {
            let room = SHOWN - self.text.len();
            self.text.extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
        let refills = u32::try_from(self.since.elapsed().as_millis() / REFILL.as_millis());
        let refills = refills.unwrap_or(BURST);
        if refills > 0 {
            self.since = Instant::now();
            let most = if self.is_shown { BURST } else { 1 };
            self.left = self.left.saturating_add(refills).min(most);
        }
        if self.left > 0 {
            self.left -= 1;
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.pending == 0 {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let text = self.is_shown.then(|| {
            let mut text = String::from_utf8_lossy(&text).into_owned();
            hide_in(&mut text);
            text
        });
        let (stream, bytes, total) = (self.stream, std::mem::take(&mut self.pending), self.total);
        let event = WatchEvent::Bytes(BytesRecord { stream, text, bytes, total });
        self.watch.publish(self.connection, self.container.clone(), event);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_small_pieces_are_few_records_and_no_byte_is_missing() {
        let watch = Arc::new(Watch::default());
        let mut watcher = watch.listen();
        let mut meter = Meter::new(&watch, (Some(1), None), StreamName::Stdout, true);
        for _ in 0..100_000 {
            meter.count(b"password=x1y\n");
        }
        drop(meter);
        let (mut records, mut bytes) = (0, 0);
        while bytes < 1_300_000 {
            let record = watcher.next().await.unwrap();
            let WatchEvent::Bytes(piece) = &record.event else { panic!("{record:?}") };
            assert!(!piece.text.as_deref().unwrap().contains("x1y"));
            (records, bytes) = (records + 1, bytes + piece.bytes);
            assert_eq!(piece.total, bytes);
        }
        assert_eq!(bytes, 1_300_000);
        assert!(records < 500, "{records}");
    }

    #[tokio::test]
    async fn what_is_typed_at_a_terminal_is_only_counted() {
        let watch = Arc::new(Watch::default());
        let mut watcher = watch.listen();
        Meter::new(&watch, (None, None), StreamName::Stdin, false).count(b"hunter2\n");
        let record = watcher.next().await.unwrap();
        let WatchEvent::Bytes(piece) = &record.event else { panic!("{record:?}") };
        assert_eq!((piece.text.as_deref(), piece.bytes), (None, 8));
    }
}
