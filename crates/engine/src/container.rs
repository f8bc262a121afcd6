//! A container of the engine: its record, and those who wait for it or are attached to it. What
//! happens to it is in `life`.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::http::StatusCode;
use image::store::Lock;
use tokio::sync::{oneshot, watch};

use crate::{
    error::{ApiError, Result},
    events::{Events, Kind},
    health::HealthState,
    runtime::Runtime,
    state::{
        self,
        record::Record,
        status::{Phase, Status},
    },
    supervisor::Connection,
};

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

    pub(crate) fn health_name(&self) -> Option<&'static str> {
        self.health().map(|health| health.name())
    }

    pub(crate) fn set_health(&self, health: Option<HealthState>) {
        *self.health.lock().unwrap_or_else(PoisonError::into_inner) = health;
    }

    pub(crate) fn change_health(&self, change: impl FnOnce(&mut HealthState)) {
        let mut health = self.health.lock().unwrap_or_else(PoisonError::into_inner);
        health.as_mut().map(change);
    }

    /// Tells that `action` has happened to it.
    pub fn emit(&self, events: &Events, action: &str, more: &[(&str, String)]) {
        let mut attributes = self.record().attributes();
        attributes.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
        events.emit(Kind::CONTAINER, action, &self.id, attributes);
    }

    /// Checks that its files and processes are the host's: those of a virtual machine are known to its
    /// own kernel alone.
    ///
    /// # Errors
    ///
    /// 501 when not, for what a client wanted: `list the processes of`.
    pub(crate) fn must_be_seen(&self, action: &str) -> Result<()> {
        match self.record().runtime() {
            Runtime::Container | Runtime::Process => Ok(()),
            Runtime::Microvm => Err(ApiError::new(
                StatusCode::NOT_IMPLEMENTED,
                format!(
                    "cannot {action} container {}: it is a virtual machine, and only its own kernel \
                     knows its files and processes; use docker exec",
                    self.id
                ),
            )),
        }
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
