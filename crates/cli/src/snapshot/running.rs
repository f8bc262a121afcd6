//! `isolab snapshot save --from`: of a guest that is running, which goes on.
//!
//! Its launcher can open no file; it is sent those that it is to write. `microvm::snapshot` has
//! both sides.

use std::path::Path;

use microvm::{LinuxVm, snapshot::Incoming};

use crate::{background, failure::Failure, guest_control};

/// Saves the guest that is called `name` as the snapshot in `folder`.
pub fn save(name: &str, folder: &Path) -> Result<(), Failure> {
    let entry = background::find_running(name)?;
    if entry.sandbox != "linux" {
        let message = format!("{name} is a {}: it cannot be saved while it runs", entry.sandbox);
        let help = "only a Linux guest can: `isolab run --in linux`; of a process, see criu(8)";
        return Err(Failure::refused(message).help(help));
    }
    let incoming = Incoming::begin(folder).map_err(super::failed)?;
    guest_control::ask_with(&entry, "snapshot", &incoming.files())?;
    incoming.finish(folder, &LinuxVm::new("").device, entry.command)?;
    Ok(())
}
