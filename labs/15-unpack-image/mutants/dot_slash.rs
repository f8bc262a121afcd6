//! `.` is refused, as if it led out.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Component, Path, PathBuf},
    process::ExitCode,
};

use tar::EntryType;
use unpack_image::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

use solution::{apply_whiteout, hidden_by, invalid, link_name, remove, safe};

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
        let target = joined(root, &path)?;
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

fn joined(root: &Path, path: &Path) -> io::Result<PathBuf> {
    let mut place = root.to_owned();
    for component in path.components() {
        match component {
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

fn main() -> ExitCode {
    unpack_image::program(&Answer { unpack_layer, ..solution::ANSWER })
}
