//! What the check wants done: layers of random files, and random edits of them. Nobody can know it
//! beforehand.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::Change;

/// A file in a layer: its path in it, and its content.
pub type File = (PathBuf, String);

/// What the program does in the mounted overlay.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Edit {
    /// Writes a new file.
    Add(PathBuf, String),
    /// Adds to the end of a file.
    Append(PathBuf, String),
    /// Removes a file.
    Delete(PathBuf),
    /// Removes a directory with all that is in it, and makes it anew with one file.
    Replace(PathBuf, PathBuf, String),
}

impl Edit {
    /// The changes that are to be found afterwards.
    pub fn changes(&self) -> Vec<Change> {
        match self {
            Self::Add(path, _) | Self::Append(path, _) => vec![Change::Written(path.clone())],
            Self::Delete(path) => vec![Change::Deleted(path.clone())],
            Self::Replace(path, file, _) => {
                vec![Change::Replaced(path.clone()), Change::Written(path.join(file))]
            }
        }
    }
}

/// Layers, and what is to be done to them.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The lower layers, the first one uppermost.
    pub layers: Vec<Vec<File>>,
    /// A file that the second container's image takes away.
    pub hidden: PathBuf,
    edits: Vec<Edit>,
}

impl Scenario {
    /// A scenario by the numbers that `random` gives, each below the one that it is asked for.
    pub fn random(random: impl Fn(u64) -> u64) -> Self {
        let word = |kind: &str| format!("{kind}-{:06x}", random(1 << 24));
        let file = |path: PathBuf| (path, format!("{}\n", word("text")));
        let (directory, replaced) = (PathBuf::from(word("dir")), PathBuf::from(word("old")));
        let (shared, hidden) =
            (PathBuf::from(word("shared")), PathBuf::from(word("lib")).join(word("hidden")));
        let mut layers: Vec<Vec<File>> = (0..3).map(|_| vec![file(shared.clone())]).collect();
        // What tells the order of the lower two.
        let below = PathBuf::from(word("below"));
        layers[1].push(file(below.clone()));
        layers[2].push(file(below));
        // Files that may be edited, in any layer, and in the base those that make directories.
        let mut pool = Vec::new();
        for number in 0..8 + random(3) {
            let name = PathBuf::from(word("file"));
            let path = if number % 2 == 0 { name } else { directory.join(name) };
            pool.push(path.clone());
            layers[random(3) as usize].push(file(path));
        }
        for path in [hidden.clone(), directory.join(word("base")), replaced.join(word("gone"))] {
            layers[2].push(file(path));
        }
        layers[1].push(file(replaced.join(word("gone"))));
        let mut edits = Vec::new();
        for number in 0..4 + random(3) {
            let path = pool.swap_remove(random(pool.len() as u64) as usize);
            edits.push(match number % 2 {
                0 => Edit::Delete(path),
                _ => Edit::Append(path, word("more")),
            });
        }
        for path in [PathBuf::from(word("new")), directory.join(word("new"))] {
            edits.push(Edit::Add(path, word("text")));
        }
        edits.push(Edit::Replace(replaced, word("fresh").into(), word("text")));
        for place in (1..edits.len()).rev() {
            edits.swap(place, random(place as u64 + 1) as usize);
        }
        Self { layers, hidden, edits }
    }

    /// The edits, in a random order. A directory is replaced only if the file system has `marks` for
    /// that.
    pub fn edits(&self, marks: bool) -> Vec<Edit> {
        let possible = |edit: &&Edit| marks || !matches!(edit, Edit::Replace(..));
        self.edits.iter().filter(possible).cloned().collect()
    }

    /// What a file contains in the uppermost layer that has it.
    pub fn text(&self, path: &Path) -> &str {
        let mut files = self.layers.iter().flatten();
        files.find(|(name, _)| name == path).map_or("", |(_, text)| text)
    }

    /// The paths of the layers' files.
    pub fn paths(&self) -> BTreeSet<&Path> {
        self.layers.iter().flatten().map(|(path, _)| &**path).collect()
    }

    /// The number of the uppermost layer that has this file.
    pub fn layer_of(&self, path: &Path) -> usize {
        let has = |layer: &Vec<File>| layer.iter().any(|(name, _)| name == path);
        self.layers.iter().position(has).unwrap_or(0)
    }
}
