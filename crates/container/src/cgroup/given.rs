//! Files of a cgroup that the caller names: what no limit of ours stands for.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use nix::errno::Errno;
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
    /// Name and value of another file, for a kernel without this one.
    #[serde(default)]
    pub instead: Option<(String, String)>,
}

/// Files of which the kernel takes the first value only if it fits the second one, which may be the old
/// one or the new one: then the second is written before.
const PAIRS: [(&str, &str); 7] = [
    ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"),
    ("cpu.rt_period_us", "cpu.rt_runtime_us"),
    ("cpu.cfs_period_us", "cpu.cfs_quota_us"),
    ("cpu.cfs_burst_us", "cpu.cfs_quota_us"),
    ("cpu.max.burst", "cpu.max"),
    ("cpu.shares", "cpu.idle"),
    ("cpu.weight", "cpu.idle"),
];

impl Cgroup {
    /// Writes them, before there is any process in it.
    pub(super) fn write_given(&self, files: &[CgroupFile]) -> Result<(), Error> {
        let paths: Vec<&Path> = self.directories.iter().map(|made| &*made.directory.path).collect();
        write_all(&paths, files)
    }
}

/// Each file is in the directory of the hierarchy that has its controller.
pub(crate) fn write_all(directories: &[&Path], files: &[CgroupFile]) -> Result<(), Error> {
    for given in files {
        match write(directories, given) {
            Err(error) if is_refused(&error) => {
                let mut pairs = PAIRS.iter().filter(|(first, _)| *first == given.name);
                let second =
                    pairs.find_map(|(_, second)| files.iter().find(|it| it.name == *second));
                let Some(second) = second else { return Err(error) };
                write(directories, second)?;
                write(directories, given)?;
            }
            written => written?,
        }
    }
    Ok(())
}

fn write(directories: &[&Path], given: &CgroupFile) -> Result<(), Error> {
    let instead = given.instead.as_ref().map(|(name, value)| (name, value));
    for (name, value) in [(&given.name, &given.value)].into_iter().chain(instead) {
        if let Some(path) = find(directories, name)? {
            return fs::write(&path, value).map_err(file("write a limit to", &path));
        }
    }
    if given.is_optional {
        return Ok(());
    }
    let controller = given.name.split('.').next().unwrap_or_default();
    let why = format!("no cgroup of this container has the file {:?}", given.name);
    Err(Error::NoControllerFile { controller: controller.into(), why })
}

/// The file of that name in one of the directories.
fn find(directories: &[&Path], name: &str) -> Result<Option<PathBuf>, Error> {
    if name.contains('/') || name.is_empty() {
        let refused = io::Error::from(io::ErrorKind::InvalidInput);
        return Err(file("write the file of a cgroup", name)(refused));
    }
    Ok(directories.iter().map(|path| path.join(name)).find(|path| path.exists()))
}

fn is_refused(error: &Error) -> bool {
    let errno = |source: &io::Error| source.raw_os_error().map(Errno::from_raw);
    matches!(error, Error::File { source, .. } if errno(source) == Some(Errno::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(name: &str, is_optional: bool, instead: Option<&str>) -> CgroupFile {
        let instead = instead.map(|name| (name.to_owned(), "2".to_owned()));
        CgroupFile { name: name.into(), value: "1".into(), is_optional, instead }
    }

    #[test]
    fn a_file_is_written_where_it_is_or_another_one_instead() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(other.path().join("io.weight"), "").unwrap();
        let directories = [one.path(), other.path()];
        write_all(&directories, &[given("io.weight", false, None)]).unwrap();
        let read = || fs::read_to_string(other.path().join("io.weight")).unwrap();
        assert_eq!(read(), "1");
        write_all(&directories, &[given("io.bfq.weight", false, Some("io.weight"))]).unwrap();
        assert_eq!(read(), "2");
        write_all(&directories, &[given("x.y", true, None)]).unwrap();
        let error = write_all(&directories, &[given("x.y", false, Some("x.z"))]).unwrap_err();
        assert!(error.to_string().contains("\"x.y\""), "{error}");
        assert!(write_all(&directories, &[given("../x", true, None)]).is_err());
    }
}
