//! In which order files are written to (inotify(7)).

use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// Watches the files of a directory from now on.
///
/// # Errors
///
/// When the kernel has no more watches for this user.
pub(crate) fn watch(directory: &Path) -> nix::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    watch.add_watch(directory, AddWatchFlags::IN_MODIFY)?;
    Ok(watch)
}

/// The names of those that were written to since then, each once, the first one first.
pub(crate) fn names(watch: &Inotify) -> Vec<String> {
    let mut names = Vec::new();
    for event in watch.read_events().unwrap_or_default() {
        let name = event.name.unwrap_or_default().to_string_lossy().into_owned();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}
