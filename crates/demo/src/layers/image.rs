//! The layers of a real image: which layer each name comes from, and a few names that show it.
//!
//! ```text
//!   layer 3   etc/old: whiteout      hides the file of layer 1
//!   layer 2   srv/application
//!   layer 1   bin/sh   etc/old       a base image
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use container::layer::{is_whiteout, opaque_mark};

use super::{
    Found,
    directory::{MOUNTED_ON, Targets},
};

/// As many names as a projector has lines for.
const ROWS: usize = 9;
/// What a container can copy up while a class waits.
const LARGEST: u64 = 64 << 20;
/// A larger directory is not replaced.
const MOST_IN_DIRECTORY: usize = 50;

/// All names of an image's layers, each as its uppermost layer has it, with the number of that layer;
/// the lowest is 1.
#[derive(Default)]
pub(super) struct ImageLayers {
    names: BTreeMap<String, (Found, usize)>,
    /// What the files of all layers take on the disk, in bytes.
    pub(super) bytes: u64,
}

impl ImageLayers {
    /// Looks through the layers, the uppermost first.
    pub(super) fn of(lowers: &[PathBuf]) -> io::Result<Self> {
        let mut image = Self::default();
        for (number, layer) in (1..).zip(lowers.iter().rev()) {
            image.add(layer, "", number)?;
        }
        Ok(image)
    }

    fn add(&mut self, layer: &Path, below: &str, number: usize) -> io::Result<()> {
        for entry in fs::read_dir(layer.join(below))? {
            let entry = entry?;
            // A name that a terminal could take for a command is not shown.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_mounted_on = below.is_empty() && MOUNTED_ON.contains(&&*name);
            if is_mounted_on || name.chars().any(char::is_control) {
                continue;
            }
            // Of the entry itself: no link is followed.
            let (path, about) = (entry.path(), entry.metadata()?);
            let name = format!("{below}{name}");
            let directory = format!("{name}/");
            if about.is_dir() {
                if opaque_mark(&path).is_some() {
                    self.hide(&directory);
                }
                self.names.remove(&name);
                self.names.insert(directory.clone(), (Found::Directory, number));
                self.add(layer, &directory, number)?;
                continue;
            }
            self.bytes += about.blocks() * 512;
            self.hide(&directory);
            let found = match about.is_file() {
                true => Some(Found::File(about.len())),
                false => is_whiteout(&path).then_some(Found::Whiteout),
            };
            // A link is not shown: it is what it leads to that one would look for.
            match found {
                Some(found) => drop(self.names.insert(name, (found, number))),
                None => drop(self.names.remove(&name)),
            }
        }
        Ok(())
    }

    /// Removes a directory of a lower layer, with what is in it.
    fn hide(&mut self, directory: &str) {
        let below = self.names.range(directory.to_owned()..);
        let below = below.take_while(|(name, _)| name.starts_with(directory));
        for name in below.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.names.remove(&name);
        }
    }

    fn files(&self) -> impl Iterator<Item = (u64, &String)> {
        self.names.iter().filter_map(|(name, (found, _))| match found {
            Found::File(bytes) => Some((*bytes, name)),
            _ => None,
        })
    }

    fn below<'a>(&'a self, directory: &'a str) -> impl Iterator<Item = &'a String> {
        let names = self.names.range(directory.to_owned()..).map(|(name, _)| name);
        names.take_while(move |name| name.starts_with(directory)).filter(move |it| *it != directory)
    }

    /// What the keys change: the largest file, the next one, and a directory without these.
    pub(super) fn targets(&self, is_file: impl Fn(&str) -> bool) -> Targets {
        let mut files: Vec<_> =
            self.files().filter(|(bytes, name)| *bytes <= LARGEST && is_file(name)).collect();
        files.sort();
        let mut largest = files.into_iter().rev().map(|(_, name)| name.clone());
        let (written, deleted) = (largest.next(), largest.next());
        let mut directories: Vec<_> =
            self.names.iter().filter(|(_, (it, _))| *it == Found::Directory).collect();
        // Those of the uppermost layer are the image's own.
        directories.sort_by_key(|(_, (_, number))| std::cmp::Reverse(*number));
        let replaced = directories.into_iter().find_map(|(directory, _)| {
            let all: Vec<&String> = self.below(directory).take(MOST_IN_DIRECTORY + 1).collect();
            let has = |file: &Option<String>| file.as_ref().is_some_and(|it| all.contains(&it));
            let suits = all.len() <= MOST_IN_DIRECTORY && !has(&written) && !has(&deleted);
            let file = all.into_iter().find(|name| !name.ends_with('/')).filter(|_| suits)?;
            Some((directory.trim_end_matches('/').to_owned(), file.clone()))
        });
        Targets { written, deleted, replaced }
    }

    /// The names that are shown: what the keys change, whiteouts, and some of each layer.
    pub(super) fn shown(&self, targets: &Targets) -> BTreeMap<String, (Found, usize)> {
        let mut chosen: BTreeSet<&String> =
            [&targets.written, &targets.deleted].into_iter().flatten().collect();
        let directory = targets.replaced.as_ref().map(|(directory, _)| format!("{directory}/"));
        chosen.extend(directory.iter());
        chosen.extend(targets.replaced.iter().map(|(_, file)| file));
        let whiteouts = self.names.iter().filter(|(_, (found, _))| *found == Found::Whiteout);
        chosen.extend(whiteouts.take(2).map(|(name, _)| name));
        let layers = self.names.values().map(|(_, number)| *number).max().unwrap_or(0);
        // Round by round a file of each layer, the uppermost first.
        for nth in 0..ROWS {
            for number in (1..=layers).rev() {
                let mut of_it = self
                    .names
                    .iter()
                    .filter(|(_, (found, of))| *of == number && matches!(found, Found::File(_)));
                if let Some((name, _)) = of_it.nth(nth)
                    && chosen.len() < ROWS
                {
                    chosen.insert(name);
                }
            }
        }
        let known =
            chosen.into_iter().filter_map(|name| Some((name.clone(), *self.names.get(name)?)));
        known.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_of_the_uppermost_layer_that_has_it() {
        let root = std::env::temp_dir().join(format!("isolab-image-{}", std::process::id()));
        let write = |layer: &str, path: &str, bytes: usize| {
            let path = root.join(layer).join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![b'.'; bytes]).unwrap();
        };
        write("1", "etc/a", 1);
        write("1", "etc/b", 2);
        write("1", "dir/x", 3);
        write("1", "bad\x1b[2J", 1);
        write("2", "etc/b", 30);
        // A file where a directory was.
        write("2", "dir", 20);
        let image = ImageLayers::of(&[root.join("2"), root.join("1")]);
        fs::remove_dir_all(&root).unwrap();
        let image = image.unwrap();
        let expected = [
            ("dir", (Found::File(20), 2)),
            ("etc/", (Found::Directory, 2)),
            ("etc/a", (Found::File(1), 1)),
            ("etc/b", (Found::File(30), 2)),
        ];
        assert_eq!(image.names, expected.map(|(name, found)| (name.to_owned(), found)).into());
        let targets = image.targets(|_| true);
        assert_eq!(
            (targets.written.as_deref(), targets.deleted.as_deref()),
            (Some("etc/b"), Some("dir"))
        );
        assert_eq!(targets.replaced, None, "what is written is in it");
        assert!(image.shown(&targets).contains_key("etc/a"));
    }
}
