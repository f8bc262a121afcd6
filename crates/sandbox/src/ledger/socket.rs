//! A socket beside an entry, on which its launcher listens.
//!
//! Only the owner has access to the ledger's directory, and so to the socket. It is reached through
//! the opened and checked directory: the path of a socket has at most 107 bytes (unix(7)), and that
//! of the directory may be longer.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            fs::PermissionsExt as _,
            net::{UnixListener, UnixStream},
        },
    },
    path::PathBuf,
};

use super::{Claim, Ledger, LedgerEntry, LedgerError, error::file_error, is_name};

/// A listening socket; dropping it removes it.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // A leftover does no harm, and `isolab clean` removes it.
        let _ = fs::remove_file(&self.path);
    }
}

/// The suffix of the names of sockets.
const SOCKET: &str = ".socket";

/// The path of the socket of `name`, below an open directory.
fn below(directory: &File, name: &str) -> PathBuf {
    format!("/proc/self/fd/{}/{name}{SOCKET}", directory.as_raw_fd()).into()
}

impl Ledger {
    /// Listens on the socket of a claimed entry while the [`Socket`] lives.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn listen(&self, claim: &Claim) -> Result<(Socket, UnixListener), LedgerError> {
        self.listen_for(claim.entry())
    }

    /// The same for a process that another one has recorded as the launcher of `entry`.
    ///
    /// # Errors
    ///
    /// Those of the file system.
    pub fn listen_for(&self, entry: &LedgerEntry) -> Result<(Socket, UnixListener), LedgerError> {
        let name = &entry.name;
        let directory = self.opened()?;
        let (path, reached) =
            (self.directory.join(format!("{name}{SOCKET}")), below(&directory, name));
        let failed = file_error("listen at", &path);
        // The name belongs to the caller: an existing socket was left by a killed launcher.
        match fs::remove_file(&reached) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&reached).map_err(failed)?;
        let socket = Socket { path: path.clone() };
        // Until now its mode was determined by the umask, in a directory that only the owner may
        // enter.
        let closed = fs::set_permissions(&reached, Permissions::from_mode(0o600));
        closed.map_err(file_error("change the mode of", &path))?;
        Ok((socket, listener))
    }

    /// Connects to the launcher of `entry`.
    ///
    /// # Errors
    ///
    /// When it does not listen, and those of [`Ledger::entries`].
    pub fn connect(&self, entry: &LedgerEntry) -> Result<UnixStream, LedgerError> {
        let name = &entry.name;
        let path = self.directory.join(format!("{name}{SOCKET}"));
        let directory = self.opened()?;
        UnixStream::connect(below(&directory, name)).map_err(file_error("connect to", &path))
    }
}

/// Removes the sockets of dead launchers.
pub(super) fn sweep(ledger: &Ledger) -> Result<(), LedgerError> {
    let entries = ledger.entries()?;
    let lives =
        |name: &str| entries.iter().any(|entry| entry.name == name && entry.launcher.is_alive());
    let directory = &ledger.directory;
    for file in fs::read_dir(directory).map_err(file_error("list", directory))?.flatten() {
        let name = file.file_name();
        let name = name.to_str().and_then(|name| name.strip_suffix(SOCKET));
        if name.is_some_and(|name| is_name(name) && !lives(name)) {
            // It fails only if another process has just removed it.
            let _ = fs::remove_file(file.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{io::Read as _, os::unix::fs::MetadataExt as _};

    use super::*;

    fn ledger(directory: &std::path::Path) -> Ledger {
        Ledger::at(directory.to_owned()).unwrap()
    }

    /// A temporary directory whose path is too long for a socket.
    fn directory(test: &str) -> PathBuf {
        let name = format!("isolab-{test}-{}-{}", std::process::id(), "x".repeat(150));
        std::env::temp_dir().join(name)
    }

    #[test]
    fn a_launcher_is_reached_by_its_name_and_by_its_owner_alone() {
        let path = directory("reached");
        let ledger = ledger(&path);
        for name in ["a", "b.json", &"c".repeat(64)] {
            let claim = ledger.claim(LedgerEntry::new(name.into(), "linux", Vec::new())).unwrap();
            let (socket, listener) = ledger.listen(&claim).unwrap();
            assert_eq!(fs::metadata(&socket.path).unwrap().mode() & 0o777, 0o600);
            let mut stream = ledger.connect(claim.entry()).unwrap();
            drop(listener.accept().unwrap());
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
            let entry = claim.entry().clone();
            drop((socket, listener));
            assert!(ledger.connect(&entry).is_err(), "it is gone");
        }
        fs::remove_dir_all(path).unwrap();
    }

    #[test]
    fn what_a_killed_launcher_left_is_replaced_or_swept() {
        let path = directory("left");
        let ledger = ledger(&path);
        let claim = ledger.claim(LedgerEntry::new("box".into(), "linux", Vec::new())).unwrap();
        let (socket, _) = ledger.listen(&claim).unwrap();
        std::mem::forget(socket);
        let (socket, _listener) = ledger.listen(&claim).unwrap();
        ledger.sweep().unwrap();
        assert!(ledger.connect(claim.entry()).is_ok(), "one that lives stays");
        std::mem::forget(socket);
        drop(claim);
        ledger.sweep().unwrap();
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
        fs::remove_dir_all(path).unwrap();
    }
}
