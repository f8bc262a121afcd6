//! Who may: users with passwords in an htpasswd file, hashed by bcrypt.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, OnceLock, PoisonError},
    time::SystemTime,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use image::digest::Digest;

/// So many verified passwords are remembered: bcrypt is slow so that guessing is slow, and a push
/// is hundreds of requests.
const REMEMBERED: usize = 1024;

/// A hash that no name has, of the usual cost: an unknown name takes as long as a known one.
fn nobody() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| bcrypt::hash("", bcrypt::DEFAULT_COST).unwrap_or_default())
}

/// The users of a registry.
#[derive(Debug)]
pub struct Users {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    modified: Option<SystemTime>,
    hashes: HashMap<String, String>,
    /// The digests of credentials that were right, with their names.
    verified: HashMap<Digest, String>,
}

/// A file that is not one of passwords.
#[derive(Debug, thiserror::Error)]
pub enum UsersError {
    /// It cannot be read.
    #[error("read the password file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A line of it is not a name and a hash of bcrypt.
    #[error("line {line} of {}: {why}\nwrite it with `htpasswd -B -c FILE NAME`", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
}

impl Users {
    /// The users in the htpasswd file `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or a line has another kind of hash than bcrypt's.
    pub fn of(path: &Path) -> Result<Self, UsersError> {
        let users = Self { path: path.into(), state: Mutex::default() };
        let state = users.read()?;
        *users.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        Ok(users)
    }

    fn read(&self) -> Result<State, UsersError> {
        let failed = |source| UsersError::Read { path: self.path.clone(), source };
        let modified =
            fs::metadata(&self.path).and_then(|about| about.modified()).map_err(failed)?;
        let text = fs::read_to_string(&self.path).map_err(failed)?;
        let mut hashes = HashMap::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let error = |why| UsersError::Line { path: self.path.clone(), line: number + 1, why };
            let (name, hash) = line.split_once(':').ok_or_else(|| error("not NAME:HASH"))?;
            if !["$2y$", "$2a$", "$2b$"].iter().any(|kind| hash.starts_with(kind)) {
                return Err(error("the hash is not of bcrypt"));
            }
            hashes.insert(name.to_owned(), hash.to_owned());
        }
        Ok(State { modified: Some(modified), hashes, verified: HashMap::new() })
    }

    /// The name of the user with these credentials, the value of an `Authorization` header; `None`
    /// if there is none. It takes a tenth of a second the first time.
    pub fn check(&self, authorization: &str) -> Option<String> {
        let key = Digest::of(authorization.as_bytes());
        let (scheme, encoded) = authorization.split_once(' ')?;
        if !scheme.eq_ignore_ascii_case("basic") {
            return None;
        }
        self.read_again_if_changed();
        let known = self.with(|state| state.verified.get(&key).cloned());
        if known.is_some() {
            return known;
        }
        let decoded = String::from_utf8(BASE64_STANDARD.decode(encoded.trim()).ok()?).ok()?;
        let (name, password) = decoded.split_once(':')?;
        let hash = self.with(|state| state.hashes.get(name).cloned());
        let is_right =
            bcrypt::verify(password, hash.as_deref().unwrap_or(nobody())).unwrap_or(false);
        if !is_right || hash.is_none() {
            return None;
        }
        self.with(|state| {
            if state.verified.len() >= REMEMBERED {
                state.verified.clear();
            }
            state.verified.insert(key, name.to_owned());
        });
        Some(name.to_owned())
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A file that is damaged meanwhile leaves the users as they were.
    fn read_again_if_changed(&self) {
        let modified = fs::metadata(&self.path).and_then(|about| about.modified()).ok();
        let is_same = self.with(|state| state.modified == modified);
        if !is_same && let Ok(state) = self.read() {
            self.with(|known| *known = state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(name: &str, password: &str) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{name}:{password}")))
    }

    #[test]
    fn only_the_right_password_is_right_and_a_changed_file_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        let line =
            |password: &str| format!("# users\nana:{}\n", bcrypt::hash(password, 4).unwrap());
        fs::write(&path, line("one")).unwrap();
        let users = Users::of(&path).unwrap();
        for _ in 0..2 {
            assert_eq!(users.check(&basic("ana", "one")).as_deref(), Some("ana"));
        }
        for wrong in [
            basic("ana", "two"),
            basic("bob", "one"),
            basic("", ""),
            "Basic x".into(),
            "Bearer x".into(),
            String::new(),
        ] {
            assert_eq!(users.check(&wrong), None, "{wrong}");
        }
        fs::write(&path, line("two")).unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::open(&path).unwrap().set_modified(later).unwrap();
        assert_eq!(users.check(&basic("ana", "one")), None);
        assert_eq!(users.check(&basic("ana", "two")).as_deref(), Some("ana"));
    }

    #[test]
    fn other_hashes_are_refused_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("users");
        fs::write(&path, "\nana:$apr1$x$y\n").unwrap();
        let error = Users::of(&path).unwrap_err().to_string();
        assert!(error.starts_with("line 2 of") && error.contains("htpasswd -B"), "{error}");
    }
}
