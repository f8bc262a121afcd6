//! Where the server keeps what it was given: the files of [`layout`](super::layout).
//!
//! A blob appears by rename(2) after its bytes were verified, a tag is replaced by rename(2): at any
//! moment they are the old or the new ones. Only then is the request answered, so that nothing that
//! was acknowledged is lost when the server is killed. Against a power cut it is written through to
//! the disk first, if [`Options::sync`](super::Options::sync) is set; without, a file may be damaged
//! under its final name. So a push always puts what was verified in place of what is there.

mod lists;
mod manifests;

use std::{
    fs::File,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::SystemTime,
};

use image::digest::Digest;
pub(super) use manifests::LONGEST_MEDIA_TYPE;

use super::{
    directory::DataDirectory,
    error::ApiError,
    layout::{self, Link},
    quota::Quota,
    uploads::Uploads,
};

/// The directories and files of a registry.
#[derive(Debug)]
pub struct Storage {
    pub(super) directory: Arc<DataDirectory>,
    /// How much there may be.
    pub(super) quota: Arc<Quota>,
    /// Uploads that are not finished.
    pub(super) uploads: Uploads,
    /// Held for reading while something is linked that was looked up before; for writing while
    /// something is removed.
    lock: RwLock<()>,
    /// Held between "so long is what is there" and "it is replaced", for the quota's sake.
    replacing: Mutex<()>,
}

/// A manifest of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Its digest.
    pub digest: Digest,
    /// The media type it was pushed with.
    pub media_type: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// The names of the algorithms that blobs are kept by.
const ALGORITHMS: [&str; 2] = ["sha256", "sha512"];

impl Storage {
    /// The storage in the directory `path`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or another server has it ([`io::ErrorKind::WouldBlock`]).
    pub fn open(path: &Path, sync: bool, most: Option<u64>) -> io::Result<Self> {
        let directory = Arc::new(DataDirectory::open(path, sync)?);
        for algorithm in ALGORITHMS {
            directory.make_directories(&layout::blobs(algorithm))?;
        }
        for path in [layout::UPLOADS, layout::REPOSITORIES] {
            directory.make_directories(path)?;
        }
        let quota = Arc::new(Quota::new(most));
        let uploads = Uploads::open(Arc::clone(&directory), Arc::clone(&quota))?;
        let (lock, replacing) = Default::default();
        let storage = Self { directory, quota, uploads, lock, replacing };
        if most.is_some() {
            storage.quota.begin_with(storage.bytes()?);
        }
        Ok(storage)
    }

    /// The blob of a repository, opened, with its length. It is whole as far as its length tells;
    /// a manifest, which is small, was read.
    ///
    /// # Errors
    ///
    /// When the repository does not have it, or it is damaged or cannot be opened.
    pub fn blob(&self, name: &str, digest: &Digest) -> Result<(File, u64), ApiError> {
        let unknown = || ApiError::blob_unknown(&digest.to_string());
        let recorded = match self.recorded(name, digest)? {
            Some(recorded) => recorded,
            None => {
                let manifest = self.manifest(name, digest);
                let manifest = manifest.map_err(|error| error.or_unknown(unknown()))?;
                Some(manifest.bytes.len() as u64)
            }
        };
        let file = self.directory.file(&layout::blob(digest))?.ok_or_else(unknown)?;
        let length = file.metadata()?.len();
        match is_whole(digest, length, recorded) {
            true => Ok((file, length)),
            false => Err(unknown().because(format!("{digest} is damaged: it has {length} bytes"))),
        }
    }

    /// The length that the link of a blob says, if the repository has the blob.
    fn recorded(&self, name: &str, digest: &Digest) -> io::Result<Option<Option<u64>>> {
        const LONGEST: u64 = 20;
        let link = self.directory.read(&layout::link(name, Link::Blob, digest), LONGEST)?;
        Ok(link.map(|text| String::from_utf8(text).ok()?.parse().ok()))
    }

    /// The length of a blob, if the repository has it and it is whole.
    ///
    /// # Errors
    ///
    /// When that cannot be found out.
    pub fn blob_length(&self, name: &str, digest: &Digest) -> io::Result<Option<u64>> {
        let Some(recorded) = self.recorded(name, digest)? else { return Ok(None) };
        let found = self.directory.stat(&layout::blob(digest))?.map(|found| found.length);
        Ok(found.filter(|length| is_whole(digest, *length, recorded)))
    }

    /// The blob of a repository, for who asks whether it is there, and will then not push it: no
    /// collection takes it soon.
    ///
    /// # Errors
    ///
    /// As [`Storage::blob`].
    pub fn rely_on_blob(&self, name: &str, digest: &Digest) -> Result<(File, u64), ApiError> {
        let _shared = self.shared();
        let found = self.blob(name, digest)?;
        if let Some(link) = self.directory.file(&layout::link(name, Link::Blob, digest))? {
            // On a read-only file system nothing is collected either.
            let _ = link.set_modified(SystemTime::now());
        }
        Ok(found)
    }

