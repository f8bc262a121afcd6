//! What the layers have, name by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use container::layer::{is_whiteout, opaque_mark};

use super::{Found, Row, directory::MOUNTED_ON, inside::Inside};

/// More names are nobody's lesson, and would not fit.
const MOST: usize = 40;

/// What there is below a directory.
#[derive(Debug, Default, Clone)]
pub(super) struct Layer {
    found: BTreeMap<String, Found>,
    /// What its files take on the disk, in bytes.
    pub(super) bytes: u64,
}

impl Layer {
    /// Looks through `root`.
    pub(super) fn of(root: &Path) -> io::Result<Self> {
        let mut layer = Self::default();
        layer.walk(root, "")?;
        Ok(layer)
    }

    /// What the layers of an image have together.
    pub(super) fn of_names(names: impl Iterator<Item = (String, Found)>, bytes: u64) -> Self {
        Self { found: names.collect(), bytes }
    }

    /// These names of `root`, as far as they are there.
    pub(super) fn at_names<'n>(root: &Path, names: impl Iterator<Item = &'n String>) -> Self {
        let found = names.filter_map(|name| {
            let about = Inside::of(root, name).and_then(|inside| inside.metadata()).ok()?;
            let found = if about.is_dir() { Found::Directory } else { Found::File(about.len()) };
            Some((name.clone(), found))
        });
        Self::of_names(found.collect::<Vec<_>>().into_iter(), 0)
    }

    /// All names.
    pub(super) fn names(&self) -> impl Iterator<Item = &String> {
        self.found.keys()
    }

    fn walk(&mut self, root: &Path, below: &str) -> io::Result<()> {
        let listing = match fs::read_dir(root.join(below)) {
            Err(error) if is_gone(&error) && !below.is_empty() => return Ok(()),
            listing => listing?,
        };
        for entry in listing {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if below.is_empty() && MOUNTED_ON.contains(&&*name) {
                continue;
            }
            if self.found.len() >= MOST {
                return Ok(());
            }
            let (path, metadata) = match (entry.path(), entry.metadata()) {
                (_, Err(error)) if is_gone(&error) => continue,
                (path, metadata) => (path, metadata?),
            };
            let found = match metadata.is_dir() {
                true if opaque_mark(&path).is_some() => Found::Opaque,
                true => Found::Directory,
                false if is_whiteout(&path) => Found::Whiteout,
                false => Found::File(metadata.len()),
            };
            if metadata.is_dir() {
                let directory = format!("{below}{name}/");
                self.found.insert(directory.clone(), found);
                self.walk(root, &directory)?;
            } else {
                // stat(2) counts in 512 bytes, whatever the file system does.
                self.bytes += metadata.blocks() * 512;
                self.found.insert(format!("{below}{name}"), found);
            }
        }
        Ok(())
    }

    /// What has that name. A whiteout is no directory, but hides one.
    fn at(&self, path: &str) -> Option<Found> {
        let without = || self.found.get(path.trim_end_matches('/'));
        let hidden = || without().filter(|found| **found == Found::Whiteout);
        self.found.get(path).or_else(hidden).copied()
    }

    /// The directory that hides what a lower layer has at `path`.
    fn opaque_above(&self, path: &str) -> bool {
        let opaque = |directory: &str| self.found.get(directory) == Some(&Found::Opaque);
        let ends = path.match_indices('/').map(|(at, _)| &path[..=at]);
        ends.filter(|above| *above != path).any(opaque)
    }
}

/// Files may be deleted while they are looked at.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// All names of the three, each in its row: those of the image first, so that they keep their
/// places.
pub(super) fn rows(lower: &Layer, upper: &Layer, merged: &Layer) -> Vec<Row> {
    let in_image: BTreeSet<&String> = lower.found.keys().collect();
    let others = upper.found.keys().chain(merged.found.keys());
    let is_new =
        |path: &&String| lower.at(path).is_none() && lower.at(&format!("{path}/")).is_none();
    let others: BTreeSet<&String> = others.filter(is_new).collect();
    let row = |path: &String| {
        let (below, above) = (lower.at(path), upper.at(path));
        let above = match above {
            Some(Found::File(bytes)) if below.is_some() && !upper.opaque_above(path) => {
                Some(Found::CopiedUp(bytes))
            }
            above => above,
        };
        Row {
            path: path.clone(),
            lower: below,
            upper: above,
            merged: merged.at(path),
            changed: false,
            layer: None,
        }
    };
    in_image.into_iter().chain(others).map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layer(found: &[(&str, Found)]) -> Layer {
        let found = found.iter().map(|(path, found)| ((*path).to_owned(), *found));
        Layer { found: found.collect(), bytes: 0 }
    }

    #[test]
    fn a_name_has_one_row_and_those_of_the_image_come_first() {
        let file = Found::File(1);
        let lower = layer(&[("lib/", Found::Directory), ("lib/a", file), ("x", file), ("y", file)]);
        let upper = layer(&[("a", file), ("lib", Found::Whiteout), ("x", file)]);
        let merged = layer(&[("a", file), ("x", file), ("y", file)]);
        let row = |path: &str, lower, upper, merged| Row {
            path: path.into(),
            lower,
            upper,
            merged,
            changed: false,
            layer: None,
        };
        let expected = [
            row("lib/", Some(Found::Directory), Some(Found::Whiteout), None),
            row("lib/a", Some(file), None, None),
            row("x", Some(file), Some(Found::CopiedUp(1)), Some(file)),
            row("y", Some(file), None, Some(file)),
            row("a", None, Some(file), Some(file)),
        ];
        assert_eq!(rows(&lower, &upper, &merged), expected);
    }

    #[test]
    fn what_is_in_an_opaque_directory_is_new() {
        let file = Found::File(1);
        let lower = layer(&[("lib/", Found::Directory), ("lib/a", file)]);
        let upper = layer(&[("lib/", Found::Opaque), ("lib/a", file)]);
        let rows = rows(&lower, &upper, &upper);
        assert_eq!(rows[1].upper, Some(file));
    }

    #[test]
    fn a_directory_is_looked_through_but_for_what_is_mounted_on() {
        let root = std::env::temp_dir().join(format!("isolab-look-{}", std::process::id()));
        fs::create_dir_all(root.join("proc/1")).unwrap();
        fs::create_dir_all(root.join("lib/proc")).unwrap();
        fs::write(root.join("lib/a"), [b'.'; 5000]).unwrap();
        let layer = Layer::of(&root);
        fs::remove_dir_all(&root).unwrap();
        let layer = layer.unwrap();
        let names: Vec<&String> = layer.found.keys().collect();
        assert_eq!(names, ["lib/", "lib/a", "lib/proc/"]);
        assert!(layer.found["lib/a"] == Found::File(5000) && layer.bytes >= 5000);
    }
}
