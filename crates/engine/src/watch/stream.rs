//! What one watcher is sent: all records in the order of their times, as lines of JSON.
//!
//! A launcher's calls are known once it has ended, when later things may have been recorded already.
//! So each record waits a moment for those that were before it.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use sandbox::monotonic_now;

use super::{WatchEvent, WatchRecord, Watcher};

/// How long a record waits.
const WINDOW: Duration = Duration::from_millis(200);
/// How many wait at most.
const MOST: usize = 1024;

/// Records in the order of their times.
#[derive(Debug)]
pub struct Ordered {
    watcher: Watcher,
    waiting: BTreeMap<(Duration, u64), Arc<WatchRecord>>,
    number: u64,
}

impl Ordered {
    /// Those of `watcher`.
    pub fn new(watcher: Watcher) -> Self {
        Self { watcher, waiting: BTreeMap::new(), number: 0 }
    }

    /// The next record. Nothing is lost when this is dropped before it is ready.
    pub async fn next(&mut self) -> Arc<WatchRecord> {
        loop {
            if let Some(first) = self.waiting.first_entry() {
                let is_due = first.key().0 + WINDOW <= monotonic_now();
                if is_due || self.waiting.len() >= MOST {
                    let (_, record) = self.waiting.pop_first().expect("there is a first one");
                    return record;
                }
            }
            let left = self.waiting.keys().next().map(|(at, _)| {
                (*at + WINDOW).saturating_sub(monotonic_now()) + Duration::from_millis(1)
            });
            let next = self.watcher.next();
            let next = match left {
                None => next.await,
                Some(left) => match tokio::time::timeout(left, next).await {
                    Ok(next) => next,
                    Err(_) => continue,
                },
            };
            self.add(next);
        }
    }

    fn add(&mut self, next: Result<Arc<WatchRecord>, u64>) {
        let record = next.unwrap_or_else(|records| {
            Arc::new(WatchRecord {
                time: monotonic_now().as_secs_f64(),
                connection: None,
                container: None,
                event: WatchEvent::Lost { records },
            })
        });
        self.number += 1;
        self.waiting.insert((record.at(), self.number), record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::Watch;

    #[tokio::test]
    async fn what_was_before_comes_first_though_it_is_known_later() {
        let watch = Arc::new(Watch::default());
        let mut ordered = Ordered::new(watch.listen());
        let exit = |code: i64| WatchEvent::Exit { code, exec: None };
        watch.publish(None, None, exit(2));
        let before = monotonic_now().saturating_sub(Duration::from_millis(20)).as_secs_f64();
        let record =
            WatchRecord { time: before, connection: None, container: None, event: exit(1) };
        watch.publish_record(record);
        assert_eq!(ordered.next().await.event, exit(1));
        assert_eq!(ordered.next().await.event, exit(2));
    }
}
