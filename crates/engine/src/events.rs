//! What happens, for `docker events`: the newest events are kept, and everyone who listens gets the
//! rest as they happen.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bollard_stubs::models::{EventActor, EventMessage, EventMessageScopeEnum};
use tokio::sync::broadcast;

/// How many are kept for those who ask later, as in dockerd.
const KEPT: usize = 256;
/// How many a listener may be behind before it misses some.
const BACKLOG: usize = 4096;

/// The kinds of objects that have events.
pub use bollard_stubs::models::EventMessageTypeEnum as Kind;

/// The events of an engine.
#[derive(Debug)]
pub struct Events {
    newest: Mutex<VecDeque<Arc<EventMessage>>>,
    sender: broadcast::Sender<Arc<EventMessage>>,
}

impl Default for Events {
    fn default() -> Self {
        Self { newest: Mutex::default(), sender: broadcast::channel(BACKLOG).0 }
    }
}

impl Events {
    /// Tells that `action` has happened to the object `id`.
    pub fn emit(
        &self,
        kind: Kind,
        action: &str,
        id: &str,
        attributes: impl IntoIterator<Item = (String, String)>,
    ) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let actor = EventActor {
            id: Some(id.to_owned()),
            attributes: Some(attributes.into_iter().collect()),
        };
        let event = Arc::new(EventMessage {
            typ: Some(kind),
            action: Some(action.to_owned()),
            actor: Some(actor),
            scope: Some(EventMessageScopeEnum::LOCAL),
            time: i64::try_from(now.as_secs()).ok(),
            time_nano: i64::try_from(now.as_nanos()).ok(),
        });
        // Under the lock, so that a listener has each event once: from here or from the channel.
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if newest.len() == KEPT {
            newest.pop_front();
        }
        newest.push_back(event.clone());
        // It fails only if nobody listens.
        let _ = self.sender.send(event);
    }

    /// The kept events from `since` on (none if it is `None`), and a receiver of all later ones.
    pub fn listen(
        &self,
        since: Option<Duration>,
    ) -> (Vec<Arc<EventMessage>>, broadcast::Receiver<Arc<EventMessage>>) {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = self.sender.subscribe();
        let is_new =
            |event: &&Arc<EventMessage>| since.is_some_and(|since| time_of(event) >= since);
        (newest.iter().filter(is_new).cloned().collect(), receiver)
    }

    /// How many listen.
    pub fn listeners(&self) -> usize {
        self.sender.receiver_count()
    }
}

/// When an event happened, since 1970.
pub fn time_of(event: &EventMessage) -> Duration {
    Duration::from_nanos(event.time_nano.unwrap_or_default().unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept_and_no_listener_gets_one_twice() {
        let events = Events::default();
        for number in 0..KEPT + 10 {
            events.emit(Kind::CONTAINER, "start", &number.to_string(), []);
        }
        let (kept, mut later) = events.listen(Some(Duration::ZERO));
        assert_eq!(kept.len(), KEPT);
        assert!(events.listen(None).0.is_empty());
        events.emit(Kind::CONTAINER, "die", "x", []);
        assert_eq!(later.try_recv().unwrap().action.as_deref(), Some("die"));
        assert!(later.try_recv().is_err());
    }
}
