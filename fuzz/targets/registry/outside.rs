//! What is beside the data directory: no request reads or writes it.

use std::{fs, os::unix::fs::symlink, path::Path};

use image::digest::Digest;

/// In no answer.
pub const SECRET: &str = "the secret of the host";

/// A repository that is not in the data directory, and a link that leads to it.
pub fn plant(folder: &Path) {
    for (path, content) in outside() {
        let path = folder.join("outside").join(path);
        fs::create_dir_all(path.parent().expect("it has one")).expect("memory for files");
        fs::write(path, content).expect("memory for files");
    }
    symlink("../../outside", folder.join("data/repositories/link")).expect("it is new");
}

/// Nothing of it has changed, and nothing is beside it.
pub fn check(folder: &Path) {
    let mut beside: Vec<_> = fs::read_dir(folder)
        .expect("it was there before")
        .map(|entry| entry.expect("it was there before").file_name())
        .collect();
    beside.sort();
    assert_eq!(beside, ["data", "outside"]);
    assert_eq!(tree(&folder.join("outside")), outside());
}

fn outside() -> Vec<(String, String)> {
    let digest = Digest::of(SECRET.as_bytes());
    let manifest = format!("_manifests/sha256-{}", digest.hex());
    [(manifest, SECRET.to_owned()), ("_tags/a".into(), digest.to_string())].into()
}

fn tree(folder: &Path) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("it was there before").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        match entry.path().is_dir() {
            true => {
                let below = tree(&entry.path()).into_iter();
                all.extend(below.map(|(path, content)| (format!("{name}/{path}"), content)));
            }
            false => all.push((name, fs::read_to_string(entry.path()).expect("a text"))),
        }
    }
    all.sort();
    all
}
