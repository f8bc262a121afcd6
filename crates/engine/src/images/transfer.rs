//! A transfer while it runs: the threads of the registry's client write down how far each layer is, and
//! one thread tells it the client of the API.

use std::{
    sync::{
        Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use image::{
    config::ImageConfig,
    digest::Digest,
    store::Store,
    unpacked::{self, Layer},
};
use oci_spec::image::ImageManifest;
use registry::client::{LayerState, Progress};

use super::error::{ImageError, Result};

/// How often progress is reported: a person sees no more.
const TICK: Duration = Duration::from_millis(100);

/// What has happened to a layer; each comes after those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    Waiting,
    Transferring,
    Transferred,
    Extracting,
    Complete,
}

/// A layer of a transfer.
#[derive(Debug, Clone)]
pub(super) struct LayerTransfer {
    /// The first 12 digits of its digest.
    pub(super) id: String,
    pub(super) total: u64,
    pub(super) position: u64,
    pub(super) stage: Stage,
    /// Whether it was there before.
    pub(super) existed: bool,
    /// Whether the registry took it from another repository of its own.
    pub(super) mounted: bool,
}

#[derive(Default)]
struct Table {
    /// Of a pull, once its manifest and its config are known.
    image: Option<Vec<Layer>>,
    layers: Vec<LayerTransfer>,
    /// Whether nothing more arrives.
    is_over: bool,
    /// Whether all work has ended.
    is_done: bool,
}

/// The layers of a transfer.
pub(super) struct Transfer<'s> {
    /// Of a pull: where layers may be already.
    store: Option<&'s Store>,
    table: Mutex<Table>,
    changed: Condvar,
    is_cancelled: AtomicBool,
}

/// What is reported of a transfer.
pub(super) struct Snapshot {
    /// Whether the image is known.
    pub(super) has_image: bool,
    pub(super) layers: Vec<LayerTransfer>,
}

impl<'s> Transfer<'s> {
    pub(super) fn new(store: Option<&'s Store>) -> Self {
        Self {
            store,
            table: Mutex::default(),
            changed: Condvar::new(),
            is_cancelled: AtomicBool::new(false),
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work` in a thread of its own, and calls `tell` again and again until it has ended, and once
    /// more then. If `tell` fails, the work is cancelled.
    pub(super) fn watch<T: Send>(
        &self,
        work: impl FnOnce() -> T + Send,
        mut tell: impl FnMut(&Snapshot) -> Result<()>,
    ) -> Result<T> {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let _done = Done(self);
                work()
            });
            let reported = loop {
                let (snapshot, is_done) = self.next();
                let reported = tell(&snapshot);
                if is_done || reported.is_err() {
                    break reported;
                }
            };
            if reported.is_err() {
                // Under the lock: whoever waits has not looked yet, or is woken.
                let table = self.table();
                self.is_cancelled.store(true, Ordering::Relaxed);
                drop(table);
                self.changed.notify_all();
            }
            let result = worker.join();
            reported?;
            result.map_err(|_| ImageError::Failed("the transfer failed: it panicked".into()))
        })
    }

    fn next(&self) -> (Snapshot, bool) {
        let continues = |table: &mut Table| !table.is_done;
        let waited = self.changed.wait_timeout_while(self.table(), TICK, continues);
        let (table, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let snapshot = Snapshot { has_image: table.image.is_some(), layers: table.layers.clone() };
        (snapshot, table.is_done)
    }

    fn change(&self, index: usize, change: impl FnOnce(&mut LayerTransfer)) {
        if let Some(layer) = self.table().layers.get_mut(index) {
            change(layer);
        }
        self.changed.notify_all();
    }

    /// Nothing more arrives.
    pub(super) fn end_of_transfer(&self) {
        self.table().is_over = true;
        self.changed.notify_all();
    }

    /// The layer of this index, the lowest being 0, once it has arrived. `None` if there is none, or it
    /// will not arrive.
    pub(super) fn arrived(&self, index: usize) -> Option<Layer> {
        let is_there = |table: &Table| {
            table.layers.get(index).is_some_and(|layer| layer.stage >= Stage::Transferred)
        };
        let waits = |table: &mut Table| {
            !table.is_over && !is_there(table) && !self.is_cancelled.load(Ordering::Relaxed)
        };
        let waited = self.changed.wait_while(self.table(), waits);
        let table = waited.unwrap_or_else(PoisonError::into_inner);
        match is_there(&table) && !self.is_cancelled.load(Ordering::Relaxed) {
            true => table.image.as_ref()?.get(index).cloned(),
            false => None,
        }
    }

    pub(super) fn set_stage(&self, index: usize, stage: Stage) {
        self.change(index, |layer| layer.stage = stage);
    }
}

/// Says that the work has ended, also if it panics.
struct Done<'t, 's>(&'t Transfer<'s>);

impl Drop for Done<'_, '_> {
    fn drop(&mut self) {
        let mut table = self.0.table();
        (table.is_over, table.is_done) = (true, true);
        drop(table);
        self.0.changed.notify_all();
    }
}

impl Progress for Transfer<'_> {
    fn on_image(&self, manifest: &ImageManifest, config: &ImageConfig) {
        self.table().image = Some(unpacked::layers(manifest, config));
    }

    fn layer(&self, index: usize, digest: &Digest, total: u64) {
        let there = |store: &Store| store.blob(digest).is_ok_and(|blob| blob.is_some());
        let existed = self.store.is_some_and(there);
        let mut table = self.table();
        // A push of an index has the layers of one image after those of another.
        table.layers.truncate(index);
        table.layers.push(LayerTransfer {
            id: digest.short().to_owned(),
            total,
            position: 0,
            stage: Stage::Waiting,
            existed,
            mounted: false,
        });
    }

    fn position(&self, index: usize, bytes: u64) {
        if let Some(layer) = self.table().layers.get_mut(index) {
            layer.position = bytes;
        }
    }

    fn state(&self, index: usize, state: LayerState) {
        self.change(index, |layer| match state {
            LayerState::Transferring => layer.stage = Stage::Transferring,
            LayerState::Done => layer.stage = Stage::Transferred,
            LayerState::Exists => (layer.stage, layer.existed) = (Stage::Transferred, true),
            LayerState::Mounted => (layer.stage, layer.mounted) = (Stage::Transferred, true),
        });
    }

    fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }
}
