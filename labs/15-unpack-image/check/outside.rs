//! What is beside the root of an image that was unpacked.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use lab::check::{
    Checked, Process, ensure, fail,
    kernel::{Node, tree},
};
use unpack_image::TestImage;

/// Beside the root all is as it was, and nothing in it is a file from outside; else the message `id`
/// of that path.
pub fn nothing_outside(
    process: Process,
    place: &Path,
    image: &TestImage,
    root: &BTreeMap<PathBuf, Node>,
    id: impl Fn(&Path) -> &'static str,
) -> Checked<()> {
    let outside = image.outside();
    let now = tree(process, place)?;
    let found = now.iter().filter(|(path, _)| !path.starts_with("root"));
    let files: BTreeMap<&PathBuf, &Node> =
        found.filter(|(_, node)| !matches!(node, Node::Directory(_))).collect();
    let same = |path: &PathBuf, content: &Vec<u8>| matches!(files.get(path), Some(Node::File { content: found, .. }) if found == content);
    let changed = outside.iter().find(|(path, content)| !same(path, content)).map(|(path, _)| path);
    let added = files.keys().find(|path| !outside.contains_key(**path)).copied();
    let path = changed.or(added);
    ensure(path.is_none(), || {
        let path = path.map_or(Path::new(""), PathBuf::as_path);
        fail(id(path)).fact("path", place.join(path).display())
    })?;
    // A second name of a file outside is a way to it.
    let inode = |node: &&Node| match node {
        Node::File { inode, .. } => Some(*inode),
        _ => None,
    };
    let out: Vec<u64> = files.values().filter_map(inode).collect();
    let way = root.iter().find(|(_, node)| inode(node).is_some_and(|inode| out.contains(&inode)));
    ensure(way.is_none(), || {
        let path = way.map_or(Path::new(""), |(path, _)| path);
        fail(id(path)).fact("path", path.display())
    })
}
