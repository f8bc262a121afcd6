//! `isolab image export`, `import` and `diff`: an image's root as an archive, and what it changed.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read, Write, stdin, stdout},
    path::{Path, PathBuf},
};

use clap::Args;
use image::{
    compression::{self, Limits},
    config::{History, ImageConfig},
    difference::{Kind, differences},
    flatten::flatten,
    manifest::Platform,
    one_layer,
    store::Store,
};
use serde_json::json;

use super::{names::name_to_give, of_image, store};
use crate::{failure::Failure, output, units};

/// Write the root file system of an image as a tar archive.
#[derive(Debug, Args)]
pub struct ExportArguments {
    /// Name, id or digest of the image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// File to write [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes it.
pub fn export(arguments: &ExportArguments) -> Result<u8, Failure> {
    let layers = layers(&store()?, &arguments.image)?;
    write_to(arguments.output.as_deref(), |output| flatten(&layers, output).map(drop))?;
    Ok(0)
}

/// The layers of an image as directories.
fn layers(store: &Store, name: &str) -> Result<Vec<PathBuf>, Failure> {
    let named = store.resolve(name)?;
    let image = store.image_at(&named.descriptor, &Platform::host())?;
    store.unpack(&image).map_err(of_image)
}

/// Has `write` write to a file that is there whole or not at all, or to standard output.
pub(super) fn write_to(
    path: Option<&Path>,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), Failure> {
    let Some(path) = path.filter(|path| *path != Path::new("-")) else {
        if stdout().is_terminal() {
            return Err(Failure::usage("an archive on a terminal is of no use")
                .help("name a file with -o FILE, or redirect standard output"));
        }
        return write(&mut stdout().lock()).map_err(Failure::at("write to standard output"));
    };
    let at = || format!("write {}", path.display());
    if path.exists() && !path.is_file() {
        // A pipe or a device is written to as it is.
        let mut file = File::options().write(true).open(path).map_err(Failure::at(at()))?;
        return write(&mut file).map_err(Failure::at(at()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))
        .map_err(Failure::at(at()))?;
    write(&mut io::BufWriter::with_capacity(128 << 10, &mut file)).map_err(Failure::at(at()))?;
    file.persist(path).map_err(|error| Failure::at(at())(error.error))?;
    Ok(())
}

/// Make an image of a root file system's tar archive.
#[derive(Debug, Args)]
pub struct ImportArguments {
    /// The archive, also compressed by gzip or zstd; - for standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Name for the image
    #[arg(value_name = "NAME[:TAG]")]
    name: String,
    /// Program that a container of it runs, with its arguments
    #[arg(long, value_name = "WORD", num_args = 1.., allow_hyphen_values = true)]
    cmd: Vec<String>,
    /// Environment variable of its containers; may be repeated
    #[arg(short, long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// Print the image as a JSON object
    #[arg(long)]
    json: bool,
}

/// Makes it.
pub fn import(arguments: &ImportArguments) -> Result<u8, Failure> {
    let name = name_to_give(&arguments.name)?;
    let at = format!("read {}", arguments.file.display());
    let file: Box<dyn Read + Send> = match arguments.file == Path::new("-") {
        true => Box::new(stdin()),
        false => Box::new(File::open(&arguments.file).map_err(Failure::at(&*at))?),
    };
    let mut archive = compression::decoder(file, &Limits::default()).map_err(Failure::at(&*at))?;
    let store = store()?;
    let mut config = ImageConfig::scratch();
    config.config.cmd = (!arguments.cmd.is_empty()).then(|| arguments.cmd.clone());
    config.config.env.clone_from(&arguments.environment);
    let created_by = format!("isolab image import {}", arguments.file.display());
    config.history.push(History { created_by, ..History::default() });
    let write = |output: &mut dyn Write| io::copy(&mut archive, output).map(drop);
    let (descriptor, bytes) = one_layer::keep(&store, config, write)?;
    // What is no archive is found out before it has a name.
    let image = store.image_at(&descriptor, &Platform::host())?;
    store.unpack(&image).map_err(of_image)?;
    store.tag(&name, &descriptor)?;
    let digest = descriptor.digest().to_string();
    match arguments.json {
        true => output::print_json(
            &json!({ "name": name.familiar(), "digest": digest, "bytes": bytes }),
        )?,
        false => output::print(&format!("{}  {}\n", name.familiar(), units::show_size(bytes)))?,
    }
    Ok(0)
}

/// Show what differs between two images, or what the uppermost layer of one changed.
///
/// A path that is only in the second is A (added), one that is only in the first D (deleted), and one
/// that differs C (changed).
#[derive(Debug, Args)]
pub struct DiffArguments {
    /// Name, id or digest of an image
    #[arg(value_name = "IMAGE")]
    image: String,
    /// The second image [default: IMAGE itself, compared with what it is without its uppermost layer]
    #[arg(value_name = "OTHER")]
    other: Option<String>,
    /// Print as a JSON array
    #[arg(long)]
    json: bool,
}

/// Shows it.
pub fn diff(arguments: &DiffArguments) -> Result<u8, Failure> {
    let store = store()?;
    let first = layers(&store, &arguments.image)?;
    let (before, after) = match &arguments.other {
        Some(other) => (first, layers(&store, other)?),
        None => (first.iter().skip(1).cloned().collect(), first),
    };
    let mut found: Vec<(Kind, String)> = Vec::new();
    differences(&before, &after, &mut |kind, path| {
        found.push((kind, String::from_utf8_lossy(path).into_owned()));
    })
    .map_err(Failure::at("compare the images"))?;
    if arguments.json {
        let as_json = |(kind, path): &(Kind, String)| json!({ "kind": kind.letter().to_string(), "path": path });
        output::print_json(&found.iter().map(as_json).collect())?;
    } else {
        let line = |(kind, path): &(Kind, String)| {
            format!("{} {}\n", kind.letter(), super::history::printable(path))
        };
        output::print(&found.iter().map(line).collect::<String>())?;
    }
    Ok(0)
}
