//! Looking inside: what clients ask for, what they are answered, the calls that make a container, and
//! the bytes of its streams, on one time line.
//!
//! ```text
//!   client ──request──> api ──> launcher ── its trace ──┐
//!     <───answer────────┘ └── attachment ── bytes ──────┼──> Watch ──> GET /isolab/watch
//!             `── requests and answers ─────────────────┘     bounded: who is slow loses records
//! ```
//!
//! While nobody watches, each place where something could be recorded loads one atomic number.

pub mod client;
mod frames;
mod meter;
mod query;
mod record;
mod secrets;
pub mod stream;
mod trace;
pub mod words;

use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

use sandbox::monotonic_now;
use serde_json::Value;
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

pub use frames::FrameReader;
pub use meter::Meter;
pub use record::{
    AnswerRecord, BytesRecord, RequestRecord, StepRecord, StreamName, WatchEvent, WatchRecord,
};
pub use secrets::{hide_in, hide_in_query, is_credential};
pub(crate) use trace::{LaunchTrace, TRACE};

/// How many records a watcher may be behind before it loses some.
const BACKLOG: usize = 1024;
/// How long a body may be, in bytes of its text, to be shown.
const MAX_BODY: usize = 16 << 10;
/// How long one may be to be looked at.
pub const MAX_READ: usize = 256 << 10;

/// Where everything goes that is recorded.
#[derive(Debug)]
pub struct Watch {
    watchers: AtomicUsize,
    connections: AtomicU64,
    sender: broadcast::Sender<Arc<WatchRecord>>,
    /// Whether the daemon ends.
    closed: watch::Sender<bool>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            watchers: AtomicUsize::new(0),
            connections: AtomicU64::new(0),
            sender: broadcast::channel(BACKLOG).0,
            closed: watch::Sender::new(false),
        }
    }
}

/// The number of a client's connection, since the daemon began. Its requests have it among their
/// extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionNumber(pub u64);

impl Watch {
    /// Whether anybody watches.
    pub fn is_watched(&self) -> bool {
        self.watchers.load(Relaxed) > 0
    }

    /// The number of a new connection.
    pub fn connection(&self) -> ConnectionNumber {
        ConnectionNumber(self.connections.fetch_add(1, Relaxed) + 1)
    }

    /// Records something that happens now. It never waits.
    pub fn publish(&self, connection: Option<u64>, container: Option<String>, event: WatchEvent) {
        self.publish_record(WatchRecord {
            time: monotonic_now().as_secs_f64(),
            connection,
            container,
            event,
        });
    }

    pub(crate) fn publish_record(&self, record: WatchRecord) {
        if self.is_watched() {
            // It fails only if the last one has gone just now.
            let _ = self.sender.send(Arc::new(record));
        }
    }

    /// The daemon ends: nobody need wait for more.
    pub fn close(&self) {
        self.closed.send_replace(true);
    }

    /// Waits until the daemon ends.
    pub async fn closed(&self) {
        let mut closed = self.closed.subscribe();
        // It fails only if the sender has gone, and that is here.
        let _ = closed.wait_for(|is_closed| *is_closed).await;
    }

    /// Everything from now on.
    pub fn listen(self: &Arc<Self>) -> Watcher {
        let receiver = self.sender.subscribe();
        self.watchers.fetch_add(1, Relaxed);
        Watcher { watch: Arc::clone(self), receiver }
    }
}

/// Somebody who watches.
#[derive(Debug)]
pub struct Watcher {
    watch: Arc<Watch>,
    receiver: broadcast::Receiver<Arc<WatchRecord>>,
}

impl Watcher {
    /// The next record; how many were lost instead of one, if this is too slow.
    pub async fn next(&mut self) -> Result<Arc<WatchRecord>, u64> {
        match self.receiver.recv().await {
            Ok(record) => Ok(record),
            Err(RecvError::Lagged(lost)) => Err(lost),
            // The sender is in `watch`, which is alive.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.watch.watchers.fetch_sub(1, Relaxed);
    }
}

/// A body as it may be shown: without secrets; `None` if it is not JSON or too long.
pub fn shown_body(bytes: &[u8]) -> Option<Value> {
    let mut value = serde_json::from_slice(bytes).ok()?;
    secrets::hide(&mut value);
    // What is too long for a screen is not cut: half an object means nothing.
    let is_short = bytes.len() <= MAX_BODY || value.to_string().len() <= MAX_BODY;
    is_short.then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i64) -> WatchEvent {
        WatchEvent::Exit { code, exec: None }
    }

    #[tokio::test]
    async fn a_slow_watcher_is_told_how_many_it_has_lost() {
        let watch = Arc::new(Watch::default());
        let mut slow = watch.listen();
        for code in 0..BACKLOG as i64 + 7 {
            watch.publish(None, None, exit(code));
        }
        assert_eq!(slow.next().await.unwrap_err(), 7);
        assert_eq!(slow.next().await.unwrap().event, exit(7));
    }

    #[tokio::test]
    async fn nothing_is_recorded_for_nobody() {
        let watch = Arc::new(Watch::default());
        assert!(!watch.is_watched());
        drop(watch.listen());
        assert!(!watch.is_watched());
        watch.publish(None, None, exit(1));
        let mut first = watch.listen();
        watch.publish(None, None, exit(2));
        assert_eq!(first.next().await.unwrap().event, exit(2));
    }

    #[test]
    fn a_body_is_shown_whole_or_not_at_all() {
        let of_length = |length: usize| serde_json::json!({ "x": "y".repeat(length) }).to_string();
        assert!(shown_body(of_length(100).as_bytes()).is_some());
        assert!(shown_body(of_length(MAX_BODY + 1).as_bytes()).is_none());
        assert!(shown_body(b"PK\x03\x04").is_none() && shown_body(b"").is_none());
    }
}
