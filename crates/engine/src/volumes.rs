//! Volumes: named directories that outlive containers.
//!
//! ```text
//!   DATA/volumes/NAME/volume.json   what the API says of it
//!                    /_data         its files
//! ```

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use bollard_stubs::models::{Volume, VolumeScopeEnum};
use serde::{Deserialize, Serialize};

use crate::{
    error::{ApiError, Result},
    id::new_id,
    names, state, time,
};

/// The volumes of an engine.
#[derive(Debug)]
pub struct Volumes {
    directory: PathBuf,
    /// Held while one is made or removed.
    changing: Mutex<()>,
}

/// What is recorded of a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeRecord {
    /// Its name.
    pub name: String,
    /// When it was made, by RFC 3339.
    pub created: String,
    /// Labels.
    pub labels: HashMap<String, String>,
    /// The options that its client gave.
    pub options: HashMap<String, String>,
    /// Whether it was made for one container that did not name it.
    pub anonymous: bool,
}

impl Volumes {
    /// The volumes in `directory`.
    ///
    /// # Errors
    ///
    /// When it cannot be listed.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        fs::read_dir(&directory)?;
        Ok(Self { directory, changing: Mutex::default() })
    }

    /// The directory of a volume's files.
    pub fn data(&self, name: &str) -> PathBuf {
        self.directory.join(name).join("_data")
    }

    /// The volume of that name, made if it is missing. Whether it is new is the second value.
    ///
    /// # Errors
    ///
    /// 400 for a bad name or unknown options, 409 for other labels than it has, 500.
    pub fn create(&self, wanted: VolumeRecord) -> Result<(VolumeRecord, bool)> {
        names::check("volume", &wanted.name)?;
        if let Some(option) = wanted.options.keys().next() {
            return Err(ApiError::invalid(format!(
                "create {}: invalid option: \"{option}\": the local driver has no options here",
                wanted.name
            )));
        }
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = self.read(&wanted.name) {
            return Ok((found, false));
        }
        let own = self.directory.join(&wanted.name);
        let made = fs::create_dir_all(self.data(&wanted.name));
        made.map_err(ApiError::failed(&format!("create {}", wanted.name)))?;
        state::save(&own.join("volume.json"), &wanted).map_err(|error| ApiError::of(&error))?;
        Ok((wanted, true))
    }

    /// A new volume without a name of its client's.
    ///
    /// # Errors
    ///
    /// 500.
    pub fn create_anonymous(&self) -> Result<VolumeRecord> {
        let (labels, options) = (HashMap::new(), HashMap::new());
        let (name, created) = (new_id(), time::now());
        Ok(self.create(VolumeRecord { name, created, labels, options, anonymous: true })?.0)
    }

    /// The volume of that name.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    pub fn find(&self, name: &str) -> Result<VolumeRecord> {
        let found = names::check("volume", name).ok().and_then(|()| self.read(name));
        found.ok_or_else(|| ApiError::not_found(format!("get {name}: no such volume")))
    }

    fn read(&self, name: &str) -> Option<VolumeRecord> {
        state::load(&self.directory.join(name).join("volume.json")).ok()
    }

    /// All volumes, by name.
    pub fn all(&self) -> Vec<VolumeRecord> {
        let listing = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let names = listing.filter_map(|found| found.file_name().into_string().ok());
        let mut all: Vec<_> = names.filter_map(|name| self.read(&name)).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    /// Removes a volume with its files.
    ///
    /// # Errors
    ///
    /// 404 when there is none, 409 when a container of `users` has it, 500.
    pub fn remove(&self, name: &str, users: &[String]) -> Result<()> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.find(name)?;
        if !users.is_empty() {
            return Err(ApiError::conflict(format!(
                "remove {name}: volume is in use - [{}]",
                users.join(", ")
            )));
        }
        remove(&self.directory.join(name))
    }

    /// As the API writes it.
    pub fn volume(&self, record: VolumeRecord) -> Volume {
        Volume {
            mountpoint: self.data(&record.name).display().to_string(),
            name: record.name,
            driver: "local".into(),
            created_at: Some(record.created),
            labels: record.labels,
            scope: Some(VolumeScopeEnum::LOCAL),
            options: record.options,
            ..Volume::default()
        }
    }
}

/// Removes a directory with all that a container has put there.
pub(crate) fn remove(path: &Path) -> Result<()> {
    let removed = container::remove_tree(path);
    removed.map_err(|error| ApiError::of(&sandbox::Error::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_made_once_and_removed_when_nobody_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let volumes = Volumes::open(directory.path().into()).unwrap();
        let wanted = VolumeRecord {
            name: "data".into(),
            created: time::now(),
            labels: HashMap::new(),
            options: HashMap::new(),
            anonymous: false,
        };
        assert!(volumes.create(wanted.clone()).unwrap().1);
        assert!(!volumes.create(wanted.clone()).unwrap().1);
        fs::write(volumes.data("data").join("file"), "x").unwrap();
        assert!(volumes.remove("data", &["c".into()]).is_err());
        volumes.remove("data", &[]).unwrap();
        assert_eq!((volumes.all().len(), volumes.find("data").is_err()), (0, true));
        for bad in ["..", "../x", "a/b", "."] {
            assert!(volumes.create(VolumeRecord { name: bad.into(), ..wanted.clone() }).is_err());
            assert!(volumes.find(bad).is_err());
        }
    }
}
