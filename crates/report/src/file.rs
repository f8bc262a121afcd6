//! Records on disk: read with suspicion, written whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use crate::{Gap, Probe, Records, VERSION, metric::PROBE, validation::Invalid};

/// The name of the file in the folder of a report.
pub(crate) const NAME: &str = "records.json";

/// No run of isolab comes near this size, and a reader should not fill the memory.
const MOST_BYTES: u64 = 256 << 20;

/// Why records or a report could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RecordsError {
    /// The file could not be read.
    #[error("read the records {path:?}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The file is larger than any run of isolab.
    #[error(
        "the records {path:?} are larger than {} MiB; isolab never writes such a file: \
         measure again with `isolab compare`",
        MOST_BYTES >> 20
    )]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// A program newer than this one wrote the file.
    #[error(
        "the records {path:?} have version {found} of the format, and this isolab reads up to \
         version {VERSION}: use the newer isolab that wrote them, or measure again with \
         `isolab compare`"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// No program ever wrote such a version.
    #[error(
        "the records {path:?} have version 0 of the format, which no isolab wrote: restore the \
         file, or measure again with `isolab compare`"
    )]
    NoVersion {
        /// The file.
        path: PathBuf,
    },
    /// The file is not records, or not all of them.
    #[error(
        "the records {path:?} are damaged at line {line}, column {column}: restore the file, or \
         measure again with `isolab compare`"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong there.
        #[source]
        source: serde_json::Error,
    },
    /// The file can be read, and holds what no measurement gives.
    #[error("the records {path:?} hold what no measurement gives: measure again")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What it holds.
        #[source]
        source: Invalid,
    },
    /// A file of the report could not be written; the one that was there before is untouched.
    #[error(
        "write {path:?}; what was there before is unchanged. Make room or choose another folder"
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A chart could not be drawn.
    #[error("draw the chart {name:?}")]
    Chart {
        /// Its name.
        name: String,
        /// Why not, in the words of the drawing library.
        message: String,
    },
}

/// The one field that every version of the format has.
#[derive(serde::Deserialize)]
struct Version {
    version: u64,
}

impl Records {
    /// Reads records from a file, or from `records.json` in a folder.
    ///
    /// # Errors
    ///
    /// When the file is not readable, is damaged, comes from a newer isolab, or holds numbers that
    /// no measurement gives.
    pub fn read(path: &Path) -> Result<Self, RecordsError> {
        let (path, bytes) = bytes(path)?;
        Self::parse(path, &bytes)
    }

    /// The records in the bytes of the file at `path`.
    pub(crate) fn parse(path: PathBuf, bytes: &[u8]) -> Result<Self, RecordsError> {
        // The version first: a newer file may lack fields that this version demands.
        let version = serde_json::from_slice(bytes).map(|Version { version }| version);
        match version {
            Ok(found) if found > u64::from(VERSION) => Err(RecordsError::Newer { path, found }),
            Ok(0) => Err(RecordsError::NoVersion { path }),
            Err(source) => Err(damaged(path, source)),
            Ok(_) => match serde_json::from_slice::<Self>(bytes) {
                Err(source) => Err(damaged(path, source)),
                Ok(mut records) => match records.validate() {
                    Ok(()) => {
                        records.take_failed_probes();
                        Ok(records)
                    }
                    Err(source) => Err(RecordsError::Invalid { path, source }),
                },
            },
        }
    }

    /// Earlier versions of isolab wrote a probe that had failed as one that saw nothing of the host,
    /// `not seen: REASON`. It is a gap.
    fn take_failed_probes(&mut self) {
        const FAILED: &str = "not seen: ";
        // What others call what they have seen is their own affair.
        if !self.provenance.command.starts_with("isolab") {
            return;
        }
        let (failed, seen) = std::mem::take(&mut self.probes)
            .into_iter()
            .partition(|probe: &Probe| !probe.exposed && probe.seen.starts_with(FAILED));
        self.probes = seen;
        self.gaps.extend(failed.into_iter().map(|Probe { probe, sandbox, seen, .. }| Gap {
            metric: format!("{PROBE}{probe}"),
            sandbox,
            reason: seen[FAILED.len()..].to_owned(),
            fix: String::new(),
        }));
    }

    /// Writes `records.json` into `folder`, which is made if need be, and returns its path.
    ///
    /// # Errors
    ///
    /// When the records hold what [`Records::read`] would refuse, or when the file cannot be
    /// written; then a file that was there before is unchanged.
    pub fn write(&self, folder: &Path) -> Result<PathBuf, RecordsError> {
        let path = folder.join(NAME);
        if let Err(source) = self.validate() {
            return Err(RecordsError::Invalid { path, source });
        }
        let text = serde_json::to_vec(self).map_err(io::Error::from);
        let written = text.and_then(|text| {
            fs::create_dir_all(folder)?;
            replace(&path, &text)
        });
        match written {
            Ok(()) => Ok(path),
            Err(source) => Err(RecordsError::Write { path, source }),
        }
    }
}

