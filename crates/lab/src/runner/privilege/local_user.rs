//! Who works here: whose progress it is, and as whom programs are built.
//!
//! Many labs need root, so many a student calls `sudo isolab lab check`. Nothing of what that
//! reads, runs or writes may be done with root's rights: cargo runs as the owner of the checkout,
//! the checkout's files are read as that owner, and the progress is written with the rights of
//! whoever called sudo.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use nix::{
    fcntl::OFlag,
    unistd::{Gid, Uid, setfsgid, setfsuid},
};

use super::trust;

/// No text of a lab is longer.
const MOST_BYTES: u64 = 4 << 20;

/// A user of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUser {
    /// The name of the account, or its number.
    pub name: String,
    pub(super) uid: Uid,
    pub(super) gid: Gid,
    /// The home folder.
    pub(crate) home: Option<PathBuf>,
}

impl LocalUser {
    /// The user who called: under sudo the one who called that.
    pub fn caller() -> Self {
        let number = |name| std::env::var(name).ok()?.parse().ok();
        let own = Uid::effective();
        match (number("SUDO_UID"), number("SUDO_GID")) {
            (Some(uid), Some(gid)) if own.is_root() && uid != 0 => Self::of(uid, gid),
            _ => Self::own(),
        }
    }

    /// The user as whom this process runs.
    pub(crate) fn own() -> Self {
        Self::of(Uid::effective().as_raw(), Gid::effective().as_raw())
    }

    /// The owner of a file or folder.
    pub(crate) fn owner_of(path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        Ok(Self::of(found.uid(), found.gid()))
    }

    fn of(uid: u32, gid: u32) -> Self {
        let account = account(uid);
        let name = account.as_ref().map(|account| account.name.clone());
        let said = std::env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        let said = said.filter(|_| uid == Uid::effective().as_raw());
        // Cargo takes its configuration from there; sudo may leave the caller's.
        let said = said.filter(|home| uid != 0 || trust::may_hold(home));
        Self {
            name: name.unwrap_or_else(|| uid.to_string()),
            uid: Uid::from_raw(uid),
            gid: Gid::from_raw(account.as_ref().map_or(gid, |account| account.gid)),
            home: said.or_else(|| account.map(|account| account.home)),
        }
    }

    /// Whether this process is root and this user is not.
    pub(crate) fn is_not_root_here(&self) -> bool {
        Uid::effective().is_root() && !self.uid.is_root()
    }

    /// The content of a regular file that this user may read, up to `MOST_BYTES`.
    pub(crate) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        self.open(path)?.take(MOST_BYTES).read_to_end(&mut content)?;
        Ok(content)
    }

    /// The same as text.
    pub(crate) fn read_text(&self, path: &Path) -> io::Result<String> {
        String::from_utf8(self.read(path)?)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// A regular file that this user may read; a pipe in its place is not waited at.
    pub(crate) fn open(&self, path: &Path) -> io::Result<File> {
        let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let mut options = File::options();
        let options = options.read(true).custom_flags(flags.bits());
        let file = self.acting(|| options.open(path))?;
        match file.metadata()?.is_file() {
            true => Ok(file),
            false => Err(io::Error::other("not a regular file")),
        }
    }

    /// Writes a file that others may read, with this user's rights: whole, or not at all.
    pub(crate) fn write(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(Path::new("/"));
        self.acting(|| {
            let mut draft = tempfile::NamedTempFile::new_in(folder)?;
            draft.write_all(text)?;
            draft.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
            draft.persist(path)?;
            Ok(())
        })
    }

    /// Does something on files with this user's rights: what is made is theirs, and what they
    /// could not have written is not written for them.
    pub(crate) fn acting<T>(&self, act: impl FnOnce() -> T) -> T {
        struct Back(Uid, Gid);
        impl Drop for Back {
            fn drop(&mut self) {
                setfsuid(self.0);
                setfsgid(self.1);
            }
        }
        if !self.is_not_root_here() {
            return act();
        }
        let gid = setfsgid(self.gid);
        let _back = Back(setfsuid(self.uid), gid);
        act()
    }
}

struct PasswdEntry {
    name: String,
    gid: u32,
    home: PathBuf,
}

/// From the file, or from whatever else this host keeps its users in. The C library's own functions
/// for that cannot be linked statically.
fn account(uid: u32) -> Option<PasswdEntry> {
    let of = |text: &str| text.lines().find_map(|line| entry(line, uid));
    let file = fs::read_to_string("/etc/passwd").unwrap_or_default();
    of(&file).or_else(|| {
        // Not the one that the caller's PATH leads to.
        let mut getent = Command::new("getent");
        getent.env_clear().env("PATH", "/usr/bin:/bin:/run/current-system/sw/bin");
        let asked = getent.args(["passwd", &uid.to_string()]).output().ok()?;
        of(&String::from_utf8_lossy(&asked.stdout))
    })
}

/// A line of passwd(5), if it is that user's.
fn entry(line: &str, uid: u32) -> Option<PasswdEntry> {
    let fields: Vec<&str> = line.split(':').collect();
    let [name, _, number, gid, _, home, ..] = fields[..] else { return None };
    (number.parse() == Ok(uid)).then_some(())?;
    Some(PasswdEntry { name: name.to_owned(), gid: gid.parse().ok()?, home: home.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_number() {
        let line = "student:x:1000:1001:A, B:/home/student:/bin/bash";
        let account = entry(line, 1000).unwrap();
        assert_eq!((&*account.name, account.gid), ("student", 1001));
        assert_eq!(account.home, Path::new("/home/student"));
        assert!(entry(line, 100).is_none() && entry("damaged", 0).is_none());
    }

    #[test]
    fn what_root_writes_for_somebody_is_theirs() {
        if !Uid::effective().is_root() {
            eprintln!("skipped: only root can act for somebody else");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let somebody = LocalUser::of(65534, 65534);
        let refused = somebody.acting(|| fs::write(folder.path().join("file"), ""));
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::PermissionDenied);
        std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
        somebody.acting(|| fs::write(folder.path().join("file"), "")).unwrap();
        assert_eq!(fs::metadata(folder.path().join("file")).unwrap().uid(), 65534);
        fs::write(folder.path().join("roots"), "").unwrap();
        assert_eq!(fs::metadata(folder.path().join("roots")).unwrap().uid(), 0);
    }
}
