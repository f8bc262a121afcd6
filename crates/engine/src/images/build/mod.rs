//! `docker build`: the classic builder, whose client sends the whole context as an archive.
//!
//! ```text
//!   archive ──> context: a directory ──> image::build ──> RUN: a container of the engine's own kind
//!                                            │    └─────> FROM: the store, or a registry
//!                                            └──────────> output: the lines that dockerd prints
//! ```
//!
//! Source: moby, builder/dockerfile and api/server/router/build.

mod bases;
mod context;
mod network;
mod output;
mod request;
mod run;
#[cfg(test)]
mod tests;

use std::io::Read;

use image::{
    build::{BuildError, Builder, Request, StepError},
    digest::Digest,
    reference::Reference,
    store::Store,
};
use serde_json::json;

use super::{
    error::{ImageError, Result, chain},
    progress::{Lines, stream},
    registries::Registries,
};
use bases::Bases;
use context::Context;
use output::BuildOutput;
pub use request::BuildRequest;
use run::Containers;

/// Builds the image that `request` asks for, with the archive `input` as its context; its id. Nothing is
/// sent before the Dockerfile was read, so that an error in it can still be the response's status.
///
/// # Errors
///
/// 400 when the archive or what is asked for is invalid; and, once the response has begun, when a step
/// fails.
pub fn build(
    store: &Store,
    registries: &Registries,
    request: &BuildRequest,
    input: impl Read + Send,
    lines: &mut Lines<'_>,
) -> Result<Digest> {
    let tags = request.tags()?;
    let network = request.network()?;
    request.check()?;
    run::remove_left();
    let context = Context::unpack(store, input)?;
    let (file, dockerfile) = context.dockerfile(&request.dockerfile)?;
    let asked = Request {
        file,
        dockerfile,
        context: Some(context.path()),
        target: Some(request.target.clone()).filter(|target| !target.is_empty()),
        arguments: request.arguments()?,
        labels: request.labels()?,
        no_cache: request.no_cache,
        source_date_epoch: None,
    };
    let output = BuildOutput::new(lines, request.quiet);
    let run = Containers::new(request, network, &output);
    let bases = Bases { store, registries, request, output: &output };
    let events = |event: image::build::Event<'_>| output.event(&event);
    let builder = Builder { store, run: &run, images: &bases, events: &events };
    let built = builder.build(&asked).and_then(|built| {
        let kept = match &*tags {
            [] => store.keep(&built.descriptor),
            tags => tags.iter().try_for_each(|tag| store.tag(tag, &built.descriptor)),
        };
        let failed = |error| BuildError::Store(Box::new(StepError::Store(error)));
        kept.map(|()| built).map_err(failed)
    });
    let built = match built {
        Ok(built) => built,
        Err(error) => {
            let failure = run.failed_command().unwrap_or_else(|| failure(&error));
            return Err(output.failed(failure));
        }
    };
    let image = super::catalog::image_of(store, &built.descriptor);
    if let Some(image) = image {
        store.unpack(&image)?;
    }
    end(&output, &built.id, &tags)?;
    Ok(built.id)
}

/// The last lines of a build.
fn end(output: &BuildOutput<'_, '_>, id: &Digest, tags: &[Reference]) -> Result<()> {
    output.send(json!({ "aux": { "ID": id.to_string() } }))?;
    if output.is_quiet() {
        return output.send(stream(format!("{id}\n")));
    }
    output.send(stream(format!("Successfully built {}\n", id.short())))?;
    let tagged = |tag: &Reference| stream(format!("Successfully tagged {}\n", tag.familiar()));
    tags.iter().try_for_each(|tag| output.send(tagged(tag)))
}

/// The failure of a build in dockerd's words, as far as it has some.
fn failure(error: &BuildError) -> ImageError {
    match error {
        BuildError::Dockerfile(error) => {
            ImageError::Invalid(format!("dockerfile parse error: {}", chain(error)))
        }
        BuildError::Step { source, .. } => match &**source {
            StepError::Image { source, .. } | StepError::Run(source) => {
                let known = source.downcast_ref::<ImageError>().cloned();
                known.unwrap_or_else(|| ImageError::failed(error))
            }
            _ => ImageError::failed(error),
        },
        _ => ImageError::failed(error),
    }
}
