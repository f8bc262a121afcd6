//! A layer as a tar archive, and what a stack of layers comes to.

use std::{
    collections::BTreeMap,
    io::Write,
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

use super::Expected;

/// What a layer has under a name.
#[derive(Debug, Clone)]
pub enum ArchiveEntry {
    /// A directory with these permissions.
    Directory(u32),
    /// A file with this content and these permissions.
    File(String, u32),
    /// A symbolic link to there.
    Symlink(String),
    /// A second name of that file.
    HardLink(String),
    /// An empty file whose name is what it says.
    Whiteout,
}

/// A layer: its entries in their order.
pub type Layer = Vec<(String, ArchiveEntry)>;

/// The archive. The names are not looked at: some of them are attacks.
pub(super) fn tar(layer: &[(String, ArchiveEntry)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, entry) in layer {
        let (kind, mode, link, content) = match entry {
            ArchiveEntry::Directory(mode) => (tar::EntryType::Directory, *mode, "", ""),
            ArchiveEntry::File(content, mode) => (tar::EntryType::Regular, *mode, "", &**content),
            ArchiveEntry::Symlink(to) => (tar::EntryType::Symlink, 0o777, &**to, ""),
            ArchiveEntry::HardLink(to) => (tar::EntryType::Link, 0o644, &**to, ""),
            ArchiveEntry::Whiteout => (tar::EntryType::Regular, 0o644, "", ""),
        };
        let mut header = tar::Header::new_ustar();
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content.as_bytes()).expect("a vector takes what it is given");
    }
    builder.into_inner().expect("a vector takes what it is given")
}

/// Its blob.
pub(super) fn compressed(tar: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(tar).expect("a vector takes what it is given");
    encoder.finish().expect("a vector takes what it is given")
}

/// What is there after the layers, the first one below.
pub(super) fn apply(layers: &[Layer]) -> BTreeMap<PathBuf, Expected> {
    let mut tree = BTreeMap::new();
    for layer in layers {
        for (path, entry) in layer {
            let path = Path::new(path);
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            match (entry, name.strip_prefix(".wh.")) {
                (ArchiveEntry::Whiteout, Some(".wh..opq")) => {
                    let directory = path.parent().unwrap_or(path);
                    tree.retain(|below: &PathBuf, _| {
                        below == directory || !below.starts_with(directory)
                    });
                }
                (ArchiveEntry::Whiteout, Some(hidden)) => {
                    clear(&mut tree, &path.with_file_name(hidden));
                }
                _ => {}
            }
        }
        for (path, entry) in layer {
            let path = PathBuf::from(path.strip_prefix("./").unwrap_or(path));
            if path.as_os_str().is_empty() {
                continue;
            }
            let node = match entry {
                ArchiveEntry::Whiteout => continue,
                ArchiveEntry::Directory(mode) => Expected::Directory(*mode),
                ArchiveEntry::File(content, mode) => Expected::File(content.clone(), *mode),
                ArchiveEntry::Symlink(to) => Expected::Symlink(to.into()),
                ArchiveEntry::HardLink(to) => Expected::SameAs(to.into()),
            };
            let keeps = matches!(node, Expected::Directory(_))
                && matches!(tree.get(&path), Some(Expected::Directory(_)));
            if !keeps {
                clear(&mut tree, &path);
            }
            tree.insert(path, node);
        }
    }
    tree
}

/// Removes a name with all that is below it.
fn clear(tree: &mut BTreeMap<PathBuf, Expected>, path: &Path) {
    tree.retain(|below, _| !below.starts_with(path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opaque_directory_keeps_what_its_own_layer_has() {
        let file = |path: &str, text: &str| (path.into(), ArchiveEntry::File(text.into(), 0o644));
        let below =
            vec![("d".into(), ArchiveEntry::Directory(0o755)), file("d/a", "1"), file("d/b", "1")];
        let above = vec![file("d/b", "2"), ("d/.wh..wh..opq".into(), ArchiveEntry::Whiteout)];
        let tree = apply(&[below, above]);
        let names: Vec<_> = tree.keys().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(names, ["d", "d/b"]);
        assert_eq!(tree[Path::new("d/b")], Expected::File("2".into(), 0o644));
    }
}
