//! The changes that a command made, of an overlay's upper directory, as a layer.

use std::{collections::HashMap, ffi::OsString, path::Path};

use nix::sys::stat::SFlag;

use super::{
    error::{StepError, file},
    tree::{Sink, Walk, attributes, check_name, display},
    writer::{Attributes, Kind, LayerWriter},
};
use crate::{
    digest::Digest,
    view::{Directory, Node, Raw, View, kind},
};

/// Writes what is in `upper`; the layer's diff id.
pub(super) fn write(upper: &Path, mut writer: LayerWriter<'_>) -> Result<Digest, StepError> {
    let path = upper.display().to_string();
    let view = View::of(&[upper.to_owned()]).map_err(file("open", &path))?;
    let mut changes = Changes { writer: &mut writer, seen: HashMap::new() };
    changes.directory(view.root(), &[])?;
    writer.finish().map_err(file("write the layer of", &path))
}

struct Changes<'a, 'b> {
    writer: &'a mut LayerWriter<'b>,
    /// Files with several names, by their inodes.
    seen: HashMap<(u64, u64), Vec<OsString>>,
}

impl Changes<'_, '_> {
    fn directory(&mut self, directory: &Directory, names: &[OsString]) -> Result<(), StepError> {
        let path = display(names);
        for (name, raw) in directory.raw_entries().map_err(file("read the directory", &path))? {
            let below: Vec<OsString> = names.iter().cloned().chain([name.clone()]).collect();
            check_name(&below)?;
            let path = display(&below);
            match raw {
                Raw::Whiteout => {
                    self.writer.whiteout(names, &name).map_err(file("write", &path))?;
                }
                Raw::Node(Node::Directory(inner, stat), opaque) => {
                    self.entry(&below, &attributes(&stat), Kind::Directory)?;
                    if opaque {
                        self.writer.opaque(&below).map_err(file("write", &path))?;
                    }
                    self.directory(&inner, &below)?;
                }
                Raw::Node(node, _) => self.single(&node, &below, &path)?,
            }
        }
        Ok(())
    }

    fn single(&mut self, node: &Node, names: &[OsString], path: &str) -> Result<(), StepError> {
        if let Node::Other(_, stat) = node
            && stat.st_nlink > 1
            && kind(stat) == SFlag::S_IFREG
        {
            let inode = (stat.st_dev, stat.st_ino);
            if let Some(first) = self.seen.get(&inode).cloned() {
                return self.entry(names, &attributes(stat), Kind::HardLink(&first));
            }
            self.seen.insert(inode, names.to_vec());
        }
        Walk { ignore: None, is_context: false }.single(node, path, names, self)
    }
}

impl Sink for Changes<'_, '_> {
    fn entry(
        &mut self,
        names: &[OsString],
        attributes: &Attributes,
        kind: Kind<'_>,
    ) -> Result<(), StepError> {
        let path = display(names);
        self.writer.entry(names, attributes, kind).map_err(file("write to the layer", &path))
    }
}
