//! `docker tag` and `docker rmi`: names given and taken away, and images removed.
//!
//! Source: moby, daemon/images/image_delete.go.

use std::collections::HashSet;

use bollard_stubs::models::ImageDeleteResponseItem;
use image::{digest::Digest, reference::Reference, store::Store};
use oci_spec::image::Descriptor;

use super::{
    catalog::{self, StoredImage},
    error::{ImageError, Result},
    names::{self, Found, is_id_prefix, name_to_give},
};

/// A container, as far as it keeps an image from being removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageUser {
    /// The container's id.
    pub container: String,
    /// Its image's id: `sha256:..`.
    pub image: String,
    /// Whether it runs.
    pub is_running: bool,
}

/// How an image is removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RemoveOptions {
    /// Also all names of an image that was given by its id, and one that a stopped container has.
    pub force: bool,
}

/// Gives the image that `text` means the name of `repo` and `tag`.
///
/// # Errors
///
/// 400 for what is not a name, 404 when there is no such image.
pub fn tag(store: &Store, text: &str, repo: &str, tag: &str) -> Result<Reference> {
    let name = name_to_give(repo, tag)?;
    let Found { image, reference } = names::find(store, text)?;
    let descriptor = match reference {
        Some((_, descriptor)) => descriptor,
        None => image.tops[0].clone(),
    };
    store.tag(&name, &descriptor)?;
    Ok(name)
}

/// Takes the name `text` away or, with the last of its names or by its id, removes the image. The bytes
/// of its layers are freed by [`reclaim`](super::prune::reclaim). An image that a container still has
/// loses its names alone: its layers are the container's root.
///
/// # Errors
///
/// 404 when there is no such image; 409 when one of `users` or another name needs it.
pub fn remove(
    store: &Store,
    text: &str,
    options: RemoveOptions,
    users: &[ImageUser],
) -> Result<Vec<ImageDeleteResponseItem>> {
    let Found { image, reference } = names::find(store, text)?;
    let mut removal = Removal { store, image, users, answer: Vec::new() };
    let by_name = reference.filter(|_| !is_id_prefix(&removal.image.id, text));
    let is_removed_quietly = match by_name {
        Some((name, descriptor)) => {
            removal.untag(text, &name, &descriptor, options)?;
            if !removal.image.references.is_empty() {
                return Ok(removal.answer);
            }
            true
        }
        None => {
            removal.check(options.force, removal.image.has_single_reference())?;
            false
        }
    };
    removal.delete(options.force, is_removed_quietly)?;
    Ok(removal.answer)
}

struct Removal<'a> {
    store: &'a Store,
    image: StoredImage,
    users: &'a [ImageUser],
    answer: Vec<ImageDeleteResponseItem>,
}

impl Removal<'_> {
    fn untag(
        &mut self,
        text: &str,
        name: &Reference,
        descriptor: &Descriptor,
        options: RemoveOptions,
    ) -> Result<()> {
        if !options.force
            && self.image.has_single_reference()
            && let Some(user) = self.users.iter().find(|user| self.is_used_by(user))
        {
            return Err(ImageError::Conflict(format!(
                "conflict: unable to remove repository reference \"{text}\" (must force) - container \
                 {} is using its referenced image {}",
                short(&user.container),
                self.image.id.short()
            )));
        }
        // Every name by its digest is another word for its tags.
        let untagged = match name.digest() {
            None => vec![name.clone()],
            Some(digest) => {
                let same = |(known, at): &&(Reference, Descriptor)| {
                    known.name() == name.name() && at.digest().to_string() == digest.to_string()
                };
                let names = self.image.references.iter().filter(same);
                names.map(|(known, _)| known.clone()).collect()
            }
        };
        for name in untagged {
            self.forget_name(&name)?;
        }
        let is_left = |(known, _): &(Reference, Descriptor)| known.name() == name.name();
        if !self.image.references.iter().any(is_left) {
            self.say_untagged(format!("{}@{}", name.familiar_name(), descriptor.digest()));
        }
        Ok(())
    }

    fn forget_name(&mut self, name: &Reference) -> Result<()> {
        // It stays in the index without a name until it is known to be removed.
        if let Some((descriptor, has_other)) = self.store.untag(name)?
            && !has_other
        {
            self.store.keep(&descriptor)?;
        }
        self.image.references.retain(|(known, _)| known != name);
        if name.digest().is_none() {
            self.say_untagged(name.familiar());
        }
        Ok(())
    }

    fn say_untagged(&mut self, name: String) {
        self.answer.push(ImageDeleteResponseItem { untagged: Some(name), deleted: None });
    }

    fn is_used_by(&self, user: &ImageUser) -> bool {
        user.image == self.image.id.to_string()
    }

    /// Refuses what needs force, and what even force does not do.
    fn check(&self, force: bool, may_have_names: bool) -> Result<()> {
        let conflict = |word: &str, why: String| {
            let id = self.image.id.short();
            let text = format!("conflict: unable to delete {id} ({word} be forced) - {why}");
            Err(ImageError::Conflict(text))
        };
        let mut users = self.users.iter().filter(|user| self.is_used_by(user));
        if let Some(user) = users.clone().find(|user| user.is_running) {
            let id = short(&user.container);
            return conflict("cannot", format!("image is being used by running container {id}"));
        }
        if force {
            return Ok(());
        }
        if !may_have_names && self.image.references.len() > 1 {
            return conflict("must", "image is referenced in multiple repositories".into());
        }
        match users.next() {
            None => Ok(()),
            Some(user) => {
                let id = short(&user.container);
                conflict("must", format!("image is being used by stopped container {id}"))
            }
        }
    }

    fn delete(&mut self, force: bool, quiet: bool) -> Result<()> {
        if let Err(conflict) = self.check(force, true) {
            // Its name is gone, as the client wanted.
            return if quiet { Ok(()) } else { Err(conflict) };
        }
        let repositories = self.image.repo_digests();
        for (name, _) in self.image.references.clone() {
            self.forget_name(&name)?;
        }
        if !quiet {
            repositories.into_iter().for_each(|name| self.say_untagged(name));
        }
        if self.users.iter().any(|user| self.is_used_by(user)) {
            return Ok(());
        }
        let layers = layers_alone(self.store, &self.image)?;
        self.store.forget(&self.image.tops)?;
        let ids = [self.image.id.to_string()].into_iter().chain(layers);
        self.answer
            .extend(ids.map(|id| ImageDeleteResponseItem { untagged: None, deleted: Some(id) }));
        Ok(())
    }
}

/// The chain ids of layers that no other image has, the uppermost first.
fn layers_alone(store: &Store, image: &StoredImage) -> Result<Vec<String>> {
    let others = catalog::read(store)?.into_iter().filter(|other| other.id != image.id);
    let kept: HashSet<Digest> = others.flat_map(|other| other.image.config.chain_ids()).collect();
    let chain = image.image.config.chain_ids().into_iter().rev();
    Ok(chain.filter(|id| !kept.contains(id)).map(|id| id.to_string()).collect())
}

/// The first 12 digits of a container's id.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
