//! `isolab image tag` and `isolab image rm`.

use clap::Args;
use image::{
    reference::Reference,
    store::{Named, Store},
};
use oci_spec::image::Descriptor;
use serde_json::json;

use super::{of_image, store};
use crate::{failure::Failure, output};

/// Give an image another name.
#[derive(Debug, Args)]
pub struct TagArguments {
    /// Name, id or digest of an image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The new name
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    /// Print the name and the digest as a JSON object
    #[arg(long)]
    json: bool,
}

/// Gives the name.
pub fn tag(arguments: &TagArguments) -> Result<u8, Failure> {
    let store = store()?;
    let named = store.resolve(&arguments.image)?;
    let name = name_to_give(&arguments.name)?;
    store.tag(&name, &named.descriptor)?;
    if arguments.json {
        let digest = named.descriptor.digest().to_string();
        output::print_json(&json!({ "name": name.familiar(), "digest": digest }))?;
    }
    Ok(0)
}

/// A name that an image can be given: not a digest, which it has.
pub(super) fn name_to_give(text: &str) -> Result<Reference, Failure> {
    let name: Reference = text.parse().map_err(of_image).map_err(|failure| failure.code(2))?;
    match name.digest() {
        Some(_) => {
            Err(Failure::usage(format!("{text:?} contains a digest, which cannot be given"))
                .help("give it a name and a tag: NAME:TAG"))
        }
        None => Ok(name),
    }
}

/// Remove names of images, and images without one.
///
/// An image that has other names only loses this one. The layers of a removed image stay on the disk
/// until `isolab image prune`, because another image may share them.
#[derive(Debug, Args)]
pub struct RmArguments {
    /// Name, id or digest of an image
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// Remove an image that was given by its id even if it has several names
    #[arg(short, long)]
    force: bool,
    /// Print what was removed as a JSON array
    #[arg(long)]
    json: bool,
}

/// Removes them; one that cannot be removed does not hold up the others.
pub fn rm(arguments: &RmArguments) -> Result<u8, Failure> {
    let store = store()?;
    let (mut removed, mut code) = (Vec::new(), 0);
    for text in &arguments.images {
        match remove(&store, text, arguments.force) {
            Ok(words) => removed.extend(words),
            Err(failure) => code = failure.end(),
        }
    }
    match arguments.json {
        true => output::print_json(&json!(removed))?,
        false => {
            output::print(&removed.iter().map(|name| format!("{name}\n")).collect::<String>())?;
        }
    }
    Ok(code)
}

/// Returns what was removed, a line each.
fn remove(store: &Store, text: &str, force: bool) -> Result<Vec<String>, Failure> {
    let Named { reference, descriptor } = store.resolve(text)?;
    if let Some(reference) = reference.filter(|reference| reference.digest().is_none()) {
        let untagged = store.untag(&reference)?;
        let last = untagged.is_some_and(|(_, has_other_name)| !has_other_name);
        let mut lines = vec![format!("untagged {}", reference.familiar())];
        lines.extend(last.then(|| format!("removed {}", descriptor.digest())));
        return Ok(lines);
    }
    let same = |at: &Descriptor| at.digest() == descriptor.digest();
    let names: Vec<String> = store
        .references()?
        .into_iter()
        .filter(|(_, at)| same(at))
        .map(|(reference, _)| reference.familiar())
        .collect();
    if names.len() > 1 && !force {
        return Err(Failure::refused(format!("{text} has several names: {}", names.join(", ")))
            .help("remove one name, or all of them with --force"));
    }
    store.forget(std::slice::from_ref(&descriptor))?;
    let lines = names.iter().map(|name| format!("untagged {name}"));
    Ok(lines.chain([format!("removed {}", descriptor.digest())]).collect())
}
