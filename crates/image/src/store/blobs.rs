//! Blobs: bytes that are named by their digest.
//!
//! ```text
//!   ingest/sha256-9f86..  ── all bytes written, digest and size right ── rename ─> blobs/sha256/9f86..
//! ```

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Read as _, Seek as _, Write},
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{Result, Store, StoreError, error};
use crate::digest::{Digest, Digester};

/// A blob that is there.
#[derive(Debug)]
pub struct Blob {
    /// Its bytes; opened for reading.
    pub file: File,
    /// How many there are.
    pub size: u64,
    path: PathBuf,
}

impl Blob {
    /// All bytes, verified. For small blobs.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or are not those of the digest and the size.
    pub fn read_verified(mut self, digest: &Digest, size: u64) -> Result<Vec<u8>> {
        if self.size != size {
            let (digest, found) = (digest.clone(), self.size);
            return Err(StoreError::WrongSize { digest, expected: size, found });
        }
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(size).read_to_end(&mut bytes);
        read.map_err(error::io("read", &self.path))?;
        let mut digester = Digester::new(digest.algorithm());
        digester.update(&bytes);
        ensure_same(digest, digester)?;
        Ok(bytes)
    }

    /// Reads all bytes to verify them.
    ///
    /// # Errors
    ///
    /// When they cannot be read, or are not those of the digest.
    pub fn verify(&mut self, digest: &Digest) -> Result<()> {
        let mut digester = Digester::new(digest.algorithm());
        self.file.rewind().map_err(error::io("read", &self.path))?;
        copy(&mut self.file, &mut digester).map_err(error::io("read", &self.path))?;
        ensure_same(digest, digester)
    }
}

fn ensure_same(digest: &Digest, digester: Digester) -> Result<()> {
    match digester.finish() {
        found if found == *digest => Ok(()),
        found => Err(StoreError::WrongDigest { digest: digest.clone(), found }),
    }
}

/// With larger pieces than io::copy's, which are 8 KiB.
fn copy(from: &mut File, to: &mut Digester) -> io::Result<u64> {
    let mut piece = vec![0; 128 << 10];
    let mut all = 0;
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => return Ok(all),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        to.update(&piece[..length]);
        all += length as u64;
    }
}

/// A blob that is arriving. Dropped before [`Ingest::commit`], it stays in `ingest`, and the next
/// attempt goes on from there.
#[derive(Debug)]
pub struct Ingest {
    /// Locked: nobody else writes to it.
    file: File,
    path: PathBuf,
    target: PathBuf,
    digest: Digest,
    size: Option<u64>,
    digester: Digester,
    offset: u64,
}

impl Store {
    /// The directory of what is noted about the origins of blobs, in the store's. It is there once
    /// something is noted.
    pub const ORIGINS: &str = "origins";

    /// Where the blob is, if it is there.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.path.join("blobs").join(digest.algorithm().name()).join(digest.hex())
    }

    /// Where it is noted which registries have the blob too, below [`Store::ORIGINS`].
    pub fn origins_path(&self, digest: &Digest) -> PathBuf {
        let name = format!("{}-{}", digest.algorithm().name(), digest.hex());
        self.path.join(Self::ORIGINS).join(name)
    }

    /// The blob with this digest, if it is there.
    ///
    /// # Errors
    ///
    /// When it is there and cannot be opened.
    pub fn blob(&self, digest: &Digest) -> Result<Option<Blob>> {
        let path = self.blob_path(digest);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error::io("open", &path)(error)),
        };
        let size = file.metadata().map_err(error::io("look at", &path))?.len();
        Ok(Some(Blob { file, size, path }))
    }

    /// Begins to write the blob with this digest, or goes on where an earlier attempt ended:
    /// [`Ingest::offset`] says how many bytes are there. Waits while another process writes the
    /// same one, and returns `None` if the blob is there by then.
    ///
    /// # Errors
    ///
    /// When the file for it cannot be made, locked or read.
    pub fn ingest(&self, digest: &Digest, size: Option<u64>) -> Result<Option<Ingest>> {
        let name = format!("ingest/{}-{}", digest.algorithm().name(), digest.hex());
        let (path, target) = (self.path.join(name), self.blob_path(digest));
        let file = loop {
            if target.exists() {
                return Ok(None);
            }
            let file = open_for_ingest(&path)?;
            file.lock().map_err(error::io("lock", &path))?;
            // Whoever held the lock may have renamed or deleted it meanwhile.
            if is_at(&file, &path) {
                break file;
            }
        };
        if target.exists() {
            return Ok(None);
        }
        let digester = Digester::new(digest.algorithm());
        let mut ingest =
            Ingest { file, path, target, digest: digest.clone(), size, digester, offset: 0 };
        ingest.take_up()?;
        Ok(Some(ingest))
    }

    /// Adds a small blob and returns its SHA-256 digest.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn add(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::of(bytes);
        if let Some(mut ingest) = self.ingest(&digest, Some(bytes.len() as u64))? {
            ingest.restart()?;
            ingest.push(bytes)?;
            ingest.commit()?;
        }
        Ok(digest)
    }

    /// Adds a blob whose digest is not known yet: `write` writes it. Returns the SHA-256 digest,
    /// the size, and what `write` returned.
    ///
    /// # Errors
    ///
    /// Those of `write`, and when it cannot be written.
    pub fn add_with<T, E: From<StoreError>>(
        &self,
        write: impl FnOnce(&mut dyn Write) -> std::result::Result<T, E>,
    ) -> std::result::Result<(Digest, u64, T), E> {
        let folder = self.path.join("ingest");
        let mut fresh = Fresh::new(&folder)?;
        let value = write(&mut fresh)?;
        let (digest, size) = fresh.commit(|digest| self.blob_path(digest))?;
        Ok((digest, size, value))
    }
}