    /// Gives a repository a blob that another one has. Returns whether that one has it.
    ///
    /// # Errors
    ///
    /// When the link cannot be written.
    pub fn mount(&self, name: &str, from: &str, digest: &Digest) -> io::Result<bool> {
        let _shared = self.shared();
        let Some(length) = self.blob_length(from, digest)? else { return Ok(false) };
        self.link(name, digest, length)?;
        Ok(true)
    }

    /// Gives a repository a blob of this length that is there.
    fn link(&self, name: &str, digest: &Digest, length: u64) -> io::Result<()> {
        self.replace(&layout::link(name, Link::Blob, digest), length.to_string().as_bytes())
    }

    /// Keeps what lies in `from`, so many bytes, as the blob `digest`, and gives it to a repository.
    /// The bytes must have been verified, and their room reserved.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed or linked.
    pub fn keep(&self, name: &str, from: &str, digest: &Digest, length: u64) -> io::Result<()> {
        self.directory.sync_path(from)?;
        let _shared = self.shared();
        self.put(from, digest)?;
        self.link(name, digest, length)
    }

    /// Gives a verified file its name as a blob, also if one is there: that may be damaged. Its room
    /// is given back.
    fn put(&self, from: &str, digest: &Digest) -> io::Result<()> {
        let path = layout::blob(digest);
        {
            let _replacing = self.replacing.lock().unwrap_or_else(PoisonError::into_inner);
            // What is not a file is replaced too, and was never counted.
            let replaced = self.directory.stat(&path).ok().flatten();
            self.directory.rename(from, &path)?;
            self.quota.release(replaced.map_or(0, |replaced| replaced.length));
        }
        self.directory.sync_names(&layout::blobs(digest.algorithm().name()))
    }

    /// Takes a blob from a repository none of whose manifests need it. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// When a manifest needs it, and when it cannot be removed.
    pub fn delete_blob(&self, name: &str, digest: &Digest) -> Result<bool, ApiError> {
        let _alone = self.alone();
        let link = layout::link(name, Link::Blob, digest);
        if self.directory.stat(&link)?.is_some() {
            self.ensure_not_needed(name, digest)?;
        }
        Ok(self.directory.remove(&link)?)
    }

    /// Takes a blob from a repository, whoever needs it there. The caller holds [`Storage::alone`].
    pub(super) fn unlink_blob(&self, name: &str, digest: &Digest) -> io::Result<bool> {
        self.directory.remove(&layout::link(name, Link::Blob, digest))
    }

    /// Removes the file of a blob and gives its room back; its length if it was there. The caller
    /// holds [`Storage::alone`].
    pub(super) fn remove_blob(&self, digest: &Digest) -> io::Result<Option<u64>> {
        let path = layout::blob(digest);
        let Some(found) = self.directory.stat(&path)? else { return Ok(None) };
        self.directory.remove(&path)?;
        self.quota.release(found.length);
        Ok(Some(found.length))
    }

    /// Held by who links what is there, so that nothing removes it in between.
    pub fn shared(&self) -> RwLockReadGuard<'_, ()> {
        // Only who must wait tells the runtime that this thread serves nobody else meanwhile.
        self.lock.try_read().unwrap_or_else(|_| {
            tokio::task::block_in_place(|| self.lock.read().unwrap_or_else(PoisonError::into_inner))
        })
    }

    /// Held by who removes something.
    pub(super) fn alone(&self) -> RwLockWriteGuard<'_, ()> {
        let wait = || self.lock.write().unwrap_or_else(PoisonError::into_inner);
        tokio::task::block_in_place(wait)
    }

    /// Makes `bytes` the content of the file `path`: the old or the new one at any moment.
    pub(super) fn replace(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.uploads.temporary();
        self.directory.write_new(&temporary, bytes)?;
        let renamed = self.directory.rename(&temporary, path);
        if renamed.is_err() {
            let _ = self.directory.remove(&temporary);
        }
        renamed?;
        self.directory.sync_names(path.rsplit_once('/').map_or(".", |(directory, _)| directory))
    }
}

/// Whether a blob of this length can be whole. Links of older registries say no length; then it is
/// only seen that there is something.
fn is_whole(digest: &Digest, length: u64, recorded: Option<u64>) -> bool {
    match recorded {
        Some(recorded) => length == recorded,
        None => length > 0 || *digest == Digest::of(b""),
    }
}

#[cfg(test)]
mod tests;
