//! Manifests and tags of a repository.

use std::io;

use image::{
    digest::{Digest, Digester},
    manifest::MAX_BYTES,
};

use super::{
    super::{
        error::ApiError,
        layout::{self, Link},
        shape::Shape,
    },
    Storage, StoredManifest,
};

/// Longer media types are nobody's: RFC 6838 has 127 characters for each half.
pub(in crate::server) const LONGEST_MEDIA_TYPE: usize = 255;
/// The longest digest: `sha512:` and 128 digits.
const LONGEST_TAG: u64 = 135;

impl Storage {
    /// Keeps a manifest, with its tag if it has one. The caller holds [`Storage::shared`], and has
    /// seen under it that the repository has what the manifest needs.
    ///
    /// # Errors
    ///
    /// When there is no room for it, and when it cannot be written.
    pub fn keep_manifest(
        &self,
        name: &str,
        manifest: &StoredManifest,
        tag: Option<&str>,
    ) -> Result<(), ApiError> {
        let StoredManifest { digest, media_type, bytes } = manifest;
        // Another request may have linked what this one relies on, and not have synced it yet.
        self.directory.sync_names(&layout::part(name, Link::Blob.directory()))?;
        self.directory.sync_names(&layout::part(name, Link::Manifest.directory()))?;
        self.put_small(digest, bytes)?;
        self.replace(&layout::link(name, Link::Manifest, digest), media_type.as_bytes())?;
        if let Some(tag) = tag {
            self.replace(&layout::tag(name, tag), digest.to_string().as_bytes())?;
        }
        Ok(())
    }

    /// Keeps verified bytes as a blob.
    fn put_small(&self, digest: &Digest, bytes: &[u8]) -> Result<(), ApiError> {
        let length = bytes.len() as u64;
        self.quota.reserve(length)?;
        let temporary = self.uploads.temporary();
        let put =
            self.directory.write_new(&temporary, bytes).and_then(|()| self.put(&temporary, digest));
        if put.is_err() && self.directory.remove(&temporary).unwrap_or(false) {
            self.quota.release(length);
        }
        Ok(put?)
    }

    /// The digest of a tag.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn tag(&self, name: &str, tag: &str) -> io::Result<Option<Digest>> {
        let found = self.directory.read(&layout::tag(name, tag), LONGEST_TAG)?;
        Ok(found.and_then(|text| String::from_utf8(text).ok()?.parse().ok()))
    }

    /// The length of a manifest, if the repository has it and it is whole.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    pub fn manifest_length(&self, name: &str, digest: &Digest) -> Result<Option<u64>, ApiError> {
        match self.manifest(name, digest) {
            Ok(manifest) => Ok(Some(manifest.bytes.len() as u64)),
            Err(error) if error.is_unknown() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A manifest of a repository. Its bytes are verified: they are few, and a client may believe
    /// them.
    ///
    /// # Errors
    ///
    /// When the repository does not have it, or it is damaged; then a push of it heals it.
    pub fn manifest(&self, name: &str, digest: &Digest) -> Result<StoredManifest, ApiError> {
        let unknown = || ApiError::manifest_unknown(&digest.to_string());
        let link = layout::link(name, Link::Manifest, digest);
        let link = self.directory.read(&link, LONGEST_MEDIA_TYPE as u64)?.ok_or_else(unknown)?;
        let bytes = self.directory.read(&layout::blob(digest), MAX_BYTES + 1)?;
        let damaged = || unknown().because(format!("the manifest {digest} is damaged"));
        let bytes = bytes.ok_or_else(damaged)?;
        let mut digester = Digester::new(digest.algorithm());
        digester.update(&bytes);
        if digester.finish() != *digest {
            return Err(damaged());
        }
        let media_type = String::from_utf8(link).ok().filter(|media_type| !media_type.is_empty());
        let own = || Shape::read(&bytes).ok()?.media_type;
        let media_type = media_type.or_else(own).ok_or_else(damaged)?;
        Ok(StoredManifest { digest: digest.clone(), media_type, bytes })
    }

    /// Removes a tag. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn delete_tag(&self, name: &str, tag: &str) -> io::Result<bool> {
        let _alone = self.alone();
        self.directory.remove(&layout::tag(name, tag))
    }

    /// Removes a manifest from a repository, with all its tags. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn delete_manifest(&self, name: &str, digest: &Digest) -> io::Result<bool> {
        let _alone = self.alone();
        for tag in self.tags(name)? {
            if self.tag(name, &tag)?.as_ref() == Some(digest) {
                self.directory.remove(&layout::tag(name, &tag))?;
            }
        }
        self.directory.remove(&layout::link(name, Link::Manifest, digest))
    }

    /// Refuses to do without a blob that a manifest of the repository needs, or may need: one that is
    /// damaged may be pushed again, and is then to have what it needs.
    pub(super) fn ensure_not_needed(&self, name: &str, blob: &Digest) -> Result<(), ApiError> {
        for digest in self.manifests(name)? {
            let manifest = match self.manifest(name, &digest) {
                Ok(manifest) => manifest,
                Err(error) if error.is_unknown() => {
                    return Err(ApiError::needed(format!(
                        "the manifest {digest} is damaged and may need {blob}: push it again, or delete it first"
                    )));
                }
                Err(error) => return Err(error),
            };
            let shape = Shape::read(&manifest.bytes).ok();
            if shape.is_some_and(|shape| shape.targets().any(|target| target.digest == *blob)) {
                return Err(ApiError::needed(format!(
                    "the manifest {digest} needs {blob}: delete that manifest first"
                )));
            }
        }
        Ok(())
    }
}
