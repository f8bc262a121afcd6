//! Saving a Linux guest: it is booted, and stopped where its first process says that it may be.
//!
//! All of its processors have left it then, and completed what they were about. The devices' thread
//! is held. So nothing changes while it is written down, and what is written is one instant.

use std::{
    path::{Path, PathBuf},
    sync::atomic::Ordering,
};

use kvm_ioctls::VcpuFd;
use sandbox::{Instance as _, Stdio, Workload};

use super::{
    DISPLAY_NAME, LinuxVm, Recipe,
    capture::capture,
    hardware::{Hardware, Inventory},
};
use crate::{
    control::Handle,
    error::{Error, Result},
    machine::Machine,
    snapshot::{Author, SnapshotError, Unfinished, cpu, host::Host, memory::Content},
};

/// Where a guest is to be saved, and what becomes of it.
pub struct Saving {
    /// The folder, which does not exist yet.
    pub folder: PathBuf,
    /// How to build its machine again.
    pub recipe: Recipe,
    /// Whether it goes on afterwards.
    pub resumes: bool,
}

impl LinuxVm {
    /// Boots the guest up to where its command would begin, and saves it there in `folder`.
    ///
    /// # Errors
    ///
    /// Those of a start, and when the guest cannot be saved or ends before.
    pub fn save(&self, workload: &Workload, folder: &Path) -> sandbox::Result<()> {
        // Nothing comes in: what the guest had taken of its input before would be in every clone.
        let workload = Workload { stdio: Stdio::Capture, ..workload.clone() };
        let converted = |error: Error| error.into_sandbox_error(DISPLAY_NAME);
        let running = self.start(&workload, Some((folder, false))).map_err(converted)?;
        let saved = running.saved();
        Box::new(running).wait()?;
        match saved.load(Ordering::Acquire) {
            true => Ok(()),
            false => Err(converted(SnapshotError::Ended.into())),
        }
    }

    /// Starts `workload` as [`spawn`](sandbox::Sandbox::spawn) does; the guest is saved in `folder`
    /// on the way, before its command begins. Input that it has taken by then is every clone's too.
    ///
    /// # Errors
    ///
    /// Those of a start. That it could not be saved is known when it has ended.
    pub fn spawn_and_save(
        &self,
        workload: &Workload,
        folder: &Path,
    ) -> sandbox::Result<Box<dyn sandbox::Instance>> {
        match self.start(workload, Some((folder, true))) {
            Ok(running) => Ok(Box::new(running)),
            Err(error) => Err(error.into_sandbox_error(DISPLAY_NAME)),
        }
    }
}

impl LinuxVm {
    /// How a guest that is to be saved in a folder is, and whether it goes on then.
    pub(super) fn saving(
        &self,
        workload: &Workload,
        inventory: &Inventory,
        saving: Option<(&Path, bool)>,
        handle: &Handle,
    ) -> Result<Option<Saving>> {
        let Some((folder, resumes)) = saving else { return Ok(None) };
        if folder.exists() {
            return Err(SnapshotError::Exists { folder: folder.to_owned() }.into());
        }
        let recipe = Recipe::of(self, workload, inventory).map_err(SnapshotError::from)?;
        handle.request_freeze();
        Ok(Some(Saving { folder: folder.to_owned(), recipe, resumes }))
    }
}

impl Saving {
    /// Saves the guest, none of whose processors runs.
    ///
    /// # Errors
    ///
    /// When KVM does not tell something, or the folder cannot be written.
    pub fn save(&self, cpus: &[VcpuFd], machine: &Machine, hardware: &Hardware) -> Result<()> {
        let folder = &self.folder;
        let failed = |source| Error::from(SnapshotError::Write { folder: folder.clone(), source });
        let parts = cpu::Parts::of(machine)?;
        let processors =
            cpus.iter().map(|cpu| cpu::State::of(cpu, &parts)).collect::<Result<_>>()?;
        let unfinished = Unfinished::begin(folder)?;
        let captured = capture(&self.recipe, processors, machine, hardware, |memory| {
            let file = unfinished.memory();
            file.set_len(memory.bytes()).map_err(failed)?;
            Content::write(memory, file, || Ok(())).map_err(failed)
        })?;
        let mut state = captured.on(Host::of(&machine.features()?));
        unfinished.add(&mut state, Author::Launcher).map_err(failed)?;
        unfinished.finish().map_err(failed)
    }
}
