//! Directories that are there whole or not at all, in a folder where one process at a time makes them.

use std::{
    fs::{self, File, TryLockError},
    io,
    ops::ControlFlow,
    path::Path,
    thread::sleep,
    time::Duration,
};

/// How long to wait before the next try for a lock.
const PAUSE: Duration = Duration::from_millis(100);

/// Waits until no other process holds the lock of the file at `path`, which is made if need be; then
/// none does until the file is closed. `waiting` is asked several times a second, and may give up:
/// then there is `None`.
///
/// # Errors
///
/// Those of open(2) and flock(2).
pub fn locked(
    path: &Path,
    mut waiting: impl FnMut() -> ControlFlow<()>,
) -> io::Result<Option<File>> {
    let file = File::create(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if waiting().is_break() => return Ok(None),
            Err(TryLockError::WouldBlock) => sleep(PAUSE),
        }
    }
}

/// Removes what killed processes have left in `folder` under names with this prefix. Whoever calls this
/// holds the lock.
pub fn remove_unfinished(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(prefix) {
            // What cannot be removed now does no harm, and is tried again next time.
            let _ = fs::remove_dir_all(entry.path()).or_else(|_| fs::remove_file(entry.path()));
        }
    }
}

/// Puts `new` at `target`; what is there already goes to `old`.
///
/// # Errors
///
/// Those of rename(2).
pub fn replace(new: &Path, target: &Path, old: &Path) -> io::Result<()> {
    match fs::rename(target, old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::rename(new, target),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_the_lock_and_another_may_give_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(".lock");
        let mut asked = 0;
        let held = locked(&path, || ControlFlow::Break(())).unwrap();
        let none = locked(&path, || {
            asked += 1;
            if asked < 3 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(held.is_some() && none.unwrap().is_none() && asked == 3);
        drop(held);
        assert!(locked(&path, || ControlFlow::Break(())).unwrap().is_some());
    }

    #[test]
    fn what_is_there_is_replaced_and_what_is_unfinished_goes() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["new", "target", ".unfinished-1"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("name"), name).unwrap();
        }
        fs::write(path(".unfinished-2"), "").unwrap();
        replace(&path("new"), &path("target"), &path(".unfinished-3")).unwrap();
        assert_eq!(fs::read_to_string(path("target/name")).unwrap(), "new");
        remove_unfinished(folder.path(), ".unfinished-");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        fs::create_dir(path("new")).unwrap();
        replace(&path("new"), &path("other"), &path("old")).unwrap();
        assert!(path("other").exists() && !path("old").exists());
    }
}
