//! Records in files, one each, which a daemon that was killed finds again.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    marker::PhantomData,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::error::{Error, file};

/// A directory of records, `ID.json`.
#[derive(Debug)]
pub struct Store<T> {
    directory: PathBuf,
    records: PhantomData<fn() -> T>,
}

/// The content of a file.
#[derive(Serialize, Deserialize)]
struct Versioned<T> {
    version: u32,
    record: T,
}

/// Files of other versions are kept, not read.
const VERSION: u32 = 1;
/// The size of the largest file, in bytes: labels and options are a client's.
const LARGEST: u64 = 1 << 20;
/// A record is a file of its own: a link is refused, and a FIFO does not block.
const NOT_FOLLOWED: i32 = OFlag::O_NOFOLLOW.bits() | OFlag::O_NONBLOCK.bits();

impl<T: Serialize + DeserializeOwned> Store<T> {
    /// Opens the directory, which is made if it does not exist.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(file("create the directory", directory))?;
        Ok(Self { directory: directory.to_owned(), records: PhantomData })
    }

    /// All records, and for each file that is not one why it was put aside: as `NAME.unreadable`, it
    /// is never read again and never lost.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read.
    pub fn load(&self) -> Result<(Vec<T>, Vec<String>), Error> {
        let (mut records, mut warnings) = (Vec::new(), Vec::new());
        let names = fs::read_dir(&self.directory).map_err(file("read", &self.directory))?;
        for entry in names {
            let path = entry.map_err(file("read", &self.directory))?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => {}
                Some("draft") => {
                    let _ = fs::remove_file(&path); // it was never a record
                    continue;
                }
                _ => continue,
            }
            match read(&path) {
                Ok(record) => records.push(record),
                Err(why) => {
                    let aside = path.with_extension("json.unreadable");
                    let moved = fs::rename(&path, &aside);
                    let kept = if moved.is_ok() { &aside } else { &path };
                    warnings.push(format!("{} is ignored: {why}", kept.display()));
                }
            }
        }
        Ok((records, warnings))
    }

    /// Writes the record `id`: the file is the old one or the new one, never a part of it.
    ///
    /// # Errors
    ///
    /// Those of the file system, and when it is too large.
    pub fn save(&self, id: &str, record: &T) -> Result<(), Error> {
        let path = self.path(id);
        let text = serde_json::to_vec(&Versioned { version: VERSION, record });
        let text = text.map_err(|error| file("write", &path)(error.into()))?;
        if text.len() as u64 > LARGEST {
            let why = format!("it would be larger than {LARGEST} bytes: use fewer labels");
            return Err(file("write", path)(io::Error::other(why)));
        }
        let draft = path.with_extension("draft");
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        options
            .open(&draft)
            .and_then(|mut open| open.write_all(&text).and_then(|()| open.sync_data()))
            .map_err(file("write", &draft))?;
        fs::rename(&draft, &path).map_err(file("rename", draft))
    }

    /// Removes the record `id`; it is not an error if there is none.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn remove(&self, id: &str) -> Result<(), Error> {
        let path = self.path(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(file("remove", path)(error))
            }
            _ => Ok(()),
        }
    }

    /// Identifiers are the engine's own, and letters and digits.
    fn path(&self, id: &str) -> PathBuf {
        debug_assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id:?}");
        self.directory.join(format!("{id}.json"))
    }
}

/// The record in a file, or what is wrong with it.
fn read<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let mut text = Vec::new();
    let opened = File::options().read(true).custom_flags(NOT_FOLLOWED).open(path);
    let read = opened.and_then(|file| file.take(LARGEST + 1).read_to_end(&mut text));
    read.map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST {
        return Err("it is too large".into());
    }
    let value: Versioned<serde_json::Value> =
        serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    if value.version != VERSION {
        return Err(format!("version {} is not {VERSION}, which this engine has", value.version));
    }
    serde_json::from_value(value.record).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_again_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::<Vec<u8>>::open(&directory.path().join("made")).unwrap();
        store.save("a1", &vec![1]).unwrap();
        store.save("a1", &vec![1, 2]).unwrap();
        store.save("b2", &vec![]).unwrap();
        let (mut records, warnings) = store.load().unwrap();
        records.sort();
        assert_eq!((records, warnings), (vec![vec![], vec![1, 2]], vec![]));
        store.remove("a1").unwrap();
        store.remove("a1").unwrap();
        assert_eq!(store.load().unwrap().0.len(), 1);
        assert!(store.save("c3", &vec![7; 1 << 20]).unwrap_err().to_string().contains("c3"));
    }

    #[test]
    fn a_file_that_is_no_record_is_kept_aside_and_reported() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::<Vec<u8>>::open(directory.path()).unwrap();
        store.save("a1", &vec![1]).unwrap();
        let whole = fs::read(directory.path().join("a1.json")).unwrap();
        let other = String::from_utf8(whole.clone()).unwrap().replace(":1,", ":2,");
        let files = [
            ("cut", &whole[..whole.len() / 2]),
            ("empty", b""),
            ("newer", other.as_bytes()),
            ("another", b"{\"version\":1,\"record\":{}}"),
        ];
        for (name, content) in files {
            fs::write(directory.path().join(name).with_extension("json"), content).unwrap();
        }
        fs::write(directory.path().join("x.draft"), b"half").unwrap();
        let (records, warnings) = store.load().unwrap();
        assert_eq!((records.len(), warnings.len()), (1, 4), "{warnings:?}");
        assert!(warnings.iter().any(|why| why.contains("newer") && why.contains("version 2")));
        for (name, content) in files {
            let kept = directory.path().join(name).with_extension("json.unreadable");
            assert_eq!(fs::read(kept).unwrap(), content);
        }
        assert!(!directory.path().join("x.draft").exists());
        assert_eq!(store.load().unwrap().1, [""; 0]);
    }
}
