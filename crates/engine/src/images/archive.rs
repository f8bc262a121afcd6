//! `docker save`, `docker load` and `docker import`: images as tar archives.

use std::io::{self, Read, Write};

use image::{
    archive::{self, ArchiveError, Format},
    build::apply_changes,
    compression::{self, Decoder, Limits},
    config::{History, ImageConfig},
    manifest::Platform,
    one_layer,
    reference::Reference,
    store::Store,
};
use oci_spec::image::Descriptor;

use super::{
    catalog,
    error::{ImageError, Result, chain},
    names::{self, is_name_only, name_to_give},
    progress::{Lines, send, status, stream},
    pull::platform,
};

/// An image that is saved, with its name.
pub type SavedImage = (Option<Reference>, Descriptor);

/// The images that `names` mean: of a repository without a tag all tags.
///
/// # Errors
///
/// 400 when one is not a name, 404 when there is no such image.
pub fn select(store: &Store, names: &[String]) -> Result<Vec<SavedImage>> {
    let mut selected: Vec<SavedImage> = Vec::new();
    for text in names {
        if let (true, Ok(name)) = (is_name_only(text), text.parse::<Reference>()) {
            let of_repository = |(known, _): &(Reference, Descriptor)| {
                known.name() == name.name() && known.digest().is_none()
            };
            let tags: Vec<_> = store.references()?.into_iter().filter(of_repository).collect();
            if !tags.is_empty() {
                selected.extend(tags.into_iter().map(|(name, at)| (Some(name), at)));
                continue;
            }
        }
        let found = names::find(store, text)?;
        selected.push(match found.reference {
            Some((name, at)) => (Some(name).filter(|name| name.digest().is_none()), at),
            None => (None, found.image.tops[0].clone()),
        });
    }
    match selected.is_empty() {
        true => Err(ImageError::Invalid("no image was named".into())),
        false => Ok(selected),
    }
}

/// Writes them as one archive, as `docker save` does.
///
/// # Errors
///
/// When one of them is not whole in the store, or the client is gone.
pub fn save(store: &Store, images: &[SavedImage], out: &mut dyn Write) -> Result<()> {
    Ok(archive::save(store, images, out, Format::Docker)?)
}

/// Loads the images of an archive, and says which they are.
///
/// # Errors
///
/// 400 when it is not an archive of images, is cut off or contradicts itself.
pub fn load(store: &Store, input: impl Read + Send, lines: &mut Lines<'_>) -> Result<()> {
    let loaded = archive::load(store, unpacked(input)?).map_err(|error| match error {
        ArchiveError::Store(error) => error.into(),
        ArchiveError::Write(_) => ImageError::failed(&error),
        other => ImageError::Invalid(chain(&other)),
    })?;
    for image in loaded {
        let Some(whole) = catalog::image_of(store, &image.descriptor) else { continue };
        if let Err(error) = store.unpack(&whole) {
            // A container of it could not be made.
            image.names.iter().try_for_each(|name| store.untag(name).map(drop))?;
            return Err(error.into());
        }
        for name in &image.names {
            send(lines, stream(format!("Loaded image: {}\n", name.familiar())))?;
        }
        if image.names.is_empty() {
            send(lines, stream(format!("Loaded image ID: {}\n", whole.id()?)))?;
        }
    }
    Ok(())
}

/// What is made of an archive of files.
#[derive(Debug, Clone, Default)]
pub struct ImportRequest {
    /// The name; empty for none.
    pub repo: String,
    /// Its tag; empty for `latest`.
    pub tag: String,
    /// A remark for the image's history.
    pub message: String,
    /// Lines of a Dockerfile that change the image's config.
    pub changes: Vec<String>,
    /// `linux/arm64`; empty for this host's.
    pub platform: String,
}

/// Makes an image of a root file system's archive, and says its id.
///
/// # Errors
///
/// 400 when it is not an archive, or what is asked for is invalid.
pub fn import(
    store: &Store,
    input: impl Read + Send,
    request: &ImportRequest,
    lines: &mut Lines<'_>,
) -> Result<()> {
    let name = match &*request.repo {
        "" => None,
        repo => Some(name_to_give(repo, &request.tag)?),
    };
    let Platform { os, architecture, variant } = platform(&request.platform)?;
    let created = Some(crate::time::now());
    let comment = match &*request.message {
        "" => "Imported from -".to_owned(),
        message => message.to_owned(),
    };
    let mut config = ImageConfig { os, architecture, variant, ..ImageConfig::scratch() };
    config.created.clone_from(&created);
    config.history.push(History { created, comment, ..History::default() });
    change(&mut config, &request.changes)?;
    let broken = |error: &dyn std::fmt::Display| {
        ImageError::Invalid(format!("the archive cannot be read: {error}"))
    };
    let mut unpacked = unpacked(input)?;
    // A failure of the client's archive is not one of the store.
    let mut failed = None;
    let kept = one_layer::keep(store, config, |out| {
        let mut reader = Noting { inner: &mut unpacked, failed: &mut failed };
        io::copy(&mut reader, out).map(drop)
    });
    if let Some(failed) = failed {
        return Err(broken(&failed));
    }
    let (descriptor, _) = kept?;
    // What is no archive is found out before it has a name.
    let image = store.image_at(&descriptor, &Platform::host())?;
    store.unpack(&image).map_err(|error| broken(&chain(&error)))?;
    match &name {
        Some(name) => store.tag(name, &descriptor)?,
        None => store.keep(&descriptor)?,
    }
    send(lines, status(image.id()?.to_string()))
}

/// Changes a config by lines of a Dockerfile.
///
/// # Errors
///
/// 400 when one is malformed, or does more.
pub(super) fn change(config: &mut ImageConfig, changes: &[String]) -> Result<()> {
    let changed = apply_changes(config, &changes.join("\n"));
    changed.map_err(|error| ImageError::Invalid(chain(&error)))
}

/// An archive without its compression.
///
/// # Errors
///
/// 400 when the client does not send its beginning.
pub(super) fn unpacked<'r>(input: impl Read + Send + 'r) -> Result<Decoder<'r>> {
    let unpacked = compression::archive_decoder(input, &Limits::default());
    unpacked.map_err(|error| ImageError::Invalid(format!("the archive cannot be read: {error}")))
}

/// Keeps in mind that the bytes of a client could not be read.
struct Noting<'a, R> {
    inner: R,
    failed: &'a mut Option<String>,
}

impl<R: Read> Read for Noting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        if let Err(error) = &read
            && error.kind() != io::ErrorKind::Interrupted
        {
            *self.failed = Some(error.to_string());
        }
        read
    }
}
