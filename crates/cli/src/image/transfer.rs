//! `isolab image pull` and `isolab image push`.

use std::time::Instant;

use clap::Args;
use image::{manifest::Platform, reference::Reference, store::Store};
use serde_json::json;

use super::{connection::ConnectionArguments, list::digest_of, of_image, progress::Bars, store};
use crate::{failure::Failure, output, termination::TerminationSignals};

/// Fetch an image from a registry.
///
/// A name without a registry means docker.io, as for docker. The layers are fetched and unpacked side
/// by side; what an interrupted pull has fetched is kept, and the next one goes on from there.
#[derive(Debug, Args)]
pub struct PullArguments {
    /// Name of the image: [REGISTRY/]REPOSITORY[:TAG][@DIGEST]
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Platform of the image, such as linux/arm64
    #[arg(long, value_name = "OS/ARCHITECTURE", default_value_t = Platform::host())]
    platform: Platform,
    /// Do not unpack its layers yet
    #[arg(long)]
    no_unpack: bool,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Print the image as a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Fetches it.
pub fn pull(arguments: &PullArguments) -> Result<u8, Failure> {
    let reference = read_reference(&arguments.image)?;
    let store = store()?;
    let quiet = arguments.quiet || arguments.json;
    let unpack = !arguments.no_unpack && arguments.platform == Platform::host();
    let Pulled { digest, code } =
        fetch(&store, &reference, &arguments.platform, &arguments.connection, quiet, unpack)?;
    if let Some(code) = code {
        return Ok(code);
    }
    if arguments.json {
        output::print_json(&json!({ "name": reference.familiar(), "digest": digest }))?;
    } else {
        output::print(&format!("{}\n", reference.familiar()))?;
    }
    Ok(0)
}

/// Fetches what `isolab run --image` needs.
pub fn pull_for_run(store: &Store, reference: &Reference) -> Result<(), Failure> {
    let connection = ConnectionArguments::default();
    let pulled = fetch(store, reference, &Platform::host(), &connection, false, true)?;
    match pulled.code {
        Some(code) => Err(Failure::refused("interrupted while the image was fetched").code(code)),
        None => Ok(()),
    }
}

struct Pulled {
    digest: String,
    /// The exit code, if a signal ended it.
    code: Option<u8>,
}

fn fetch(
    store: &Store,
    reference: &Reference,
    platform: &Platform,
    connection: &ConnectionArguments,
    quiet: bool,
    unpack: bool,
) -> Result<Pulled, Failure> {
    let signals = TerminationSignals::listen().map_err(Failure::at("set the signal handlers"))?;
    let client = connection.client()?;
    let bars = Bars::new("pulling", reference, quiet, &signals).unpacking(unpack.then_some(store));
    let pulled = client.pull(store, reference, platform, &bars);
    drop(bars);
    if signals.have_arrived() {
        return Ok(Pulled { digest: String::new(), code: Some(signals.exit_code()) });
    }
    let descriptor = pulled.map_err(of_image)?;
    if unpack {
        let image = store.image_at(&descriptor, platform)?;
        store.unpack(&image).map_err(of_image)?;
    }
    Ok(Pulled { digest: digest_of(&descriptor)?.to_string(), code: None })
}

/// Send an image to a registry.
///
/// Only what the registry does not have is sent.
#[derive(Debug, Args)]
pub struct PushArguments {
    /// Name of the image, which begins with its registry: REGISTRY/REPOSITORY[:TAG]
    #[arg(value_name = "IMAGE")]
    image: String,
    /// Show no progress
    #[arg(short, long)]
    quiet: bool,
    /// Print the name and the digest as a JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: ConnectionArguments,
}

/// Sends it.
pub fn push(arguments: &PushArguments) -> Result<u8, Failure> {
    let reference = read_reference(&arguments.image)?;
    let store = store()?;
    let began = Instant::now();
    let signals = TerminationSignals::listen().map_err(Failure::at("set the signal handlers"))?;
    let client = arguments.connection.client()?;
    let bars = Bars::new("pushing", &reference, arguments.quiet || arguments.json, &signals);
    let pushed = client.push(&store, &reference, &bars);
    drop(bars);
    if signals.have_arrived() {
        return Ok(signals.exit_code());
    }
    let descriptor = pushed.map_err(of_image)?;
    let digest = digest_of(&descriptor)?;
    match arguments.json {
        true => output::print_json(&json!({
            "name": reference.familiar(),
            "digest": digest,
            "bytes": descriptor.size(),
            "seconds": began.elapsed().as_secs_f64(),
        }))?,
        false => output::print(&format!("{}@{digest}\n", reference.familiar_name()))?,
    }
    Ok(0)
}

/// A name that a user wrote.
pub(super) fn read_reference(text: &str) -> Result<Reference, Failure> {
    text.parse().map_err(of_image).map_err(|failure| failure.code(2))
}
