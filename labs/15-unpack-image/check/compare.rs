//! The unpacked tree, and what the layers say.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lab::check::{Checked, Finding, ensure, fail, kernel::Node};
use unpack_image::{Expected, Scenario};

type Tree = BTreeMap<PathBuf, Node>;

/// The first difference of two trees.
pub struct Difference {
    path: PathBuf,
    found: String,
    wanted: String,
    /// What to say of it if nothing more is known.
    pub finding: Finding,
}

impl Difference {
    /// With another message.
    pub fn named(&self, id: &str) -> Finding {
        let finding = fail(id).fact("path", self.path.display()).fact("found", &self.found);
        finding.fact("wanted", &self.wanted).fact("step", "unpack_layer").fact("error", "")
    }
}

/// Compares the tree of the image with three layers; the first difference is told.
pub fn compare(scenario: &Scenario, found: &Tree) -> Checked<()> {
    let about = |id: &str, path: &Path| fail(id).fact("path", path.display());
    let foreign = ["L15-platform", "L15-architecture", "L15-system"];
    for (id, path) in foreign.into_iter().zip(&scenario.foreign) {
        ensure(!found.contains_key(path), || about(id, path))?;
    }
    let wanted = scenario.expected.get(&scenario.shared);
    if let (Some(Node::File { content, .. }), Some(Expected::File(text, _))) =
        (found.get(&scenario.shared), wanted)
    {
        let shown = String::from_utf8_lossy(content);
        ensure(shown == text.as_str(), || {
            let finding = about("L15-order", &scenario.shared);
            finding.fact("found", shown.trim()).fact("wanted", text.trim())
        })?;
    }
    let hidden = [
        ("L15-not-hidden", &scenario.hidden),
        ("L15-nested-not-hidden", &scenario.hidden_below),
        ("L15-link-not-hidden", &scenario.hidden_link),
    ];
    for (id, path) in hidden {
        ensure(!found.contains_key(path), || about(id, path))?;
    }
    let Some(difference) = difference(&scenario.expected, found) else { return Ok(()) };
    let path = &difference.path;
    let (is_extra, is_missing) = (!scenario.expected.contains_key(path), !found.contains_key(path));
    let id = match difference.finding.id() {
        "L15-tree" if is_extra && path.starts_with(&scenario.hidden_directory) => {
            "L15-directory-kept"
        }
        "L15-tree" if is_extra && path.starts_with(&scenario.opaque) => "L15-opaque-ignored",
        "L15-tree" if is_missing && path.starts_with(&scenario.opaque) => "L15-own-removed",
        "L15-tree" if is_missing && *path == scenario.own => "L15-own-hidden",
        "L15-tree" if is_missing && path.starts_with(&scenario.kept) => "L15-emptied",
        _ => return Err(difference.finding),
    };
    Err(difference.named(id))
}

/// The first difference, if there is one.
pub fn difference(expected: &BTreeMap<PathBuf, Expected>, found: &Tree) -> Option<Difference> {
    let about = |id: &str, path: &Path, node: Option<&Node>, wanted: String| {
        let found = node.map_or("nothing".into(), words_of_node);
        let finding = fail(id).fact("path", path.display());
        let finding = finding.fact("found", &found).fact("wanted", &wanted);
        Difference { path: path.to_owned(), found, wanted, finding }
    };
    if let Some((path, node)) = found.iter().find(|(path, _)| !expected.contains_key(*path)) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let id = if name.starts_with(".wh.") { "L15-whiteout-kept" } else { "L15-tree" };
        return Some(about(id, path, Some(node), "nothing".into()));
    }
    expected.iter().find_map(|(path, expected)| {
        let node = found.get(path);
        if matches(found, node, expected) {
            return None;
        }
        Some(match (node, expected) {
            (Some(Node::File { mode: now, .. }), Expected::File(_, mode))
            | (Some(Node::Directory(now)), Expected::Directory(mode))
                if now != mode =>
            {
                let (now, wanted) = (format!("{now:o}"), format!("{mode:o}"));
                let finding = fail("L15-mode").fact("path", path.display());
                let finding = finding.fact("found", &now).fact("wanted", &wanted);
                Difference { path: path.clone(), found: now, wanted, finding }
            }
            (Some(Node::File { .. }), Expected::SameAs(_)) => {
                about("L15-copied", path, node, words_of(expected))
            }
            _ => about("L15-tree", path, node, words_of(expected)),
        })
    })
}

/// What is there, in the words that `ls` uses.
fn words_of_node(node: &Node) -> String {
    match node {
        Node::File { content, mode, .. } => {
            format!("-{mode:o} `{}`", String::from_utf8_lossy(content).trim())
        }
        Node::Directory(mode) => format!("d{mode:o}"),
        Node::Symlink(to) => format!("l -> {}", to.display()),
        Node::Other => "?".into(),
    }
}

fn words_of(expected: &Expected) -> String {
    match expected {
        Expected::File(content, mode) => format!("-{mode:o} `{}`", content.trim()),
        Expected::Directory(mode) => format!("d{mode:o}"),
        Expected::Symlink(to) => format!("l -> {}", to.display()),
        Expected::SameAs(path) => format!("= {}", path.display()),
    }
}

fn matches(found: &BTreeMap<PathBuf, Node>, node: Option<&Node>, expected: &Expected) -> bool {
    match (node, expected) {
        (Some(Node::Directory(mode)), Expected::Directory(wanted)) => mode == wanted,
        (Some(Node::File { content, mode, .. }), Expected::File(text, wanted)) => {
            content == text.as_bytes() && mode == wanted
        }
        (Some(Node::Symlink(to)), Expected::Symlink(wanted)) => to == wanted,
        (Some(Node::File { inode, .. }), Expected::SameAs(path)) => {
            matches!(found.get(path), Some(Node::File { inode: other, .. }) if inode == other)
        }
        _ => false,
    }
}
