//! Lab 15, solved.
//!
//! `image::layer` does the same from descriptor to descriptor, where somebody else may change the tree
//! meanwhile.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use serde_json::Value;
use tar::EntryType;
use unpack_image::{Answer, Descriptor, Digest};

pub(crate) fn invalid(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.into())
}

fn read_blob(layout: &Path, descriptor: &Descriptor) -> io::Result<Vec<u8>> {
    let bytes = fs::read(layout.join("blobs/sha256").join(descriptor.digest.hex()))?;
    let found = Digest::of(&bytes);
    if bytes.len() as u64 != descriptor.size || found != descriptor.digest {
        return Err(invalid(format!("the blob {} has the digest {found}", descriptor.digest)));
    }
    Ok(bytes)
}

fn choose_manifest(index: &[u8]) -> io::Result<Descriptor> {
    let index: Value = serde_json::from_slice(index)?;
    let entries = index["manifests"].as_array().ok_or_else(|| invalid("not an index"))?;
    let ours = entries.iter().find(|entry| {
        entry["platform"]["os"] == "linux" && entry["platform"]["architecture"] == "amd64"
    });
    let ours = ours.ok_or_else(|| invalid("no manifest for linux/amd64"))?;
    Ok(serde_json::from_value(ours.clone())?)
}

fn layers(manifest: &[u8]) -> io::Result<Vec<Descriptor>> {
    let manifest: Value = serde_json::from_slice(manifest)?;
    Ok(serde_json::from_value(manifest["layers"].clone())?)
}

fn unpack_layer(archive: &[u8], root: &Path) -> io::Result<()> {
    for entry in tar::Archive::new(archive).entries()? {
        let path = entry?.path()?.into_owned();
        if let Some(hidden) = hidden_by(&path) {
            apply_whiteout(root, &path, &hidden)?;
        }
    }
    for entry in tar::Archive::new(archive).entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        if hidden_by(&path).is_some() {
            continue;
        }
        let target = safe(root, &path)?;
        if target == root {
            continue;
        }
        let mode = fs::Permissions::from_mode(entry.header().mode()? & 0o7777);
        let kind = entry.header().entry_type();
        let is_directory = fs::symlink_metadata(&target).is_ok_and(|found| found.is_dir());
        if !(kind == EntryType::Directory && is_directory) {
            remove(&target)?;
        }
        match kind {
            EntryType::Directory => {
                fs::create_dir_all(&target)?;
                fs::set_permissions(&target, mode)?;
            }
            EntryType::Regular => {
                let mut file = fs::File::create_new(&target)?;
                io::copy(&mut entry, &mut file)?;
                file.set_permissions(mode)?;
            }
            EntryType::Symlink => symlink(link_name(&entry)?, &target)?,
            EntryType::Link => fs::hard_link(safe(root, &link_name(&entry)?)?, &target)?,
            other => return Err(invalid(format!("{}: a {other:?}", path.display()))),
        }
    }
    Ok(())
}

/// What follows `.wh.` in the last component, if it is a whiteout.
pub(crate) fn hidden_by(path: &Path) -> Option<String> {
    Some(path.file_name()?.to_str()?.strip_prefix(".wh.")?.to_owned())
}

pub(crate) fn apply_whiteout(root: &Path, path: &Path, hidden: &str) -> io::Result<()> {
    let marker = safe(root, path)?;
    let directory = marker.parent().unwrap_or(root);
    if hidden == ".wh..opq" {
        // A new directory hides nothing.
        let entries = fs::read_dir(directory).into_iter().flatten();
        return entries.into_iter().try_for_each(|entry| remove(&entry?.path()));
    }
    if ["", ".", ".."].contains(&hidden) {
        return Err(invalid(format!("{}: hides nothing", path.display())));
    }
    remove(&directory.join(hidden))
}

pub(crate) fn link_name(entry: &tar::Entry<'_, &[u8]>) -> io::Result<PathBuf> {
    let name = entry.link_name()?.ok_or_else(|| invalid("a link to nowhere"))?;
    Ok(name.into_owned())
}

/// Where `path` is below `root`; refuses one that leads out.
pub(crate) fn safe(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut place = root.to_owned();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::Normal(name) => {
                if fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()) {
                    return Err(invalid(format!("{}: through a link", path.display())));
                }
                place.push(name);
            }
            _ => return Err(invalid(format!("{}: leads out", path.display()))),
        }
    }
    Ok(place)
}

/// Removes what is there, if something is, and not what a link leads to.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// The right answers; a wrong one is these but for what is wrong.
pub(crate) const ANSWER: Answer = Answer { read_blob, choose_manifest, layers, unpack_layer };

fn main() -> ExitCode {
    unpack_image::program(&ANSWER)
}
