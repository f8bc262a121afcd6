//! `isolab image inspect`.

use clap::Args;
use image::{
    manifest::Platform,
    store::{Image, Named, Store},
};
use oci_spec::image::Descriptor;
use serde_json::json;

use super::{list::digest_of, store};
use crate::{failure::Failure, output};

/// Print details of images as JSON.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name, id or digest of an image
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// JSON is what it prints in any case
    #[arg(long, hide = true)]
    json: bool,
}

/// Prints them as one array.
pub fn inspect(arguments: &Arguments) -> Result<u8, Failure> {
    let store = store()?;
    let mut all = Vec::new();
    for text in &arguments.images {
        let named = store.resolve(text)?;
        let image = store.image_at(&named.descriptor, &Platform::host())?;
        all.push(as_json(&store, &named, &image)?);
    }
    output::print_json(&all.into())?;
    Ok(0)
}

/// With Docker's keys where Docker has them.
fn as_json(store: &Store, named: &Named, image: &Image) -> Result<serde_json::Value, Failure> {
    let digest = digest_of(&named.descriptor)?;
    let same = |descriptor: &Descriptor| descriptor.digest() == named.descriptor.digest();
    let references = store.references()?.into_iter().filter(|(_, at)| same(at));
    let references: Vec<_> = references.map(|(reference, _)| reference).collect();
    let tags: Vec<String> = references.iter().map(image::reference::Reference::familiar).collect();
    let mut digests: Vec<String> = references
        .iter()
        .map(|reference| format!("{}@{digest}", reference.familiar_name()))
        .collect();
    digests.sort();
    digests.dedup();
    let layers: u64 = image.manifest.layers().iter().map(Descriptor::size).sum();
    let config = &image.config;
    Ok(json!({
        "Id": image.id()?,
        "RepoTags": tags,
        "RepoDigests": digests,
        "Created": config.created,
        "Author": config.author,
        "Architecture": config.architecture,
        "Variant": config.variant,
        "Os": config.os,
        "Size": layers,
        "Config": config.config,
        "RootFS": { "Type": "layers", "Layers": config.rootfs.diff_ids },
        "Manifest": image.manifest,
        "Digest": image.descriptor.digest().to_string(),
        "History": config.history,
        "ChainIds": config.chain_ids(),
    }))
}
