//! A bundle: a directory with config.json, which is checked before anything is made.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    config::Config,
    error::{Error, Result, file, property},
};

/// A bundle, read.
#[derive(Debug)]
pub(crate) struct Bundle {
    /// Its directory, absolute.
    pub(crate) directory: PathBuf,
    pub(crate) config: Config,
    /// The configuration as it is in its file.
    text: Vec<u8>,
}

/// Where the configuration is in a bundle.
const CONFIG: &str = "config.json";

impl Bundle {
    /// Reads the bundle in a directory.
    pub(crate) fn open(directory: &Path) -> Result<Self> {
        let directory = directory.canonicalize().map_err(file("open the bundle", directory))?;
        Self::with_config(&directory.join(CONFIG), directory.clone())
    }

    /// The bundle in `directory` as it was when it was [copied](Self::copy) to the directory of a state.
    pub(crate) fn of_copy(copy: &Path, directory: PathBuf) -> Result<Self> {
        Self::with_config(&copy.join(CONFIG), directory)
    }

    /// Copies its configuration to another directory: what an engine changes after `create` has no
    /// effect on the container (runtime.md, "Create").
    pub(crate) fn copy(&self, to: &Path) -> Result<()> {
        let path = to.join(CONFIG);
        fs::write(&path, &self.text).map_err(file("write", path))
    }

    fn with_config(path: &Path, directory: PathBuf) -> Result<Self> {
        let text = fs::read(path).map_err(file("read", path))?;
        let config: Config = serde_json::from_slice(&text)
            .map_err(|error| Error::Invalid { path: path.to_owned(), why: error.to_string() })?;
        check_version(&config.oci_version)?;
        Ok(Self { directory, config, text })
    }

    /// Where a path of the configuration is: absolute, or below the bundle.
    pub(crate) fn path(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }

    /// The root file system.
    pub(crate) fn rootfs(&self) -> Result<PathBuf> {
        let root = self.config.root.as_ref();
        let root = root.ok_or_else(|| property("root", "it is missing"))?;
        let path = self.path(&root.path);
        let about = fs::symlink_metadata(&path).map_err(file("look at the root", &path))?;
        match about.is_dir() {
            true => Ok(path),
            false => Err(property("root.path", format!("{path:?} is not a directory"))),
        }
    }
}

/// Minor versions add properties and change none (SemVer 2.0.0): any 1.x is read.
fn check_version(version: &str) -> Result<()> {
    let major = version.split('.').next().unwrap_or_default();
    let has_three = version.splitn(3, '.').filter(|part| !part.is_empty()).count() == 3;
    match major {
        "1" if has_three => Ok(()),
        _ => Err(property(
            "ociVersion",
            format!("{version:?} is not a version 1.x of the specification"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_another_major_number_are_refused() {
        for version in ["1.0.0", "1.0.2-dev", "1.2.1", "1.3.0"] {
            check_version(version).unwrap();
        }
        for version in ["", "1", "2.0.0", "0.9.0", "one"] {
            assert!(check_version(version).is_err(), "{version}");
        }
    }
}
