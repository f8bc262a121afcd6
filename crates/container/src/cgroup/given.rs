//! Files of a cgroup that the caller names: what no limit of ours stands for.

use std::{fs, io::ErrorKind, path::Path};

use serde::{Deserialize, Serialize};

use super::Cgroup;
use crate::{Error, error::file};

/// A file of a cgroup, and what is written into it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupFile {
    /// Its name: `pids.max`.
    pub name: String,
    /// What is written, with one call.
    pub value: String,
    /// Whether a kernel without this file is good enough.
    pub is_optional: bool,
}

impl Cgroup {
    /// Writes them, before there is any process in it.
    pub(super) fn write_given(&self, files: &[CgroupFile]) -> Result<(), Error> {
        let paths: Vec<&Path> = self.directories.iter().map(|made| &*made.directory.path).collect();
        write_all(&paths, files)
    }
}

/// Each file is in the directory of the hierarchy that has its controller.
pub(crate) fn write_all(directories: &[&Path], files: &[CgroupFile]) -> Result<(), Error> {
    for CgroupFile { name, value, is_optional } in files {
        if name.contains('/') || name.is_empty() {
            let refused = std::io::Error::from(ErrorKind::InvalidInput);
            return Err(file("write the file of a cgroup", name)(refused));
        }
        let found = directories.iter().map(|path| path.join(name)).find(|path| path.exists());
        match found {
            Some(path) => fs::write(&path, value).map_err(file("write a limit to", &path))?,
            None if *is_optional => {}
            None => {
                let controller = name.split('.').next().unwrap_or_default();
                let why = format!("no cgroup of this container has the file {name:?}");
                return Err(Error::NoControllerFile { controller: controller.into(), why });
            }
        }
    }
    Ok(())
}
