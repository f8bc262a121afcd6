//! `isolab image explain`: what an image is, with every digest computed before the viewer's eyes.
//!
//! ```text
//!   hello:1
//!   index     sha256:1f0e..   412 B      computed: the same
//!   └ manifest  sha256:ab12..   1.1 KiB  computed: the same
//!     ├ config    sha256:77aa..   2.0 KiB  computed: the same    the image's id
//!     ├ layer 1   sha256:9f86..   3.2 MiB  computed: the same    shared with base:1
//!     │   COPY programs /      14 files, 5.1 MiB unpacked
//! ```

use std::{
    collections::BTreeMap,
    io::IsTerminal as _,
    time::{Duration, Instant},
};

use clap::Args;
use image::{
    config::History,
    digest::Digest,
    manifest::{self, Document, Platform},
    store::{Image, Store},
    unpacked::{Contents, Layer},
};
use oci_spec::image::Descriptor;
use report::columns::{padded, shortened};
use serde_json::{Value, json};

use super::{
    history::{printable, steps},
    list::digest_of,
    of_image, store,
};
use crate::{ansi::Ansi, failure::Failure, output, units};

/// Show what an image consists of, and compute its digests anew.
///
/// A tree of index, manifest, config and layers, each with its size and its digest; what each line of
/// the Dockerfile added; and which layers other images of this host share.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name, id or digest of the image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Print as a JSON object
    #[arg(long)]
    json: bool,
}

/// One blob of the tree.
struct Node {
    /// How deep it is in the tree.
    depth: usize,
    what: String,
    descriptor: Descriptor,
    /// What to say of it.
    remarks: Vec<String>,
}

/// A digest that was computed anew.
struct Computed {
    is_same: bool,
    time: Duration,
}

/// Explains it.
pub fn explain(arguments: &Arguments) -> Result<u8, Failure> {
    let store = store()?;
    let named = store.resolve(&arguments.image)?;
    let image = store.image_at(&named.descriptor, &Platform::host())?;
    let nodes = nodes(&store, &named.descriptor, &image)?;
    let name = named.reference.map_or(arguments.image.clone(), |name| name.familiar());
    let ansi = Ansi::of_output();
    let mut documents = Vec::new();
    let mut damaged = 0;
    if !arguments.json {
        output::print(&format!("{}\n", ansi.bold(&name)))?;
    }
    for node in &nodes {
        if !arguments.json && std::io::stdout().is_terminal() {
            output::print(&format!("{}  computing its digest ..\r", head(node)))?;
        }
        let computed = compute(&store, &node.descriptor)?;
        damaged += u8::from(!computed.is_same);
        match arguments.json {
            true => documents.push(as_json(node, &computed)),
            false => output::print(&lines(node, &computed, ansi))?,
        }
    }
    if arguments.json {
        output::print_json(&json!({ "name": name, "blobs": documents }))?;
    }
    match damaged {
        0 => Ok(0),
        _ => {
            Err(Failure::refused(format!("{damaged} of its blobs are not what their digests say"))
                .help("`isolab image rm` it, then pull or build it again"))
        }
    }
}

fn nodes(store: &Store, top: &Descriptor, image: &Image) -> Result<Vec<Node>, Failure> {
    let mut nodes = Vec::new();
    let mut depth = 0;
    if top.digest() != image.descriptor.digest() {
        let remarks = vec![platforms(store, top)?];
        nodes.push(Node { depth, what: "index".into(), descriptor: top.clone(), remarks });
        depth += 1;
    }
    let platform = format!("{}/{}", image.config.os, image.config.architecture);
    let manifest = image.descriptor.clone();
    nodes.push(Node {
        depth,
        what: "manifest".into(),
        descriptor: manifest,
        remarks: vec![platform],
    });
    depth += 1;
    let config = image.manifest.config().clone();
    let remarks = vec!["its digest is the image's id".into()];
    nodes.push(Node { depth, what: "config".into(), descriptor: config, remarks });
    let none = History::default();
    let sharers = sharers(store, image)?;
    let layers = image.layers();
    for (number, step) in steps(image, &none).iter().filter(|step| step.layer.is_some()).enumerate()
    {
        let Some(layer) = layers.get(number) else { break };
        let mut remarks = vec![made_by(step.history)];
        remarks.extend(contents(store, layer));
        let others = sharers.get(&layer.chain_id).map(Vec::as_slice).unwrap_or_default();
        remarks.extend((!others.is_empty()).then(|| format!("shared with {}", others.join(", "))));
        let what = format!("layer {}", number + 1);
        nodes.push(Node { depth, what, descriptor: layer.descriptor.clone(), remarks });
    }
    Ok(nodes)
}

