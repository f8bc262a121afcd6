//! Where the server keeps what it was given.
//!
//! ```text
//!   blobs/sha256/9f86..                        bytes, named by their digest: blobs and manifests
//!   uploads/ID                                 blobs that are still arriving
//!   repositories/class/hello/
//!     _blobs/sha256-9f86..                     which blobs this repository has: empty files
//!     _manifests/sha256-9f86..                 which manifests, each with its media type in it
//!     _tags/1                                  the digest of the manifest
//! ```
//!
//! A blob appears by rename(2) after its bytes were verified, a tag is replaced by rename(2): at any
//! moment they are the old or the new ones. Only then is the request answered, so that nothing that
//! was acknowledged is lost when the server is killed. Against a power cut it is written through to
//! the disk first, if [`Storage::sync`] is set.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
};

use image::digest::Digest;

use super::{error::ApiError, uploads::Uploads};

/// The directories and files of a registry.
#[derive(Debug)]
pub struct Storage {
    path: PathBuf,
    /// Held for reading while something is linked that was looked up before; for writing while what
    /// nothing links is removed.
    pub lock: Arc<RwLock<()>>,
    /// Whether what is acknowledged was written through to the disk.
    pub sync: bool,
    /// Uploads that are not finished.
    pub uploads: Uploads,
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

impl Storage {
    /// The storage in the directory `path`, which is made if it is missing.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn open(path: &Path, sync: bool) -> io::Result<Self> {
        for directory in ["blobs/sha256", "blobs/sha512", "uploads", "repositories"] {
            make_directories(&path.join(directory))?;
        }
        let path = path.canonicalize()?;
        let uploads = Uploads::new(path.join("uploads"));
        Ok(Self { path, lock: Arc::default(), sync, uploads })
    }

    /// The file of a blob, whoever has it.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// The directory of a repository. The grammar of `name` has no `..` and no empty part.
    fn repository(&self, name: &str) -> PathBuf {
        self.path.join("repositories").join(name)
    }

    fn link_path(&self, name: &str, kind: &str, digest: &Digest) -> PathBuf {
        let file = format!("{}-{}", digest.algorithm().name(), digest.hex());
        self.repository(name).join(kind).join(file)
    }

