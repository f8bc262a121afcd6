//! A stage as it stands after a step: its config and its layers.

use std::path::PathBuf;

use super::error::StepError;
use crate::{
    config::ImageConfig,
    dockerfile::scope::{Global, Stage},
    manifest::{self, OCI_LAYER},
    store::{Image, Store},
    unpacked::Layer,
};

#[derive(Debug, Clone)]
pub(super) struct State {
    pub(super) config: ImageConfig,
    /// The lowest first.
    pub(super) layers: Vec<Layer>,
    pub(super) scope: Stage,
    /// Whether the stage itself has a `CMD`.
    pub(super) has_cmd: bool,
}

impl State {
    pub(super) fn scratch(global: &Global) -> Self {
        Self::of(ImageConfig::scratch(), Vec::new(), global)
    }

    pub(super) fn image(image: &Image, global: &Global) -> Self {
        Self::of(image.config.clone(), image.layers(), global)
    }

    /// A stage on top of this one.
    pub(super) fn next(&self, global: &Global) -> Self {
        Self::of(self.config.clone(), self.layers.clone(), global)
    }

    fn of(config: ImageConfig, layers: Vec<Layer>, global: &Global) -> Self {
        let env = config.config.env.iter().map(|entry| match entry.split_once('=') {
            Some((name, value)) => (name.to_owned(), value.to_owned()),
            None => (entry.clone(), String::new()),
        });
        let scope = global.stage(env.collect());
        Self { config, layers, scope, has_cmd: false }
    }

    /// Its layers as directories, the uppermost first.
    pub(super) fn lowers(&self, store: &Store) -> Result<Vec<PathBuf>, StepError> {
        let mut lowers = Vec::new();
        for layer in &self.layers {
            let path = store.unpacked_path(&layer.chain_id);
            if !path.exists() {
                store.unpack_layer(layer, &lowers)?;
            }
            lowers.insert(0, path);
        }
        Ok(lowers)
    }

    /// Puts a layer on top.
    pub(super) fn push(&mut self, layer: &super::cache::LayerRecord) -> Result<(), StepError> {
        if self.layers.len() >= manifest::MAX_LAYERS {
            let text = format!("more than {} layers: put commands together", manifest::MAX_LAYERS);
            return Err(StepError::Refused(text));
        }
        self.config.rootfs.diff_ids.push(layer.diff_id.clone());
        let descriptor = manifest::descriptor(OCI_LAYER, &layer.digest, layer.size);
        let chain_id = self.config.chain_ids().pop().unwrap_or_else(|| layer.diff_id.clone());
        self.layers.push(Layer { descriptor, diff_id: layer.diff_id.clone(), chain_id });
        Ok(())
    }
}
