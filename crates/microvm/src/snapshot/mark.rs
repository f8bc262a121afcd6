//! Telling whether anybody has changed the file of a memory since it was written or checked.

use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt as _,
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// Two changes of a file that are this far apart have different times on any file system.
const SETTLED: Duration = Duration::from_millis(100);

/// What the file of a memory is at this moment, with the checksum of what is known of it: another
/// when anybody writes to it. None if that was just now, for the clock of files may not have gone on
/// since.
pub fn mark(memory: &File, checksum: u64) -> Option<Vec<u8>> {
    unchanged_for(memory).filter(|age| *age >= SETTLED)?;
    let about = memory.metadata().ok()?;
    let changed = Duration::new(about.ctime().try_into().ok()?, about.ctime_nsec() as u32);
    let start = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let (device, inode) = (about.dev(), about.ino());
    Some(format!("{checksum:016x} {device}:{inode} {changed:?} {start}").into_bytes())
}

/// Waits until the mark of `file` is one: a moment, unless the host's clock is set meanwhile.
pub fn settle(file: &File) {
    if let Some(age) = unchanged_for(file) {
        thread::sleep(SETTLED.saturating_sub(age));
    }
}

/// How long ago anybody changed `file`; none if that is in the future.
fn unchanged_for(file: &File) -> Option<Duration> {
    let about = file.metadata().ok()?;
    let changed = Duration::new(about.ctime().try_into().ok()?, about.ctime_nsec() as u32);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
    now.checked_sub(changed)
}
