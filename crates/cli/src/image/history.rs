//! `isolab image history`: what each line of its Dockerfile made.

use clap::Args;
use image::{config::History, manifest::Platform, store::Image};
use oci_spec::image::Descriptor;
use report::columns::shortened;
use serde_json::json;

use super::store;
use crate::{ansi::Ansi, failure::Failure, output, units};

/// Show how an image was built.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Name, id or digest of the image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Do not shorten instructions
    #[arg(long)]
    no_trunc: bool,
    /// Print as a JSON array
    #[arg(long)]
    json: bool,
}

/// One step, with the layer that it made.
pub(super) struct Step<'i> {
    pub(super) history: &'i History,
    pub(super) layer: Option<&'i Descriptor>,
}

/// The steps of an image, the first one first. Layers that the history does not have are lower than
/// those that it has: their image had none, and another was built on it.
pub(super) fn steps<'i>(image: &'i Image, none: &'i History) -> Vec<Step<'i>> {
    let (all, history) = (image.manifest.layers(), &image.config.history);
    let known = history.iter().filter(|history| !history.empty_layer).count();
    let unknown = all.len().saturating_sub(known);
    let mut layers = all.iter();
    let mut steps: Vec<Step<'i>> = layers
        .by_ref()
        .take(unknown)
        .map(|layer| Step { history: none, layer: Some(layer) })
        .collect();
    steps.extend(history.iter().map(|history| {
        let layer = if history.empty_layer { None } else { layers.next() };
        Step { history, layer }
    }));
    steps
}

/// Prints the steps, the last one first as `docker history` does.
pub fn history(arguments: &Arguments) -> Result<u8, Failure> {
    let store = store()?;
    let named = store.resolve(&arguments.image)?;
    let image = store.image_at(&named.descriptor, &Platform::host())?;
    let none = History::default();
    let mut steps = steps(&image, &none);
    steps.reverse();
    if arguments.json {
        output::print_json(&steps.iter().map(as_json).collect())?;
        return Ok(0);
    }
    output::print(&table(&steps, arguments.no_trunc, Ansi::of_output()))?;
    Ok(0)
}

fn as_json(step: &Step<'_>) -> serde_json::Value {
    json!({
        "created": step.history.created,
        "created_by": step.history.created_by,
        "comment": step.history.comment,
        "layer": step.layer.map(|layer| layer.digest().to_string()),
        "bytes": step.layer.map_or(0, Descriptor::size),
    })
}

/// How wide an instruction is shown.
const WIDTH: usize = 50;

fn table(steps: &[Step<'_>], whole: bool, ansi: Ansi) -> String {
    let head = format!("{:<10}  {:>9}  CREATED BY", "CREATED", "SIZE");
    let mut text = format!("{}\n", ansi.bold(&head));
    for step in steps {
        let created = step.history.created.as_deref().and_then(|date| date.get(..10));
        let by = printable(&step.history.created_by);
        let by = if whole { by } else { shortened(&by, WIDTH) };
        let size = step.layer.map_or("0".into(), |layer| units::show_size(layer.size()));
        text += &format!("{:<10}  {size:>9}  {by}\n", created.unwrap_or("-"));
    }
    text
}

/// On one line, and without what a terminal would obey: an image's author wrote it.
pub(super) fn printable(text: &str) -> String {
    let one_line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    one_line.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
