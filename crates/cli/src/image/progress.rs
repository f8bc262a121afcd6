//! What is shown while layers are transferred: a bar each on a terminal, a line each elsewhere.

use std::{
    io::{IsTerminal as _, stderr},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use image::{
    config::ImageConfig,
    digest::Digest,
    reference::Reference,
    store::Store,
    unpacked::{self, Layer},
};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use oci_spec::image::{Descriptor, ImageManifest};
use registry::client::{Failure, LayerState, Progress};

use super::history::printable;
use crate::{stderr as errors, termination::TerminationSignals, units};

/// The progress of one image.
pub(super) struct Bars<'a> {
    quiet: bool,
    all: Option<MultiProgress>,
    layers: Mutex<Vec<Option<Bar>>>,
    signals: &'a TerminationSignals,
    /// Where layers are unpacked as they arrive.
    unpacking: Option<&'a Store>,
    image: Mutex<Vec<Layer>>,
    has_failed: AtomicBool,
}

struct Bar {
    bar: Option<ProgressBar>,
    name: String,
    total: u64,
}

impl<'a> Bars<'a> {
    pub(super) fn new(
        action: &str,
        reference: &Reference,
        quiet: bool,
        signals: &'a TerminationSignals,
    ) -> Self {
        if !quiet {
            errors::remark(&format!("{action} {}\n", reference.familiar()));
        }
        let all = (!quiet && stderr().is_terminal()).then(MultiProgress::new);
        let has_failed = AtomicBool::new(false);
        let (layers, image) = (Mutex::default(), Mutex::default());
        Self { quiet, all, layers, signals, unpacking: None, image, has_failed }
    }

    /// Unpacks each layer in this store when it has arrived.
    pub(super) fn unpacking(self, store: Option<&'a Store>) -> Self {
        Self { unpacking: store, ..self }
    }

    fn with_bar(&self, index: usize, work: impl FnOnce(&mut Bar)) {
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Some(bar)) = layers.get_mut(index) {
            work(bar);
        }
    }

    fn say(&self, text: &str) {
        match (&self.all, self.quiet) {
            (_, true) => {}
            (Some(all), _) => _ = all.println(text),
            (None, _) => errors::remark(&format!("{text}\n")),
        }
    }
}

impl Progress for Bars<'_> {
    fn on_image(&self, manifest: &ImageManifest, config: &ImageConfig) {
        *self.image.lock().unwrap_or_else(PoisonError::into_inner) =
            unpacked::layers(manifest, config);
    }

    fn layer(&self, index: usize, digest: &Digest, total: u64) {
        let name = digest.short().to_owned();
        let bar = self.all.as_ref().map(|all| {
            let style = ProgressStyle::with_template(
                "{prefix}  {bar:28} {bytes:>10}/{total_bytes:<10} {msg}",
            );
            let style = style.expect("the template is well formed").progress_chars("=> ");
            let bar = ProgressBar::new(total).with_style(style).with_prefix(name.clone());
            let bar = all.add(bar);
            bar.set_message("waiting");
            bar
        });
        let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
        if layers.len() <= index {
            layers.resize_with(index + 1, || None);
        }
        layers[index] = Some(Bar { bar, name, total });
    }

    fn position(&self, index: usize, bytes: u64) {
        self.with_bar(index, |bar| {
            if let Some(bar) = &bar.bar {
                bar.set_position(bytes);
            }
        });
    }

    fn state(&self, index: usize, state: LayerState) {
        let words = match state {
            LayerState::Exists => "there already",
            LayerState::Mounted => "taken from another repository",
            LayerState::Transferring => "",
            LayerState::Done => "done",
        };
        let mut line = None;
        self.with_bar(index, |bar| match &bar.bar {
            Some(shown) if state == LayerState::Transferring => shown.set_message(words),
            Some(shown) => shown.finish_with_message(words),
            None if state == LayerState::Transferring => {}
            None => {
                line = Some(format!("{}  {:>9}  {words}", bar.name, units::show_size(bar.total)));
            }
        });
        if let Some(line) = line {
            self.say(&line);
        }
    }

    fn on_layer(&self, index: usize, _layer: &Descriptor) {
        let Some(store) = self.unpacking else { return };
        let layer = self.image.lock().unwrap_or_else(PoisonError::into_inner).get(index).cloned();
        let Some(layer) = layer.filter(|_| !self.has_failed.load(Ordering::Relaxed)) else {
            return;
        };
        // Without the layers below: one that links to a file of theirs cannot be unpacked yet, and
        // what else is wrong with it is said when all have arrived.
        if store.unpack_layer(&layer, &[]).is_err() {
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }

    fn retrying(&self, attempt: u32, pause: Duration, failure: &Failure) {
        let why = printable(&sandbox::chain(failure));
        self.say(&format!("{why}; attempt {} in {:.1} s", attempt + 1, pause.as_secs_f64()));
    }

    fn note(&self, text: &str) {
        self.say(&printable(text));
    }

    fn is_cancelled(&self) -> bool {
        self.signals.have_arrived()
    }
}
