//! What a peer leaves behind: containers that are still there after their command, and what was made
//! for it, also when the measuring process was killed.

use std::{fs, path::Path, time::Duration};

use serde::{Deserialize, Serialize};

use super::definition::{Recipe, output, with_id};

const DEADLINE: Duration = Duration::from_secs(20);
/// In the folder of each peer: for whoever has to clean up after a killed process.
const FILE: &str = "leftovers.json";

/// How to find and to remove what a peer leaves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Leftovers {
    list: Vec<String>,
    remove: Vec<String>,
    dismantle: Vec<String>,
}

impl Leftovers {
    pub(super) fn of(recipe: &Recipe) -> Self {
        let Recipe { list, remove, dismantle, .. } = recipe.clone();
        Self { list, remove, dismantle }
    }

    /// Writes it into the peer's folder.
    pub(super) fn write(&self, folder: &Path) -> std::io::Result<()> {
        fs::write(folder.join(FILE), serde_json::to_vec(self)?)
    }

    /// Removes the containers that are still there, and says how many were.
    pub(super) fn remove(&self) -> usize {
        if self.list.is_empty() {
            return 0;
        }
        let list = output("list", &self.list, DEADLINE).unwrap_or_default();
        let is_name = |name: &&str| !name.is_empty() && !name.starts_with('-');
        let names: Vec<&str> = list.lines().map(str::trim).filter(is_name).take(1000).collect();
        for name in &names {
            // What cannot be removed is listed the next time.
            let _ = output("remove", &with_id(&self.remove, name), DEADLINE);
        }
        names.len()
    }

    /// Removes what was made for the peer.
    pub(super) fn dismantle(&self) {
        if !self.dismantle.is_empty() {
            // It is a few kilobytes, and mostly in a folder that is removed next.
            let _ = output("dismantle", &self.dismantle, DEADLINE);
        }
    }
}

/// Removes what the peers of a measuring process that was killed have left, and returns how many
/// containers that were. `folder` is what that process had as its folder for temporary files.
pub fn remove_leftovers(folder: &Path) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(text) = fs::read(entry.path().join(FILE)) else { continue };
        if let Ok(leftovers) = serde_json::from_slice::<Leftovers>(&text) {
            count += leftovers.remove();
            leftovers.dismantle();
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peers::definition::line;

    #[test]
    fn what_a_killed_process_left_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let (peer, state) = (scratch.path().join("peer"), scratch.path().join("state"));
        fs::create_dir(&peer).unwrap();
        fs::create_dir(&state).unwrap();
        fs::write(state.join("one"), "").unwrap();
        fs::write(state.join("two"), "").unwrap();
        let shell =
            |script: &str| line(&["/bin/sh", "-c", script, "sh", state.to_str().unwrap(), "{id}"]);
        let leftovers = Leftovers {
            list: shell("ls $1"),
            remove: shell("rm $1/$2"),
            dismantle: shell("touch $1/dismantled"),
        };
        leftovers.write(&peer).unwrap();
        assert_eq!(remove_leftovers(scratch.path()), 2);
        assert!(!peer.exists() && !state.join("one").exists());
        assert!(state.join("dismantled").exists());
        assert_eq!(remove_leftovers(scratch.path()), 0);
    }
}
