//! `isolab image prune` and `isolab image verify`.

use clap::Args;
use image::{
    gc::{self, Collected, Scope},
    reference::Reference,
    verify::{self, Damage},
};
use serde_json::json;

use super::{of_image, store};
use crate::{failure::Failure, output, units};

/// Remove images without a name, and what no image needs.
///
/// Layers of removed images, parts of interrupted pulls and builds, and unpacked layers go, and so do
/// the steps of the build cache whose layers are gone. What a running container uses stays.
#[derive(Debug, Args)]
pub struct PruneArguments {
    /// Also remove images with a name that no container uses, and the whole build cache
    #[arg(short, long)]
    all: bool,
    /// Print what was removed as a JSON object
    #[arg(long)]
    json: bool,
}

/// Removes them.
pub fn prune(arguments: &PruneArguments) -> Result<u8, Failure> {
    let scope = if arguments.all { Scope::All } else { Scope::Dangling };
    let Collected { images, blobs, bytes, layers, layer_bytes, cached_steps, note_bytes } =
        gc::collect(store()?, scope).map_err(of_image)?;
    if arguments.json {
        output::print_json(&json!({
            "images": images,
            "blobs": blobs,
            "bytes": bytes,
            "layers": layers,
            "layer_bytes": layer_bytes,
            "cached_steps": cached_steps,
            "note_bytes": note_bytes,
        }))?;
        return Ok(0);
    }
    let names = images.iter().map(|name| format!("removed {name}\n")).collect::<String>();
    output::print(&format!(
        "{names}freed {}: {blobs} blobs, {layers} unpacked layers, {cached_steps} cached build steps\n",
        units::show_size(bytes + layer_bytes + note_bytes)
    ))?;
    Ok(0)
}

/// Compute the digests of images anew.
#[derive(Debug, Args)]
pub struct VerifyArguments {
    /// Names, ids or digests of images [default: all]
    #[arg(value_name = "IMAGE")]
    images: Vec<String>,
    /// Remove damaged blobs, so that the next pull fetches them
    #[arg(long)]
    remove: bool,
    /// Print what is wrong as a JSON object
    #[arg(long)]
    json: bool,
}

/// Computes them; the exit code is 1 if something is wrong.
pub fn verify(arguments: &VerifyArguments) -> Result<u8, Failure> {
    let store = store()?;
    let mut images = Vec::new();
    for text in &arguments.images {
        images.push((text.clone(), store.resolve(text)?.descriptor));
    }
    if images.is_empty() {
        let named = store.references()?.into_iter();
        images.extend(named.map(|(name, at): (Reference, _)| (name.familiar(), at)));
        let nameless = store.dangling()?.into_iter();
        images.extend(nameless.map(|at| (at.digest().to_string(), at)));
    }
    let verified = verify::verify(&store, &images)?;
    let code = u8::from(!verified.damaged.is_empty());
    let remove = |store| match arguments.remove && code != 0 {
        true => verify::remove(store, &verified.damaged).map_err(of_image),
        false => Ok(0),
    };
    if arguments.json {
        remove(store)?;
        let damaged = verified.damaged.iter().map(as_json);
        output::print_json(&json!({
            "blobs": verified.blobs,
            "bytes": verified.bytes,
            "damaged": damaged.collect::<Vec<_>>(),
        }))?;
        return Ok(code);
    }
    let lines = verified.damaged.iter().map(|damage| {
        format!("{}: {}; needed by {}\n", damage.digest, damage.why, damage.images.join(", "))
    });
    output::print(&lines.collect::<String>())?;
    let removed = remove(store)?;
    let size = units::show_size(verified.bytes);
    let words = match verified.damaged.len() {
        0 => "all of them right".into(),
        count if arguments.remove => {
            format!("{count} wrong, {removed} damaged and removed; pull these images again")
        }
        count => format!("{count} wrong; with --remove, the next pull fetches what is damaged"),
    };
    output::print(&format!("{} blobs, {size}: {words}\n", verified.blobs))?;
    Ok(code)
}

fn as_json(damage: &Damage) -> serde_json::Value {
    json!({
        "digest": damage.digest,
        "why": damage.why,
        "images": damage.images,
        "is_intact": damage.is_intact,
    })
}
