//! `docker image inspect` and `docker history`.

use std::collections::BTreeMap;

use bollard_stubs::models::{
    DriverData, HealthConfig, ImageConfig, ImageHistoryResponseItem, ImageInspect,
    ImageInspectMetadata, ImageInspectRootFs,
};
use image::{
    config::{Empty, Execution, Healthcheck, History},
    store::Store,
};

use super::{
    catalog::{StoredImage, seconds},
    error::Result,
    names, size,
};

/// Everything about the image that `text` means.
///
/// # Errors
///
/// Those of [`names::find`].
pub fn inspect(store: &Store, text: &str) -> Result<ImageInspect> {
    let found = names::find(store, text)?.image;
    let config = &found.image.config;
    let last = config.history.last();
    let layers = config.rootfs.diff_ids.iter().map(ToString::to_string).collect();
    Ok(ImageInspect {
        id: Some(found.id.to_string()),
        repo_tags: Some(found.repo_tags()),
        repo_digests: Some(found.repo_digests()),
        comment: Some(last.map_or_else(String::new, |step| step.comment.clone())),
        created: config.created.clone(),
        author: Some(config.author.clone()),
        config: Some(execution(&config.config)),
        architecture: Some(config.architecture.clone()),
        variant: Some(config.variant.clone()).filter(|variant| !variant.is_empty()),
        os: Some(config.os.clone()),
        size: Some(size::of_image(store, &found)),
        graph_driver: Some(graph_driver(store, &found)),
        root_fs: Some(ImageInspectRootFs { typ: "layers".into(), layers: Some(layers) }),
        metadata: Some(ImageInspectMetadata { last_tag_time: Some(crate::time::NEVER.into()) }),
        ..ImageInspect::default()
    })
}

/// Where the layers are as directories.
fn graph_driver(store: &Store, found: &StoredImage) -> DriverData {
    let layers = found.image.layers();
    let mut paths: Vec<String> = layers
        .iter()
        .rev()
        .map(|layer| store.unpacked_path(&layer.chain_id).display().to_string())
        .collect();
    let mut data = BTreeMap::new();
    if !paths.is_empty() {
        data.insert("UpperDir".to_owned(), paths.remove(0));
    }
    if !paths.is_empty() {
        data.insert("LowerDir".to_owned(), paths.join(":"));
    }
    DriverData { name: "overlay2".into(), data: data.into_iter().collect() }
}

/// The steps by which it was built, the last one first.
///
/// # Errors
///
/// Those of [`names::find`].
pub fn history(store: &Store, text: &str) -> Result<Vec<ImageHistoryResponseItem>> {
    let found = names::find(store, text)?.image;
    let (layers, steps) = (found.image.layers(), &found.image.config.history);
    // Layers that the history does not have are lower than those that it has.
    let known = steps.iter().filter(|step| !step.empty_layer).count();
    let unknown = layers.len().saturating_sub(known);
    let none = History::default();
    let mut layers = layers.iter();
    let below = layers.by_ref().take(unknown).map(|layer| (&none, Some(layer)));
    let mut items: Vec<ImageHistoryResponseItem> = below
        .map(|(step, layer)| item(step, layer.map_or(0, |it| size::of_layer(store, it))))
        .collect();
    for step in steps {
        let layer = if step.empty_layer { None } else { layers.next() };
        items.push(item(step, layer.map_or(0, |layer| size::of_layer(store, layer))));
    }
    items.reverse();
    if let Some(first) = items.first_mut() {
        first.id = found.id.to_string();
        first.tags = found.repo_tags();
    }
    Ok(items)
}

fn item(step: &History, size: i64) -> ImageHistoryResponseItem {
    ImageHistoryResponseItem {
        id: "<missing>".into(),
        created: seconds(step.created.as_deref()),
        created_by: step.created_by.clone(),
        tags: Vec::new(),
        size,
        comment: step.comment.clone(),
    }
}

/// What a container of an image runs, as the API has it.
pub fn execution(config: &Execution) -> ImageConfig {
    let keys =
        |set: &BTreeMap<String, Empty>| (!set.is_empty()).then(|| set.keys().cloned().collect());
    ImageConfig {
        user: Some(config.user.clone()),
        exposed_ports: keys(&config.exposed_ports),
        env: Some(config.env.clone()),
        cmd: config.cmd.clone(),
        healthcheck: config.healthcheck.as_ref().map(healthcheck),
        args_escaped: None,
        volumes: keys(&config.volumes),
        working_dir: Some(config.working_dir.clone()),
        entrypoint: config.entrypoint.clone(),
        on_build: config.on_build.clone(),
        labels: Some(config.labels.clone().into_iter().collect()),
        stop_signal: Some(config.stop_signal.clone()).filter(|signal| !signal.is_empty()),
        shell: config.shell.clone(),
    }
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    let number = |number: u64| Some(i64::try_from(number).unwrap_or(i64::MAX));
    HealthConfig {
        test: Some(check.test.clone()),
        interval: number(check.interval),
        timeout: number(check.timeout),
        retries: number(check.retries),
        start_period: number(check.start_period),
        start_interval: number(check.start_interval),
    }
}
