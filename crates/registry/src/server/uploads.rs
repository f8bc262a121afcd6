//! Uploads: blobs that are still arriving, in any number of requests.
//!
//! The bytes of an upload are in a file; the hash of those that arrived is kept in memory, so that
//! the last request need not read them again. After a restart it is computed anew. An upload that
//! waits for its next request has no file open: a client may begin any number of them.

mod upload;

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::FileExt as _,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::http::StatusCode;
use image::digest::{Algorithm, Digest, Digester};
use upload::hashed;
pub use upload::{Upload, lock};

use super::{
    directory::DataDirectory,
    error::ApiError,
    layout::{self, NEW_PREFIX, REPOSITORY_SUFFIX},
    quota::Quota,
    route::is_upload,
};

/// How many uploads may be unfinished.
pub(super) const MOST: usize = 10_000;

/// The uploads that are not finished.
#[derive(Debug)]
pub struct Uploads {
    directory: Arc<DataDirectory>,
    quota: Arc<Quota>,
    known: Mutex<HashMap<String, Arc<Mutex<Upload>>>>,
    next: AtomicU64,
    /// No two servers make the same names.
    seed: u64,
}

impl Uploads {
    pub(super) fn open(directory: Arc<DataDirectory>, quota: Arc<Quota>) -> io::Result<Self> {
        // Nobody renames what a server left that was killed.
        for name in directory.names(layout::UPLOADS)? {
            if name.starts_with(NEW_PREFIX) {
                directory.remove(&layout::upload(&name))?;
            }
        }
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seed = time.as_nanos() as u64 ^ u64::from(std::process::id()) << 48;
        let (known, next) = Default::default();
        Ok(Self { directory, quota, known, next, seed })
    }

    fn name(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let random =
            Digest::of(format!("{}-{number}-{:p}", self.seed, &raw const *self).as_bytes());
        random.hex()[..32].to_owned()
    }

    /// A path that nothing has yet.
    pub(super) fn temporary(&self) -> String {
        layout::upload(&format!("{NEW_PREFIX}{}", self.name()))
    }

    /// Begins an upload to `repository`; returns its id.
    ///
    /// # Errors
    ///
    /// When its file cannot be made, and when there are too many.
    pub fn begin(&self, repository: &str) -> Result<String, ApiError> {
        if self.known().len() >= MOST {
            let message = format!("there are {MOST} unfinished uploads: finish or cancel some");
            return Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "TOOMANYREQUESTS", message));
        }
        let id = self.name();
        let made = self
            .directory
            .write_new(&layout::upload_repository(&id), repository.as_bytes())
            .and_then(|()| self.directory.create(&layout::upload(&id)));
        if let Err(error) = made {
            self.end(&id);
            return Err(error.into());
        }
        let upload = Upload::new(repository, Digester::new(Algorithm::Sha256), 0);
        self.known().insert(id.clone(), Arc::new(Mutex::new(upload)));
        Ok(id)
    }

    /// The upload `id` to `repository`: also of a server that ran before.
    ///
    /// # Errors
    ///
    /// When there is none, or its file cannot be read.
    pub fn find(&self, repository: &str, id: &str) -> Result<Arc<Mutex<Upload>>, ApiError> {
        let known = self.known().get(id).cloned();
        let upload = match known {
            Some(upload) => upload,
            None => tokio::task::block_in_place(|| self.take_up(repository, id))?,
        };
        let is_there = {
            let upload = lock(&upload);
            upload.repository == repository && !upload.ended
        };
        if is_there { Ok(upload) } else { Err(ApiError::upload_unknown()) }
    }

    /// Reads what a server that ran before has received.
    fn take_up(&self, repository: &str, id: &str) -> Result<Arc<Mutex<Upload>>, ApiError> {
        let longest = repository.len() as u64 + 1;
        let of = self.directory.read(&layout::upload_repository(id), longest)?;
        if of.as_deref() != Some(repository.as_bytes()) {
            return Err(ApiError::upload_unknown());
        }
        let file = self.file(id)?;
        let (digester, offset) = hashed(&file, Algorithm::Sha256)?;
        let upload = Arc::new(Mutex::new(Upload::new(repository, digester, offset)));
        Ok(self.known().entry(id.to_owned()).or_insert(upload).clone())
    }

    /// The file of an upload, for the pieces of one request.
    ///
    /// # Errors
    ///
    /// When the upload has ended, or it cannot be opened.
    pub fn file(&self, id: &str) -> Result<File, ApiError> {
        self.directory.writable(&layout::upload(id))?.ok_or_else(ApiError::upload_unknown)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// When there is no room for them or they cannot be written.
    pub fn push(&self, upload: &mut Upload, file: &File, bytes: &[u8]) -> Result<(), ApiError> {
        if upload.ended {
            return Err(ApiError::upload_unknown());
        }
        self.quota.reserve(bytes.len() as u64)?;
        if let Err(error) = file.write_all_at(bytes, upload.offset) {
            self.quota.release(bytes.len() as u64);
            let _ = file.set_len(upload.offset);
            return Err(error.into());
        }
        upload.digester.update(bytes);
        upload.offset += bytes.len() as u64;
        Ok(())
    }

    /// Ends an upload by `keep`, which gets the path of its bytes and how many
    /// they are, if they have this digest. Whatever
    /// comes of it, the upload has ended: what is wrong once stays wrong.
    ///
    /// # Errors
    ///
    /// When they are other bytes, and that of `keep`.
    pub fn finish(
        &self,
        id: &str,
        upload: &Mutex<Upload>,
        digest: &Digest,
        keep: impl FnOnce(&str, u64) -> io::Result<()>,
    ) -> Result<(), ApiError> {
        let kept = (|| {
            let mut upload = lock(upload);
            if upload.ended {
                return Err(ApiError::upload_unknown());
            }
            // Another request that has the file open must not write to what is a blob now.
            upload.ended = true;
            if upload.digest(digest.algorithm(), || self.file(id))? != *digest {
                return Err(ApiError::digest(format!("the bytes are not {digest}")));
            }
            Ok(keep(&layout::upload(id), upload.offset)?)
        })();
        self.end(id);
        kept
    }

    /// Forgets an upload, removes what is left of it, and gives its room back.
    pub fn end(&self, id: &str) {
        let known = self.known().remove(id);
        let mut upload = known.as_deref().map(lock);
        if let Some(upload) = &mut upload {
            upload.ended = true;
        }
        let path = layout::upload(id);
        let length = self.directory.stat(&path).ok().flatten().map(|found| found.length);
        if self.directory.remove(&path).unwrap_or(false) {
            self.quota.release(length.unwrap_or(0));
        }
        let _ = self.directory.remove(&layout::upload_repository(id));
    }

    /// Removes uploads that nobody has written to for `age`.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn expire(&self, age: Duration) -> io::Result<u64> {
        let mut expired = 0;
        let names = self.directory.names(layout::UPLOADS)?;
        for id in names.iter().map(|name| name.strip_suffix(REPOSITORY_SUFFIX).unwrap_or(name)) {
            let last = match self.directory.stat(&layout::upload(id))? {
                Some(found) => Some(found),
                // Of one that was cut short at its beginning or its end.
                None => self.directory.stat(&layout::upload_repository(id))?,
            };
            let is_old = |time: SystemTime| time.elapsed().is_ok_and(|since| since > age);
            if is_upload(id) && last.is_some_and(|last| is_old(last.modified)) {
                self.end(id);
                expired += 1;
            }
        }
        Ok(expired)
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Mutex<Upload>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