fn made_by(history: &History) -> String {
    let by = printable(&history.created_by);
    let by = by.strip_prefix("/bin/sh -c #(nop) ").unwrap_or(&by).trim();
    if by.is_empty() { "its history does not say what made it".into() } else { by.to_owned() }
}

fn platforms(store: &Store, index: &Descriptor) -> Result<String, Failure> {
    let bytes = store.read_small("index", index)?;
    let all = match Document::read(&bytes, None).map_err(of_image)? {
        Document::Index(index) => {
            index.manifests().iter().filter_map(manifest::platform_of).collect()
        }
        Document::Manifest(_) => Vec::new(),
    };
    let all: Vec<String> = all.iter().map(Platform::to_string).collect();
    Ok(format!("images for {}", all.join(", ")))
}

fn contents(store: &Store, layer: &Layer) -> Option<String> {
    let Contents { files, directories, whiteouts, bytes } =
        Contents::of(&store.unpacked_path(&layer.chain_id)).ok()?;
    let mut text = format!("adds {files} files and {directories} directories");
    if whiteouts > 0 {
        text += &format!(", hides {whiteouts}");
    }
    Some(format!("{text}; {} unpacked", units::show_size(bytes)))
}

/// The names of other images that have a layer over the same ones, by chain id.
fn sharers(store: &Store, image: &Image) -> Result<BTreeMap<Digest, Vec<String>>, Failure> {
    let mut sharers: BTreeMap<Digest, Vec<String>> = BTreeMap::new();
    for (reference, descriptor) in store.references()? {
        let Ok(other) = store.image_at(&descriptor, &Platform::host()) else { continue };
        if other.descriptor.digest() == image.descriptor.digest() {
            continue;
        }
        for chain_id in other.config.chain_ids() {
            sharers.entry(chain_id).or_default().push(reference.familiar());
        }
    }
    Ok(sharers)
}

fn compute(store: &Store, descriptor: &Descriptor) -> Result<Computed, Failure> {
    let digest = digest_of(descriptor)?;
    let began = Instant::now();
    let is_same = match store.blob(&digest)? {
        Some(mut blob) => blob.size == descriptor.size() && blob.verify(&digest).is_ok(),
        None => false,
    };
    Ok(Computed { is_same, time: began.elapsed() })
}

fn as_json(node: &Node, computed: &Computed) -> Value {
    json!({
        "what": node.what,
        "media_type": node.descriptor.media_type().to_string(),
        "digest": node.descriptor.digest().to_string(),
        "bytes": node.descriptor.size(),
        "verified": computed.is_same,
        "computed_ms": computed.time.as_secs_f64() * 1e3,
        "remarks": node.remarks,
    })
}

/// Where the digests begin.
const DIGESTS: usize = 17;

fn head(node: &Node) -> String {
    let branch = if node.depth == 0 { "" } else { "└ " };
    let what = format!("{}{branch}{}", "  ".repeat(node.depth.saturating_sub(1)), node.what);
    let digest = node.descriptor.digest().to_string();
    let size = units::show_size(node.descriptor.size());
    format!("{}{}  {size:>9}", padded(&what, DIGESTS), digest.get(..19).unwrap_or(&digest))
}

fn lines(node: &Node, computed: &Computed, ansi: Ansi) -> String {
    let words = match computed.is_same {
        true => ansi.green("computed: the same"),
        false => ansi.yellow("computed: ANOTHER, the blob is damaged"),
    };
    let time = match node.descriptor.size() {
        0..1_000_000 => String::new(),
        _ => format!(" in {} ms", computed.time.as_millis()),
    };
    let mut text = format!("{}  {words}{time}\n", head(node));
    for remark in &node.remarks {
        text += &format!("{:DIGESTS$}{}\n", "", ansi.dim(&shortened(remark, 80 - DIGESTS)));
    }
    text
}
