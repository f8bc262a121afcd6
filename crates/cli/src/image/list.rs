//! `isolab image list`.

use clap::Args;
use image::{
    digest::Digest,
    manifest::{self, Platform},
    reference::Reference,
    store::{Image, Store},
};
use oci_spec::image::Descriptor;
use report::columns::shortened;
use serde_json::json;

use super::store;
use crate::{ansi::Ansi, failure::Failure, output, units};

/// List images.
#[derive(Debug, Args)]
pub struct Arguments {
    /// List only the images of this name, with any tag
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Print only the ids
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
    /// Show the digests of the manifests
    #[arg(long)]
    digests: bool,
    /// Do not shorten ids
    #[arg(long)]
    no_trunc: bool,
    /// Print as a JSON array
    #[arg(long)]
    json: bool,
}

/// A line of the list.
struct Row {
    reference: Option<Reference>,
    descriptor: Descriptor,
    /// `None` if it is for other platforms, or damaged.
    image: Option<Image>,
}

impl Row {
    fn id(&self) -> Option<Digest> {
        self.image.as_ref().and_then(|image| image.id().ok())
    }

    /// The bytes of its blobs.
    fn bytes(&self) -> u64 {
        let Some(image) = &self.image else { return self.descriptor.size() };
        let layers: u64 = image.manifest.layers().iter().map(Descriptor::size).sum();
        self.descriptor.size() + image.manifest.config().size() + layers
    }

    fn created(&self) -> &str {
        let created = self.image.as_ref().and_then(|image| image.config.created.as_deref());
        created.unwrap_or_default()
    }
}

/// Prints the list.
pub fn list(arguments: &Arguments) -> Result<u8, Failure> {
    let store = store()?;
    let rows = rows(&store, arguments.name.as_deref())?;
    if arguments.quiet {
        let mut ids: Vec<String> =
            rows.iter().filter_map(Row::id).map(|id| id_text(&id, arguments.no_trunc)).collect();
        ids.dedup();
        output::print(&ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
    } else if arguments.json {
        output::print_json(&rows.iter().map(as_json).collect())?;
    } else {
        output::print(&table(&rows, arguments, Ansi::of_output()))?;
    }
    Ok(0)
}

fn rows(store: &Store, name: Option<&str>) -> Result<Vec<Row>, Failure> {
    let wanted = name.map(str::parse::<Reference>).transpose();
    let wanted = wanted.map_err(super::of_image)?;
    // `hello` means all tags, `hello:1` that one.
    let has_tag = name.is_some_and(|name| name.rsplit('/').next().unwrap_or(name).contains(':'));
    let is_wanted = |reference: &Reference| match &wanted {
        Some(wanted) if has_tag => wanted == reference,
        Some(wanted) => wanted.name() == reference.name(),
        None => true,
    };
    let named = store.references()?.into_iter().filter(|(reference, _)| is_wanted(reference));
    let named = named.map(|(reference, descriptor)| (Some(reference), descriptor));
    let dangling = match wanted {
        Some(_) => Vec::new(),
        None => store.dangling()?,
    };
    let all = named.chain(dangling.into_iter().map(|descriptor| (None, descriptor)));
    Ok(all
        .map(|(reference, descriptor)| {
            let image = store.image_at(&descriptor, &Platform::host()).ok();
            Row { reference, descriptor, image }
        })
        .collect())
}

fn as_json(row: &Row) -> serde_json::Value {
    json!({
        "name": row.reference.as_ref().map(Reference::familiar_name),
        "tag": row.reference.as_ref().and_then(Reference::tag),
        "id": row.id(),
        "digest": row.descriptor.digest().to_string(),
        "created": row.image.as_ref().and_then(|image| image.config.created.clone()),
        "layers": row.image.as_ref().map(|image| image.manifest.layers().len()),
        "bytes": row.bytes(),
    })
}

fn id_text(id: &Digest, whole: bool) -> String {
    if whole { id.to_string() } else { id.short().to_owned() }
}

fn table(rows: &[Row], arguments: &Arguments, ansi: Ansi) -> String {
    let name = |row: &Row| row.reference.as_ref().map_or("<none>".into(), Reference::familiar_name);
    let tag = |row: &Row| {
        let tag = row.reference.as_ref().and_then(Reference::tag);
        tag.unwrap_or("<none>").to_owned()
    };
    let id = |row: &Row| row.id().map_or("-".into(), |id| id_text(&id, arguments.no_trunc));
    let widest = |of: &dyn Fn(&Row) -> String, least: usize, most: usize| {
        let widths = rows.iter().map(|row| of(row).chars().count());
        widths.max().unwrap_or(0).clamp(least, most)
    };
    let (name_width, tag_width) = (widest(&name, 4, 36), widest(&tag, 3, 16));
    let id_width = widest(&id, 2, 71);
    let digest_head = if arguments.digests { format!("{:<73}", "DIGEST") } else { String::new() };
    let head = format!(
        "{:<name_width$}  {:<tag_width$}  {digest_head}{:<id_width$}  {:<10}  {:>9}",
        "NAME", "TAG", "ID", "CREATED", "SIZE"
    );
    let mut text = format!("{}\n", ansi.bold(&head));
    for row in rows {
        let digest = match arguments.digests {
            true => format!("{:<73}", row.descriptor.digest().to_string()),
            false => String::new(),
        };
        text += &format!(
            "{:<name_width$}  {:<tag_width$}  {digest}{:<id_width$}  {:<10}  {:>9}\n",
            shortened(&name(row), name_width),
            shortened(&tag(row), tag_width),
            id(row),
            row.created().get(..10).unwrap_or("-"),
            units::show_size(row.bytes()),
        );
    }
    text
}

/// The digest of a descriptor, for messages.
pub(super) fn digest_of(descriptor: &Descriptor) -> Result<Digest, Failure> {
    manifest::digest_of(descriptor).map_err(super::of_image)
}