fn open_for_ingest(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.custom_flags(nix::libc::O_NOFOLLOW).open(path).map_err(error::io("create", path))
}

fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let same = |one: fs::Metadata, other: fs::Metadata| {
        (one.dev(), one.ino()) == (other.dev(), other.ino())
    };
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(one), Ok(other)) => same(one, other),
        _ => false,
    }
}

impl Ingest {
    /// How many bytes are there.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Hashes what an earlier attempt wrote.
    fn take_up(&mut self) -> Result<()> {
        let there = self.file.metadata().map_err(error::io("look at", &self.path))?.len();
        if self.size.is_some_and(|size| there > size) {
            return self.restart();
        }
        self.offset =
            copy(&mut self.file, &mut self.digester).map_err(error::io("read", &self.path))?;
        Ok(())
    }

    /// Discards what is there.
    ///
    /// # Errors
    ///
    /// When the file cannot be cut.
    pub fn restart(&mut self) -> Result<()> {
        self.file.set_len(0).map_err(error::io("truncate", &self.path))?;
        self.file.rewind().map_err(error::io("truncate", &self.path))?;
        self.digester = Digester::new(self.digest.algorithm());
        self.offset = 0;
        Ok(())
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    ///
    /// When they are more than the size says, or cannot be written. On a full disk, what was there
    /// is deleted.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        let end = self.offset + bytes.len() as u64;
        if let Some(expected) = self.size.filter(|size| end > *size) {
            let _ = fs::remove_file(&self.path);
            return Err(StoreError::WrongSize {
                digest: self.digest.clone(),
                expected,
                found: end,
            });
        }
        if let Err(source) = self.file.write_all(bytes) {
            let _ = fs::remove_file(&self.path);
            return Err(error::io("write", &self.path)(source));
        }
        self.digester.update(bytes);
        self.offset = end;
        Ok(())
    }

    /// Verifies size and digest, and gives the blob its name.
    ///
    /// # Errors
    ///
    /// When it is not the blob; then it is deleted.
    pub fn commit(self) -> Result<()> {
        let result = self.check().and_then(|()| {
            fs::rename(&self.path, &self.target).map_err(error::io("rename", &self.path))?;
            // Not before: another process may be about to open it for writing, and to wait.
            let read_only = Permissions::from_mode(0o444);
            self.file.set_permissions(read_only).map_err(error::io("protect", &self.target))
        });
        if result.is_err() {
            let _ = fs::remove_file(&self.path);
        }
        result
    }

    fn check(&self) -> Result<()> {
        if let Some(expected) = self.size.filter(|size| self.offset != *size) {
            let (digest, found) = (self.digest.clone(), self.offset);
            return Err(StoreError::WrongSize { digest, expected, found });
        }
        ensure_same(&self.digest, self.digester.clone())
    }
}

/// A blob whose digest is not known yet. Dropped before it is committed, it is deleted.
struct Fresh {
    file: File,
    path: PathBuf,
    digester: Digester,
    size: u64,
}

impl Fresh {
    fn new(folder: &Path) -> Result<Self> {
        for number in 0.. {
            let path = folder.join(format!("new-{}-{number}", std::process::id()));
            match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path)
            {
                Ok(file) => {
                    let digester = Digester::new(crate::digest::Algorithm::Sha256);
                    return Ok(Self { file, path, digester, size: 0 });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error::io("create", &path)(error)),
            }
        }
        unreachable!("there are more numbers than files")
    }

    fn commit(mut self, target: impl FnOnce(&Digest) -> PathBuf) -> Result<(Digest, u64)> {
        let digest =
            std::mem::replace(&mut self.digester, Digester::new(crate::digest::Algorithm::Sha256))
                .finish();
        let read_only = Permissions::from_mode(0o444);
        self.file.set_permissions(read_only).map_err(error::io("protect", &self.path))?;
        fs::rename(&self.path, target(&digest)).map_err(error::io("rename", &self.path))?;
        Ok((digest, self.size))
    }
}

impl Write for Fresh {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.file.write(bytes)?;
        self.digester.update(&bytes[..length]);
        self.size += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // After a commit, nothing has this name.
        let _ = fs::remove_file(&self.path);
    }
}
