//! The folder that a comparison writes into: it can be written, and no other comparison does.

use std::{
    env,
    fs::Permissions,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::{
        linux::net::SocketAddrExt as _,
        unix::{
            fs::PermissionsExt as _,
            net::{SocketAddr, UnixListener},
        },
    },
    path::{Path, PathBuf},
};

use report::{Records, RecordsError};

use crate::failure::Failure;

/// A folder that no other comparison of this host writes into while this exists.
#[derive(Debug)]
pub struct Reservation {
    /// An abstract socket (unix(7)): its name is gone with this process, however that ends.
    _name: Option<UnixListener>,
}

impl Reservation {
    /// Reserves `folder`, which need not exist yet.
    ///
    /// # Errors
    ///
    /// When another comparison has it, or when nothing can be written there: better now than after
    /// minutes.
    pub fn of(folder: &Path) -> Result<Self, Failure> {
        let folder = std::path::absolute(folder)
            .map_err(Failure::at(format!("write a report into {}", folder.display())))?;
        let above = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        tempfile::tempfile_in(above)
            .map_err(Failure::at(format!("write a report into {}", folder.display())))
            .map_err(|failure| failure.help("choose another folder with --out"))?;
        let mut hash = DefaultHasher::new();
        folder.hash(&mut hash);
        let name = format!("isolab-compare-{:016x}", hash.finish());
        let listener = SocketAddr::from_abstract_name(&name)
            .and_then(|address| UnixListener::bind_addr(&address));
        match listener {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(Failure::refused(
                format!("another comparison is running that writes into {}", folder.display()),
            )
            .help("wait for its end, since two at once disturb each other's times")),
            // Without such names nobody is kept out.
            bound => Ok(Self { _name: bound.ok() }),
        }
    }
}

/// Puts the records where there is room for them, and says where: nothing has to be measured again
/// because a disk is full.
pub fn rescue(records: &Records, error: RecordsError) -> Failure {
    let failure = Failure::from(error);
    match kept(records) {
        Ok(path) => failure.help(format!(
            "the records are in {}; `isolab report` makes the page of them",
            path.display()
        )),
        // The first error says what is wrong.
        Err(_) => failure,
    }
}

/// In a new folder of this user alone: under a name that others can guess, a link of theirs would lead
/// elsewhere.
fn kept(records: &Records) -> Result<PathBuf, RecordsError> {
    let failed = |source| RecordsError::Write { path: env::temp_dir(), source };
    let own = Permissions::from_mode(0o700);
    let folder = tempfile::Builder::new().prefix("isolab-compare-").permissions(own).tempdir();
    let folder = folder.map_err(failed)?;
    let path = records.write(folder.path())?;
    let _ = folder.keep();
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_comparisons_at_a_time() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("report");
        let first = Reservation::of(&folder).unwrap();
        assert!(Reservation::of(&folder).is_err());
        assert!(Reservation::of(&scratch.path().join("other")).is_ok());
        drop(first);
        assert!(Reservation::of(&folder).is_ok());
        assert!(!folder.exists(), "it is made only when there is a report");
    }

    #[test]
    fn records_for_which_a_disk_has_no_room_are_kept_elsewhere() {
        let records = Records {
            version: report::VERSION,
            provenance: report::Provenance::default(),
            series: Vec::new(),
            gaps: Vec::new(),
            traces: Vec::new(),
            probes: Vec::new(),
        };
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let error = RecordsError::Write { path: "/full".into(), source: full };
        let failure = rescue(&records, error).as_json();
        let help = failure["help"].as_str().unwrap();
        let path = help.split_whitespace().nth(4).unwrap().trim_end_matches(';');
        assert_eq!(Records::read(Path::new(path)).unwrap(), records, "{help}");
        let folder = Path::new(path).parent().unwrap();
        let mode = folder.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "others may look into {}", folder.display());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_refused_before_anything_is_measured() {
        assert!(Reservation::of(Path::new("/proc/isolab-report")).is_err());
    }
}
