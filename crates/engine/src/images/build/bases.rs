//! The images that `FROM` and `COPY --from` name: those of the store, or fetched.

use image::{
    build::{AnyError, Images},
    reference::Reference,
    store::{Image, Store},
};

use super::{output::BuildOutput, request::BuildRequest};
use crate::images::{
    error::ImageError,
    names,
    pull::{PullRequest, pull},
    registries::Registries,
};

pub(super) struct Bases<'a, 'l, 'o> {
    pub(super) store: &'a Store,
    pub(super) registries: &'a Registries,
    pub(super) request: &'a BuildRequest,
    pub(super) output: &'o BuildOutput<'a, 'l>,
}

impl Images for Bases<'_, '_, '_> {
    fn image(&self, name: &str) -> Result<Image, AnyError> {
        if !self.request.pull {
            match names::find(self.store, name) {
                Ok(found) => return Ok(found.image.image),
                Err(ImageError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let reference: Reference = name.parse().map_err(ImageError::from)?;
        let request = PullRequest {
            image: reference.name(),
            // Without one, all tags would be meant.
            tag: reference.identifier(),
            platform: self.request.platform.clone(),
            auth: self.request.auth.of_registry(reference.registry()),
        };
        self.output.with_lines(|lines| pull(self.store, self.registries, &request, lines))?;
        Ok(names::find(self.store, &reference.to_string())?.image.image)
    }
}