    /// The blob of a repository, opened, with its length.
    ///
    /// # Errors
    ///
    /// When the repository does not have it, or it cannot be opened.
    pub fn blob(&self, name: &str, digest: &Digest) -> Result<(File, u64), ApiError> {
        let unknown = || ApiError::blob_unknown(&digest.to_string());
        if !self.has(name, "_blobs", digest) && !self.has(name, "_manifests", digest) {
            return Err(unknown());
        }
        match File::open(self.blob_path(digest)) {
            Ok(file) => {
                let length = file.metadata()?.len();
                Ok((file, length))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(unknown()),
            Err(error) => Err(error.into()),
        }
    }

    fn has(&self, name: &str, kind: &str, digest: &Digest) -> bool {
        self.link_path(name, kind, digest).is_file()
    }

    /// Whether the repository has this blob.
    pub fn has_blob(&self, name: &str, digest: &Digest) -> bool {
        self.has(name, "_blobs", digest) && self.blob_path(digest).is_file()
    }

    /// Whether the repository has this manifest.
    pub fn has_manifest(&self, name: &str, digest: &Digest) -> bool {
        self.has(name, "_manifests", digest) && self.blob_path(digest).is_file()
    }

    /// Says that somebody relies on a blob of a repository: no collection takes it soon.
    pub fn touch(&self, name: &str, digest: &Digest) {
        // Without a link there is nothing to keep.
        if let Ok(link) = File::open(self.link_path(name, "_blobs", digest)) {
            let _ = link.set_modified(std::time::SystemTime::now());
        }
    }

    /// Gives a repository a blob that another one has. Returns whether that one has it.
    ///
    /// # Errors
    ///
    /// When the link cannot be written.
    pub fn mount(&self, name: &str, from: &str, digest: &Digest) -> io::Result<bool> {
        let _shared = self.shared();
        if !self.has_blob(from, digest) {
            return Ok(false);
        }
        self.link(name, digest)?;
        Ok(true)
    }

    /// Gives a repository a blob that is there.
    ///
    /// # Errors
    ///
    /// When the link cannot be written.
    pub fn link(&self, name: &str, digest: &Digest) -> io::Result<()> {
        self.replace(&self.link_path(name, "_blobs", digest), b"")
    }

    /// Keeps what lies in `from` as the blob `digest`, and gives it to a repository. The bytes must
    /// have been verified.
    ///
    /// # Errors
    ///
    /// When it cannot be renamed or linked.
    pub fn keep(&self, name: &str, from: &Path, digest: &Digest) -> io::Result<()> {
        let _shared = self.shared();
        let target = self.blob_path(digest);
        if target.is_file() {
            fs::remove_file(from)?;
        } else {
            if self.sync {
                File::open(from)?.sync_all()?;
            }
            fs::rename(from, &target)?;
            self.sync_directory(&target)?;
        }
        self.link(name, digest)
    }

    /// Keeps a manifest, with its tag if it has one. The caller holds [`Storage::shared`], and has
    /// seen under it that the repository has what the manifest needs.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn keep_manifest(
        &self,
        name: &str,
        manifest: &StoredManifest,
        tag: Option<&str>,
    ) -> io::Result<()> {
        let StoredManifest { digest, media_type, bytes } = manifest;
        let target = self.blob_path(digest);
        if !target.is_file() {
            self.replace(&target, bytes)?;
        }
        self.replace(&self.link_path(name, "_manifests", digest), media_type.as_bytes())?;
        match tag {
            Some(tag) => self.replace(&self.tag_path(name, tag), digest.to_string().as_bytes()),
            None => Ok(()),
        }
    }

    fn tag_path(&self, name: &str, tag: &str) -> PathBuf {
        self.repository(name).join("_tags").join(tag)
    }

    /// The digest of a tag.
    pub fn tag(&self, name: &str, tag: &str) -> Option<Digest> {
        fs::read_to_string(self.tag_path(name, tag)).ok()?.parse().ok()
    }

    /// A manifest of a repository.
    ///
    /// # Errors
    ///
    /// When the repository does not have it.
    pub fn manifest(&self, name: &str, digest: &Digest) -> Result<StoredManifest, ApiError> {
        let unknown = |_| ApiError::manifest_unknown(&digest.to_string());
        let media_type =
            fs::read_to_string(self.link_path(name, "_manifests", digest)).map_err(unknown)?;
        let bytes = fs::read(self.blob_path(digest)).map_err(unknown)?;
        Ok(StoredManifest { digest: digest.clone(), media_type, bytes })
    }

