//! What the check looks with.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

pub use container::layer::is_whiteout;
use lab::check::{Process, kernel::Mount};

/// The path of something that `process` sees, as seen from here.
pub fn within(process: Process, path: &Path) -> PathBuf {
    process.path("root").join(path.strip_prefix("/").unwrap_or(path))
}

/// The files below a directory, with what is in them.
///
/// # Errors
///
/// When one of them cannot be read.
pub fn content(root: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut found = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            // A link is not followed: it may lead out of what the program sees.
            if kind.is_dir() {
                directories.push(path);
            } else if kind.is_file() {
                let name = path.strip_prefix(root).unwrap_or(&path).to_owned();
                found.insert(name, fs::read_to_string(&path)?);
            }
        }
    }
    Ok(found)
}

/// Whether a file has this content.
pub fn holds(path: &Path, text: &str) -> bool {
    fs::read_to_string(path).is_ok_and(|found| found == text)
}

/// An option of an overlay: `upperdir`, `workdir`.
pub fn option<'a>(overlay: &'a Mount, name: &str) -> Option<&'a str> {
    let mut options = overlay.options.split(',');
    options.find_map(|option| option.strip_prefix(name)?.strip_prefix('='))
}

/// The lower layers of an overlay, by its options.
pub fn lowers(overlay: &Mount) -> impl Iterator<Item = PathBuf> + '_ {
    let options = overlay.options.split(',');
    let lowers = options.filter_map(|option| option.strip_prefix("lowerdir")?.split_once('='));
    lowers.flat_map(|(_, paths)| paths.split(':').map(PathBuf::from))
}
