//! Uploads: blobs that are still arriving, in any number of requests.
//!
//! The bytes of an upload are in a file; the hash of those that arrived is kept in memory, so that
//! the last request need not read them again. After a restart it is computed anew.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use image::digest::{Algorithm, Digest, Digester};

/// The uploads that are not finished.
#[derive(Debug)]
pub struct Uploads {
    path: PathBuf,
    known: Mutex<HashMap<String, Arc<Mutex<Upload>>>>,
    next: AtomicU64,
    /// No two servers make the same names.
    seed: u64,
}

/// One upload. Whoever has the lock of it is the only one who writes.
#[derive(Debug)]
pub struct Upload {
    /// The repository it is for.
    pub repository: String,
    /// Where its bytes are.
    pub path: PathBuf,
    file: File,
    digester: Digester,
    offset: u64,
}

impl Uploads {
    pub(super) fn new(path: PathBuf) -> Self {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let seed = time.as_nanos() as u64 ^ u64::from(std::process::id()) << 48;
        Self { path, known: Mutex::default(), next: AtomicU64::new(0), seed }
    }

    fn name(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let random =
            Digest::of(format!("{}-{number}-{:p}", self.seed, &raw const *self).as_bytes());
        random.hex()[..32].to_owned()
    }

    /// A path that nothing has yet.
    pub(super) fn temporary(&self) -> PathBuf {
        self.path.join(format!("new-{}", self.name()))
    }

    /// Begins an upload to `repository`; returns its id.
    ///
    /// # Errors
    ///
    /// When its file cannot be made.
    pub fn begin(&self, repository: &str) -> io::Result<String> {
        let id = self.name();
        fs::write(self.path.join(format!("{id}.repository")), repository)?;
        let upload = Upload::open(&self.path.join(&id), repository)?;
        self.known().insert(id.clone(), Arc::new(Mutex::new(upload)));
        Ok(id)
    }

    /// The upload `id` to `repository`, if there is one: also of a server that ran before.
    ///
    /// # Errors
    ///
    /// When its file is there and cannot be read.
    pub fn find(&self, repository: &str, id: &str) -> io::Result<Option<Arc<Mutex<Upload>>>> {
        let known = self.known().get(id).cloned();
        let upload = match known {
            Some(upload) => upload,
            None => {
                let of = fs::read_to_string(self.path.join(format!("{id}.repository")));
                let path = self.path.join(id);
                match of {
                    Ok(of) if of == repository && path.is_file() => {
                        let upload = Arc::new(Mutex::new(Upload::open(&path, repository)?));
                        self.known().entry(id.to_owned()).or_insert(upload).clone()
                    }
                    _ => return Ok(None),
                }
            }
        };
        let same = lock(&upload).repository == repository;
        Ok(same.then_some(upload))
    }

    /// Forgets an upload and removes what is left of it.
    pub fn end(&self, id: &str) {
        self.known().remove(id);
        let _ = fs::remove_file(self.path.join(id));
        let _ = fs::remove_file(self.path.join(format!("{id}.repository")));
    }

    /// Removes uploads that nobody has written to for `age`.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn expire(&self, age: Duration) -> io::Result<u64> {
        let mut expired = 0;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let old = entry.metadata().and_then(|about| about.modified());
            let is_old = old.is_ok_and(|time| time.elapsed().is_ok_and(|since| since > age));
            let Ok(name) = entry.file_name().into_string() else { continue };
            // The file with the repository's name is as old as the upload's first request.
            if is_old && !name.ends_with(".repository") {
                self.end(&name);
                expired += 1;
            }
        }
        Ok(expired)
    }

    /// The bytes of all uploads.
    pub fn bytes(&self) -> u64 {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.metadata().ok()).map(|about| about.len()).sum()
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Mutex<Upload>>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The upload, for whoever writes to it.
pub fn lock(upload: &Mutex<Upload>) -> std::sync::MutexGuard<'_, Upload> {
    upload.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Upload {
    fn open(path: &Path, repository: &str) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut digester = Digester::new(Algorithm::Sha256);
        let mut piece = vec![0; 64 << 10];
        let mut offset = 0;
        loop {
            match file.read(&mut piece)? {
                0 => break,
                length => {
                    digester.update(&piece[..length]);
                    offset += length as u64;
                }
            }
        }
        Ok(Self { repository: repository.into(), path: path.into(), file, digester, offset })
    }

    /// How many bytes have arrived.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// When they cannot be written; then it stands where it stood before.
    pub fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Err(error) = self.file.write_all(bytes) {
            let _ = self.file.set_len(self.offset);
            let _ = self.file.seek(SeekFrom::Start(self.offset));
            return Err(error);
        }
        self.digester.update(bytes);
        self.offset += bytes.len() as u64;
        Ok(())
    }

    /// Whether all bytes together have this digest.
    ///
    /// # Errors
    ///
    /// When they must be read again for it, and cannot.
    pub fn is(&mut self, digest: &Digest) -> io::Result<bool> {
        if digest.algorithm() == Algorithm::Sha256 {
            return Ok(self.digester.clone().finish() == *digest);
        }
        let mut digester = Digester::new(digest.algorithm());
        self.file.rewind()?;
        io::copy(&mut self.file, &mut digester)?;
        Ok(digester.finish() == *digest)
    }
}