    /// Removes a tag. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn delete_tag(&self, name: &str, tag: &str) -> io::Result<bool> {
        removed(fs::remove_file(self.tag_path(name, tag)))
    }

    /// Removes a manifest from a repository, with all its tags. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn delete_manifest(&self, name: &str, digest: &Digest) -> io::Result<bool> {
        for tag in self.tags(name)? {
            if self.tag(name, &tag).as_ref() == Some(digest) {
                self.delete_tag(name, &tag)?;
            }
        }
        removed(fs::remove_file(self.link_path(name, "_manifests", digest)))
    }

    /// Takes a blob from a repository. Returns whether it was there.
    ///
    /// # Errors
    ///
    /// When it cannot be removed.
    pub fn delete_blob(&self, name: &str, digest: &Digest) -> io::Result<bool> {
        removed(fs::remove_file(self.link_path(name, "_blobs", digest)))
    }

    /// The tags of a repository, sorted; none if there is no such repository.
    ///
    /// # Errors
    ///
    /// When its directory cannot be read.
    pub fn tags(&self, name: &str) -> io::Result<Vec<String>> {
        names(&self.repository(name).join("_tags"))
    }

    /// The digests of the manifests of a repository.
    ///
    /// # Errors
    ///
    /// When its directory cannot be read.
    pub fn manifests(&self, name: &str) -> io::Result<Vec<Digest>> {
        digests(&self.repository(name).join("_manifests"))
    }

    /// The digests of the blobs of a repository.
    ///
    /// # Errors
    ///
    /// When its directory cannot be read.
    pub fn blobs(&self, name: &str) -> io::Result<Vec<Digest>> {
        digests(&self.repository(name).join("_blobs"))
    }

    /// Whether there is such a repository.
    pub fn exists(&self, name: &str) -> bool {
        ["_tags", "_manifests", "_blobs"]
            .iter()
            .any(|kind| self.repository(name).join(kind).is_dir())
    }

    /// The names of all repositories with manifests, sorted.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read.
    pub fn repositories(&self) -> io::Result<Vec<String>> {
        self.find_repositories(&["_manifests"])
    }

    /// The names of the directories that have one of these, sorted, each once.
    fn find_repositories(&self, kinds: &[&str]) -> io::Result<Vec<String>> {
        let mut all = Vec::new();
        let mut open = vec![String::new()];
        while let Some(name) = open.pop() {
            for part in names(&self.repository(&name))? {
                match (&*part, name.is_empty()) {
                    (part, false) if kinds.contains(&part) => all.push(name.clone()),
                    (part, _) if part.starts_with('_') => {}
                    (part, true) => open.push(part.to_owned()),
                    (part, false) => open.push(format!("{name}/{part}")),
                }
            }
        }
        all.sort();
        all.dedup();
        Ok(all)
    }

    /// The file that says that a repository has a blob.
    pub(super) fn link_of_blob(&self, name: &str, digest: &Digest) -> PathBuf {
        self.link_path(name, "_blobs", digest)
    }

    /// The names of all repositories, also of those that have only blobs yet.
    pub(super) fn all_repositories(&self) -> io::Result<Vec<String>> {
        self.find_repositories(&["_manifests", "_blobs"])
    }

    /// The files of all blobs.
    pub(super) fn all_blobs(&self) -> io::Result<Vec<(PathBuf, Digest)>> {
        let mut all = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            let folder = self.path.join("blobs").join(algorithm);
            for name in names(&folder)? {
                if let Ok(digest) = format!("{algorithm}:{name}").parse() {
                    all.push((folder.join(name), digest));
                }
            }
        }
        Ok(all)
    }

    /// The bytes of all blobs.
    pub(super) fn used(&self) -> io::Result<u64> {
        let length = |path: &Path| fs::metadata(path).map_or(0, |about| about.len());
        Ok(self.all_blobs()?.iter().map(|(path, _)| length(path)).sum())
    }

    /// Held by who links what is there, so that a collection does not remove it in between.
    pub fn shared(&self) -> std::sync::RwLockReadGuard<'_, ()> {
        self.lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Makes `bytes` the content of the file `path`: the old or the new one at any moment.
    fn replace(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().expect("every path here is below the directory");
        make_directories(folder)?;
        let temporary = self.uploads.temporary();
        let written = (|| {
            let mut file = File::create_new(&temporary)?;
            file.write_all(bytes)?;
            if self.sync {
                file.sync_all()?;
            }
            fs::rename(&temporary, path)?;
            self.sync_directory(path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        match (self.sync, path.parent()) {
            (true, Some(folder)) => File::open(folder)?.sync_all(),
            _ => Ok(()),
        }
    }
}

fn make_directories(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The names in a directory, sorted; none if it is missing.
fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut all = Vec::new();
    for entry in entries {
        all.extend(entry?.file_name().into_string());
    }
    all.sort();
    Ok(all)
}

fn digests(directory: &Path) -> io::Result<Vec<Digest>> {
    let digest = |name: String| name.replacen('-', ":", 1).parse().ok();
    Ok(names(directory)?.into_iter().filter_map(digest).collect())
}

fn removed(result: io::Result<()>) -> io::Result<bool> {
    match result {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
