//! After a power cut: blobs that were not on the disk yet may be damaged under their final names, and
//! keep their length where the file system gave them room before their bytes.
//!
//! So when the machine was started anew, the last ones are read once. What is damaged is removed, so
//! that clients, which ask whether it is there, push it again.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    time::{Duration, SystemTime},
};

use image::digest::{Digest, Digester};

use super::{layout, storage::Storage};

/// Says which boot of the machine this is: random(4).
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The kernel writes dirty pages back after half a minute (dirty_expire_centisecs), unless the disk is
/// slow. What is older than the newest file by this much was on the disk.
const WRITTEN_BACK: Duration = Duration::from_secs(600);

/// Removes the blobs that the last power cut may have damaged, and has; which ones.
pub(super) fn remove_damaged(storage: &Storage) -> io::Result<Vec<Digest>> {
    // Without /proc nobody knows.
    let Ok(boot) = fs::read_to_string(BOOT_ID) else { return Ok(Vec::new()) };
    let verified = storage.directory.read(layout::BOOT, boot.len() as u64)?;
    if verified.as_deref() == Some(boot.as_bytes()) {
        return Ok(Vec::new());
    }
    let mut damaged = Vec::new();
    for digest in last_blobs(storage)? {
        // What cannot be read now says so when a client asks for it.
        if remove_if_damaged(storage, &digest).unwrap_or(false) {
            damaged.push(digest);
        }
    }
    storage.replace(layout::BOOT, boot.as_bytes())?;
    Ok(damaged)
}

/// The blobs that were kept last.
fn last_blobs(storage: &Storage) -> io::Result<Vec<Digest>> {
    let modified = |digest: Digest| {
        let found = storage.directory.stat(&layout::blob(&digest)).ok().flatten()?;
        Some((found.modified, digest))
    };
    let mut all: Vec<_> = storage.all_blobs()?.into_iter().filter_map(modified).collect();
    let newest = all.iter().map(|(time, _)| *time).max().unwrap_or(SystemTime::UNIX_EPOCH);
    all.retain(|(time, _)| newest.duration_since(*time).is_ok_and(|age| age <= WRITTEN_BACK));
    Ok(all.into_iter().map(|(_, digest)| digest).collect())
}

fn remove_if_damaged(storage: &Storage, digest: &Digest) -> io::Result<bool> {
    let path = layout::blob(digest);
    let Some(file) = storage.directory.file(&path)? else { return Ok(false) };
    if is_whole(&file, digest)? {
        return Ok(false);
    }
    let _alone = storage.alone();
    // A push may have put the right one in its place meanwhile.
    let inode = |file: &File| file.metadata().map(|found| found.ino());
    match storage.directory.file(&path)? {
        Some(now) if inode(&now)? == inode(&file)? => Ok(storage.remove_blob(digest)?.is_some()),
        _ => Ok(false),
    }
}

fn is_whole(mut file: &File, digest: &Digest) -> io::Result<bool> {
    let mut digester = Digester::new(digest.algorithm());
    let mut piece = vec![0; 128 << 10];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(digester.finish() == *digest),
            length => digester.update(&piece[..length]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keep(storage: &Storage, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let path = storage.uploads.temporary();
        storage.directory.write_new(&path, bytes).unwrap();
        storage.keep("a", &path, &digest, bytes.len() as u64).unwrap();
        digest
    }

    #[test]
    fn what_a_power_cut_zeroed_is_gone_after_the_boot_and_comes_back_by_a_push() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path(), false, None).unwrap();
        let (whole, zeroed) = (keep(&storage, b"whole"), keep(&storage, b"zeroed"));
        let file = folder.path().join(layout::blob(&zeroed));
        assert_eq!(remove_damaged(&storage).unwrap(), []);
        fs::write(&file, [0; 6]).unwrap();
        assert_eq!(remove_damaged(&storage).unwrap(), [], "in the same boot nothing is lost");
        fs::write(folder.path().join(layout::BOOT), "another boot\n").unwrap();
        assert_eq!(remove_damaged(&storage).unwrap(), std::slice::from_ref(&zeroed));
        assert_eq!(storage.blob_length("a", &zeroed).unwrap(), None);
        assert_eq!(storage.blob_length("a", &whole).unwrap(), Some(5));
        keep(&storage, b"zeroed");
        assert_eq!(storage.blob_length("a", &zeroed).unwrap(), Some(6));
    }

    #[test]
    fn only_what_was_kept_last_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Storage::open(folder.path(), false, None).unwrap();
        let (old, last) = (keep(&storage, b"old"), keep(&storage, b"last"));
        let file = File::open(folder.path().join(layout::blob(&old))).unwrap();
        file.set_modified(SystemTime::now() - 2 * WRITTEN_BACK).unwrap();
        assert_eq!(last_blobs(&storage).unwrap(), [last]);
    }
}
