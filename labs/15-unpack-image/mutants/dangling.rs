//! What exists is removed before a file is written: a link to nowhere does not exist.

use std::{
    fs, io,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
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
        let target = safe(root, &path)?;
        if target == root {
            continue;
        }
        let mode = fs::Permissions::from_mode(entry.header().mode()? & 0o7777);
        let kind = entry.header().entry_type();
        let is_directory = fs::symlink_metadata(&target).is_ok_and(|found| found.is_dir());
        if target.exists() && !(kind == EntryType::Directory && is_directory) {
            remove(&target)?;
        }
        match kind {
            EntryType::Directory => {
                fs::create_dir_all(&target)?;
                fs::set_permissions(&target, mode)?;
            }
            EntryType::Regular => {
                let mut file = fs::File::create(&target)?;
                io::copy(&mut entry, &mut file)?;
                file.set_permissions(mode)?;
            }
            EntryType::Symlink | EntryType::Link if target.is_symlink() => remove(&target)?,
            EntryType::Symlink => symlink(link_name(&entry)?, &target)?,
            EntryType::Link => fs::hard_link(safe(root, &link_name(&entry)?)?, &target)?,
            other => return Err(invalid(format!("{}: a {other:?}", path.display()))),
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    unpack_image::program(&Answer { unpack_layer, ..solution::ANSWER })
}
