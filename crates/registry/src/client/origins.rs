//! Origins: in which repositories the blobs of the store are, as far as isolab has seen.
//!
//! ```text
//!   origins/sha256-9f86..     127.0.0.1:5000/class/hello
//!                             127.0.0.1:5000/class/base
//! ```
//!
//! A registry then takes a blob from its other repository, and nothing is sent. It is only advice: a
//! registry that no longer has the blob there says so, and gets it. Garbage collection removes what is
//! noted about blobs that are gone.

use std::{
    fs::{DirBuilder, OpenOptions},
    io::{Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
};

use image::{digest::Digest, reference::Reference, store::Store};

/// A file that has grown to this size begins anew.
const MAX_FILE: u64 = 4 << 10;

/// The names of the repositories that have the blob, the latest last.
fn read(store: &Store, digest: &Digest) -> Vec<Reference> {
    let mut options = OpenOptions::new();
    let opened =
        options.read(true).custom_flags(nix::libc::O_NOFOLLOW).open(store.origins_path(digest));
    let mut text = String::new();
    let Ok(file) = opened else { return Vec::new() };
    if file.take(MAX_FILE).read_to_string(&mut text).is_err() {
        return Vec::new();
    }
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

/// Notes that the repository `name` has the blob. A store that cannot be written goes without.
pub(super) fn add(store: &Store, digest: &Digest, name: &str) {
    if read(store, digest).iter().any(|known| known.name() == name) {
        return;
    }
    let path = store.origins_path(digest);
    let folder = store.path().join(Store::ORIGINS);
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let is_full = path.metadata().is_ok_and(|found| found.len() + name.len() as u64 >= MAX_FILE);
    let mut options = OpenOptions::new();
    options.create(true).mode(0o600).custom_flags(nix::libc::O_NOFOLLOW);
    let opened = match is_full {
        true => options.write(true).truncate(true).open(path),
        false => options.append(true).open(path),
    };
    if let Ok(mut file) = opened {
        // One write: two processes do not mix their lines.
        let _ = file.write_all(format!("{name}\n").as_bytes());
    }
}

/// Other repositories of the same registry that may have the blob, the latest first.
pub(super) fn others(store: &Store, digest: &Digest, target: &Reference) -> Vec<String> {
    let is_other = |known: &Reference| {
        known.registry() == target.registry() && known.repository() != target.repository()
    };
    let known = read(store, digest).into_iter().rev();
    known.filter(is_other).map(|known| known.repository().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_repositories_of_a_blob_are_known_by_registry() {
        let folder = TempDir::new().unwrap();
        let store = Store::open(&folder.path().join("images")).unwrap();
        let digest = Digest::of(b"layer");
        let target: Reference = "127.0.0.1:5000/class/new:1".parse().unwrap();
        assert!(others(&store, &digest, &target).is_empty());
        for name in [
            "127.0.0.1:5000/a",
            "r.example/b",
            "127.0.0.1:5000/c",
            "127.0.0.1:5000/c",
            "127.0.0.1:5000/class/new",
        ] {
            add(&store, &digest, name);
        }
        assert_eq!(others(&store, &digest, &target), ["c", "a"]);
        for number in 0..1000 {
            add(&store, &digest, &format!("127.0.0.1:5000/r{number}"));
        }
        assert!(store.origins_path(&digest).metadata().unwrap().len() <= MAX_FILE);
        assert_eq!(others(&store, &digest, &target)[0], "r999");
        std::fs::write(store.origins_path(&digest), b"\xff\xfe../../x\n").unwrap();
        assert!(others(&store, &digest, &target).is_empty());
    }
}
