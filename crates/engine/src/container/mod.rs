//! A container of the engine: its record, its life, and those who wait for it or are attached to it.
//!
//! | File | |
//! |---|---|
//! | `create` | from a client's words to a record |
//! | `start` | the supervisor, the launcher, and the first process |
//! | `links` | what it asks of networks |
//! | `health` | checks while it runs |
//! | `end` | what happens when the first process has ended; restart policies |
//! | `stop` | signals, and waiting for the end |
//! | `update` | other limits while it runs |
//! | `remove` | nothing of it is left |
//! | `adopt` | what an earlier daemon has left |

mod adopt;
mod create;
mod end;
mod health;
mod links;
mod remove;
mod start;
mod stop;
mod update;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use image::store::Lock;
use tokio::sync::{oneshot, watch};

use crate::{
    engine::Engine,
    error::{ApiError, Result},
    events::Kind,
    state::{
        self,
        record::Record,
        status::{Phase, Status},
    },
    supervisor::Connection,
};

pub use adopt::adopt_all;
pub use create::{Created, create};
pub use health::HealthState;
pub use links::NetworkSetup;
pub(crate) use links::{endpoint as endpoint_request, failed as network_failed};
pub use remove::{Removal, remove, users as users_of_volume};
pub use start::start;
pub(crate) use start::{started, supervise};
pub use stop::{kill, stop, wait_for_end};
pub use update::update;

/// How far a container's life has got, for those who wait.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// How often its first process has ended, or could not be started.
    pub ends: u64,
    /// The exit code of the last end.
    pub exit_code: i64,
    /// Whether it has been removed.
    pub removed: bool,
}

/// Somebody who attached to a container before it was started, or while it runs.
pub(crate) struct Subscriber {
    /// Bits of [`Connection::subscribe`].
    pub(crate) streams: u32,
    /// Where the connection to the supervisor is sent once there is one.
    pub(crate) connected: oneshot::Sender<Connection>,
}

/// A container.
pub struct Container {
    /// 64 hexadecimal digits.
    pub id: String,
    /// Its directory.
    pub directory: PathBuf,
    record: Mutex<Record>,
    /// Held while it is started, stopped or removed. Never while its end is awaited.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) progress: watch::Sender<Progress>,
    /// Those who wait for its start.
    pub(crate) subscribers: Mutex<Vec<Subscriber>>,
    /// While it is held, nobody collects the layers of its image.
    pub(crate) _layers: Option<Lock>,
    health: Mutex<Option<HealthState>>,
}

impl Container {
    pub(crate) fn new(directory: PathBuf, record: Record, layers: Option<Lock>) -> Arc<Self> {
        Arc::new(Self {
            id: record.id.clone(),
            directory,
            record: Mutex::new(record),
            changing: tokio::sync::Mutex::default(),
            progress: watch::Sender::default(),
            subscribers: Mutex::default(),
            _layers: layers,
            health: Mutex::default(),
        })
    }

    /// Its record, locked: for a look, not to be kept.
    pub fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes its record, in memory.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut Record) -> T) -> T {
        change(&mut self.record())
    }

    /// Its status.
    pub fn status(&self) -> Status {
        self.record().status.clone()
    }

    /// Writes its record to its file.
    ///
    /// # Errors
    ///
    /// 500, when that is not possible.
    pub(crate) fn save(&self) -> Result<()> {
        let record = self.record().clone();
        state::save(&self.directory.join("record.json"), &record)
            .map_err(|error| ApiError::of(&error))
    }

    /// Its health, if it has a check and runs.
    pub fn health(&self) -> Option<HealthState> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn health_name(&self) -> Option<&'static str> {
        self.health().map(|health| health.name())
    }

    fn set_health(&self, health: Option<HealthState>) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    fn change_health(&self, change: impl FnOnce(&mut HealthState)) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.as_mut().map(change);
    }

    /// Tells that `action` has happened to it.
    pub fn emit(&self, engine: &Engine, action: &str, more: &[(&str, String)]) {
        let mut attributes = self.record().attributes();
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        engine.events.emit(Kind::CONTAINER, action, &self.id, attributes);
    }

    /// Checks that it runs.
    ///
    /// # Errors
    ///
    /// 409 when not.
    pub fn must_be_up(&self) -> Result<()> {
        match self.status().phase {
            Phase::Up => Ok(()),
            Phase::Paused => Err(ApiError::conflict(format!(
                "Container {} is paused, unpause the container before exec",
                self.id
            ))),
            _ => Err(ApiError::conflict(format!("container {} is not running", self.id))),
        }
    }
}
