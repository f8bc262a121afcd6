//! The sources of `COPY` and `ADD`: which files their names and patterns mean.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use super::{
    error::{StepError, file},
    tree::display,
};
use crate::{
    dockerfile::{ignore::Ignore, pattern::Pattern},
    view::{Directory, Node, View},
};

/// Matches of one pattern, and directories that are searched for them.
const MOST_MATCHES: usize = 100_000;

/// Where files come from.
pub(super) struct Source<'a> {
    pub(super) view: &'a View,
    /// As messages call it: the context, or what `--from` names.
    pub(super) place: String,
    pub(super) ignore: Option<&'a Ignore>,
    pub(super) is_context: bool,
}

/// Something to copy, found.
pub(super) struct Match {
    /// From the root of where it is.
    pub(super) path: String,
    /// What it is called in a directory.
    pub(super) name: Option<OsString>,
    pub(super) node: Node,
}

impl Source<'_> {
    /// What a source of `COPY` names; at least one file.
    pub(super) fn find(&self, text: &str) -> Result<Vec<Match>, StepError> {
        let path = self.clean(text)?;
        let found = match path.contains(['*', '?', '[', '\\']) {
            false => self.literal(&path)?.into_iter().collect(),
            true => self.matching(&path)?,
        };
        let all = found.len();
        let seen: Vec<Match> = found.into_iter().filter(|one| !self.is_ignored(one)).collect();
        match seen.is_empty() {
            false => Ok(seen),
            true => Err(StepError::NoSource {
                pattern: text.to_owned(),
                place: self.place.clone(),
                ignored: all > 0,
            }),
        }
    }

    fn is_ignored(&self, found: &Match) -> bool {
        let Some(ignore) = self.ignore.filter(|_| !found.path.is_empty()) else { return false };
        match found.node {
            // A later pattern may bring back a file in it.
            Node::Directory(..) => ignore.ignores_all_below(&found.path),
            Node::Other(..) => ignore.ignores(&found.path),
        }
    }

    /// The path from the root of the context, without `.` and `..`.
    fn clean(&self, text: &str) -> Result<String, StepError> {
        let mut names: Vec<&str> = Vec::new();
        for name in text.split('/') {
            match name {
                "" | "." => {}
                ".." if names.pop().is_none() && self.is_context => {
                    return Err(StepError::Refused(format!(
                        "{text:?} is outside of the context: give a directory above it as the context"
                    )));
                }
                ".." => {}
                name => names.push(name),
            }
        }
        Ok(names.join("/"))
    }

    /// A file by its name; a link is followed, within the root.
    fn literal(&self, path: &str) -> Result<Option<Match>, StepError> {
        let located = self.view.locate(OsStr::new(path)).map_err(file("look at", path))?;
        let name = path.rsplit('/').next().filter(|name| !name.is_empty()).map(OsString::from);
        // What is left out is decided by where it is, not by a link to it.
        let physical = display(&located.names).trim_start_matches('/').to_owned();
        Ok(located.node.map(|node| Match { path: physical, name, node }))
    }

    fn matching(&self, pattern: &str) -> Result<Vec<Match>, StepError> {
        let parts: Vec<&str> = pattern.split('/').collect();
        let mut paths = vec![String::new()];
        for part in parts {
            let compiled = Pattern::of_names(part)?;
            let mut next = Vec::new();
            for path in &paths {
                let located = self.view.locate(OsStr::new(path)).map_err(file("look at", path))?;
                let Some(Node::Directory(directory, _)) = located.node else { continue };
                next.extend(names_like(&directory, path, &compiled)?);
                if next.len() > MOST_MATCHES {
                    return Err(StepError::Refused(format!(
                        "more than {MOST_MATCHES} files match {pattern:?}"
                    )));
                }
            }
            paths = next;
        }
        let mut found = Vec::new();
        for path in paths {
            found.extend(self.literal(&path)?);
        }
        Ok(found)
    }
}

fn names_like(
    directory: &Directory,
    path: &str,
    pattern: &Pattern,
) -> Result<Vec<String>, StepError> {
    let entries = directory.entries().map_err(file("read the directory", path))?;
    // A name that is no text cannot be written in a Dockerfile either.
    let names =
        entries.into_keys().filter_map(|name| String::from_utf8(name.as_bytes().to_vec()).ok());
    let names = names.filter(|name| pattern.matches(name));
    Ok(names.map(|name| if path.is_empty() { name } else { format!("{path}/{name}") }).collect())
}