/// The bytes of the records in `folder`, if they say the same as `records`.
pub(crate) fn bytes_that_say(records: &Records, folder: &Path) -> Option<Vec<u8>> {
    let (path, bytes) = bytes(&folder.join(NAME)).ok()?;
    let same = Records::parse(path, &bytes).is_ok_and(|there| there == *records);
    same.then_some(bytes)
}

fn damaged(path: PathBuf, source: serde_json::Error) -> RecordsError {
    RecordsError::Damaged { path, line: source.line(), column: source.column(), source }
}

/// The bytes of a file of records, or of the one in a folder, and its path.
pub(crate) fn bytes(path: &Path) -> Result<(PathBuf, Vec<u8>), RecordsError> {
    let path = if path.is_dir() { path.join(NAME) } else { path.to_owned() };
    match read_bounded(&path) {
        Ok(Some(bytes)) => Ok((path, bytes)),
        Ok(None) => Err(RecordsError::TooLarge { path }),
        Err(source) => Err(RecordsError::Read { path, source }),
    }
}

/// The bytes of a file; `None` of one that is too large, of which no more is read than shows it.
fn read_bounded(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = File::open(path)?;
    if file.metadata()?.len() > MOST_BYTES {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    // A file may grow meanwhile, and a pipe has no length.
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(Some(bytes).filter(|bytes| bytes.len() as u64 <= MOST_BYTES))
}

/// Puts `bytes` in the place of the file at `path`: all of them or none (rename(2) is atomic).
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let written = File::create(&temporary).and_then(|mut file| {
        file.write_all(bytes)?;
        // A file system may notice only now that it has no room.
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        // What remains of the attempt is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tempfile::tempdir;

    use super::*;
    use crate::example;

    fn read_text(text: &str) -> Result<Records, RecordsError> {
        let folder = tempdir().unwrap();
        let path = folder.path().join(NAME);
        fs::write(&path, text).unwrap();
        Records::read(&path)
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        let folder = tempdir().unwrap();
        let records = example::records();
        let path = records.write(&folder.path().join("new")).unwrap();
        assert_eq!(Records::read(&path).unwrap(), records);
        assert_eq!(Records::read(path.parent().unwrap()).unwrap(), records);
    }

    #[test]
    fn a_newer_version_is_refused_by_name_even_if_its_fields_differ() {
        let error = read_text(r#"{"version": 7, "measurements": {}}"#).unwrap_err();
        assert!(matches!(error, RecordsError::Newer { found: 7, .. }));
        assert!(error.to_string().contains("version 7"), "{error}");
    }

    #[test]
    fn version_0_is_refused_and_version_1_is_read() {
        let of_version =
            |version| serde_json::to_string(&Records { version, ..example::records() });
        let error = read_text(&of_version(0).unwrap()).unwrap_err();
        assert!(matches!(error, RecordsError::NoVersion { .. }), "{error:?}");
        assert_eq!(read_text(&of_version(1).unwrap()).unwrap().version, 1);
    }

    #[test]
    fn a_file_of_a_thousand_times_the_size_is_refused_by_its_length() {
        let folder = tempdir().unwrap();
        let path = folder.path().join(NAME);
        // A hole in the file: nothing is stored of it, and yet all of it could be read.
        File::create(&path).unwrap().set_len(MOST_BYTES * 4).unwrap();
        let error = Records::read(&path).unwrap_err();
        assert!(matches!(error, RecordsError::TooLarge { .. }), "{error:?}");
        assert!(error.to_string().contains("larger than"), "{error}");
    }

    #[test]
    fn a_damaged_file_is_named_with_line_and_column() {
        let error = read_text("{\n  \"version\": 1,\n  \"prov").unwrap_err();
        assert!(matches!(error, RecordsError::Damaged { line: 3, .. }), "{error:?}");
        assert!(error.to_string().contains("line 3, column"), "{error}");
    }

    #[test]
    fn numbers_that_no_measurement_gives_are_not_written() {
        let folder = tempdir().unwrap();
        for value in [f64::NAN, f64::INFINITY, -1.0, 1e300] {
            let mut records = example::records();
            records.series[0].samples[0].value = value;
            let error = records.write(folder.path()).unwrap_err();
            assert!(matches!(error, RecordsError::Invalid { .. }), "{value}");
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        // A folder in the place of the file makes the last step fail, after all was written.
        let folder = tempdir().unwrap();
        let path = folder.path().join(NAME);
        fs::create_dir(&path).unwrap();
        fs::write(path.join("old"), "old").unwrap();
        assert!(matches!(example::records().write(folder.path()), Err(RecordsError::Write { .. })));
        assert_eq!(fs::read_to_string(path.join("old")).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_file_makes_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let folder = tempdir().unwrap();
            let path = folder.path().join(NAME);
            fs::write(&path, bytes).unwrap();
            prop_assert!(Records::read(&path).is_err());
        }

        #[test]
        fn a_file_cut_short_is_refused(part in 0.0..0.999f64) {
            let text = serde_json::to_string(&example::records()).unwrap();
            let mut end = (text.len() as f64 * part) as usize;
            while !text.is_char_boundary(end) { end -= 1; }
            prop_assert!(read_text(&text[..end]).is_err());
        }
    }
}
