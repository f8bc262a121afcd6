//! `isolab image save` and `load`: images exchanged with docker, podman and skopeo.

use std::{
    fs::File,
    io::{IsTerminal as _, Read, stdin},
    path::{Path, PathBuf},
};

use clap::{Args, ValueEnum};
use image::{
    archive::{self, Format, Loaded},
    reference::Reference,
};
use oci_spec::image::Descriptor;
use serde_json::json;

use super::{export::write_to, list::digest_of, of_image, store};
use crate::{failure::Failure, output};

/// Write images to an archive.
#[derive(Debug, Args)]
pub struct SaveArguments {
    /// Name, id or digest of an image
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<String>,
    /// File to write, or with --format oci-dir a directory [default: standard output]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Format of the archive
    #[arg(long, value_enum, default_value = "docker-archive")]
    format: SavedAs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SavedAs {
    /// As `docker save` writes it; docker, podman and skopeo read it
    DockerArchive,
    /// An OCI image layout as a tar archive
    OciArchive,
    /// An OCI image layout as a directory
    OciDir,
}

/// Writes them.
pub fn save(arguments: &SaveArguments) -> Result<u8, Failure> {
    let store = store()?;
    let mut images: Vec<(Option<Reference>, Descriptor)> = Vec::new();
    for text in &arguments.images {
        let named = store.resolve(text)?;
        images.push((named.reference.filter(|name| name.digest().is_none()), named.descriptor));
    }
    let format = match arguments.format {
        SavedAs::DockerArchive => Format::Docker,
        SavedAs::OciArchive => Format::Oci,
        SavedAs::OciDir => {
            let Some(path) = &arguments.output else {
                return Err(
                    Failure::usage("--format oci-dir needs a directory").help("name it with -o")
                );
            };
            archive::save_directory(&store, &images, path).map_err(of_image)?;
            return Ok(0);
        }
    };
    let mut failed = None;
    let written = write_to(arguments.output.as_deref(), |output| {
        archive::save(&store, &images, output, format).map_err(|error| {
            let text = sandbox::chain(&error);
            failed = Some(error);
            std::io::Error::other(text)
        })
    });
    match failed {
        Some(error) => Err(of_image(error)),
        None => written.map(|()| 0),
    }
}

/// Load images from an archive or an OCI image layout.
///
/// Archives of `docker save`, `podman save` and `skopeo copy` are read, also if gzip or zstd has
/// compressed them.
#[derive(Debug, Args)]
pub struct LoadArguments {
    /// File or directory to read [default: standard input]
    #[arg(short, long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Print nothing
    #[arg(short, long)]
    quiet: bool,
    /// Print what was loaded as a JSON array
    #[arg(long)]
    json: bool,
}

/// Loads them.
pub fn load(arguments: &LoadArguments) -> Result<u8, Failure> {
    let store = store()?;
    let input = arguments.input.as_deref().filter(|path| *path != Path::new("-"));
    let loaded = match input {
        Some(path) if path.is_dir() => archive::load_directory(&store, path),
        _ => archive::load(&store, open(input)?),
    }
    .map_err(of_image)?;
    if arguments.json {
        output::print_json(&loaded.iter().map(as_json).collect())?;
    } else if !arguments.quiet {
        for image in &loaded {
            let digest = digest_of(&image.descriptor)?;
            let names = image.names.iter().map(|name| format!("loaded {}\n", name.familiar()));
            let names: String = names.collect();
            let nameless = || format!("loaded {digest}\n");
            output::print(&if names.is_empty() { nameless() } else { names })?;
        }
    }
    Ok(0)
}

fn open(path: Option<&Path>) -> Result<Box<dyn Read + Send>, Failure> {
    let Some(path) = path else {
        if stdin().is_terminal() {
            return Err(Failure::usage("standard input is a terminal and not an archive")
                .help("name a file with -i FILE"));
        }
        return Ok(Box::new(stdin()));
    };
    let file = File::open(path).map_err(Failure::at(format!("open {}", path.display())))?;
    Ok(Box::new(file))
}

fn as_json(image: &Loaded) -> serde_json::Value {
    json!({
        "names": image.names.iter().map(Reference::familiar).collect::<Vec<_>>(),
        "digest": image.descriptor.digest().to_string(),
    })
}
