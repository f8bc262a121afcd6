//! How to build the machine around a saved guest: the same devices in the same places.

use std::path::PathBuf;

use guest::plan::InitPlan;
use sandbox::{Program, Stdio, Workload};
use serde::{Deserialize, Serialize};

use super::{LinuxVm, OutputWay, hardware::Inventory, system};
use crate::{
    devices::virtio::disk::{Access, DiskFile},
    error::Result,
    snapshot::SnapshotError,
};

/// What a machine has beside its memory and its processors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The command that runs in it when it goes on.
    pub command: Vec<String>,
    /// What isolab's own first process does, if the guest has it.
    plan: Option<String>,
    /// Whether the command reports in a mailbox.
    pub mailbox: bool,
    output_way: OutputWay,
    rng: bool,
    balloon_bytes: Option<u64>,
    /// Disks that it only reads.
    disks: Vec<PathBuf>,
}

/// Why a guest cannot be saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsaveable {
    /// What it has that is not saved.
    pub what: &'static str,
    /// Which way to go instead.
    pub fix: &'static str,
}

impl From<Unsaveable> for SnapshotError {
    fn from(Unsaveable { what, fix }: Unsaveable) -> Self {
        Self::Unsaveable { what, fix }
    }
}

impl Recipe {
    /// Of a guest that is going to be saved, before it is started.
    ///
    /// # Errors
    ///
    /// When a part of it is outside of the guest and would not be in the snapshot.
    pub(super) fn of(
        vm: &LinuxVm,
        workload: &Workload,
        inventory: &Inventory,
    ) -> Result<Self, Unsaveable> {
        let unsaveable = |what, fix| Err(Unsaveable { what, fix });
        if vm.network.is_some() {
            return unsaveable(
                "a network card: all its clones would have one address",
                "leave the network out",
            );
        }
        if vm.disks.iter().any(|disk| disk.access == Access::Write) {
            return unsaveable(
                "a disk to write: it would go on without the guest",
                "let it only read the disk: `--disk FILE:ro`",
            );
        }
        if !vm.shares.is_empty() {
            return unsaveable(
                "a shared directory: the host changes it without the guest",
                "leave the directory out (`--volume`, `--mount`), or copy it into the guest's root",
            );
        }
        if inventory.disks.len() > vm.disks.len() {
            return unsaveable(
                "its root on a disk that is made for one run",
                "give it more memory, so that its root fits there: `--memory`",
            );
        }
        Ok(Self {
            command: workload.words(),
            plan: inventory.init.as_ref().map(|plan| plan.text().to_owned()),
            mailbox: matches!(workload.program, Program::Builtin(..)),
            output_way: vm.output_way,
            rng: vm.rng,
            balloon_bytes: vm.balloon_bytes,
            disks: vm.disks.iter().map(|disk| disk.path.clone()).collect(),
        })
    }

    /// The same, if it can also be saved in the middle of its life: more of it is outside of its
    /// memory then.
    ///
    /// # Errors
    ///
    /// When a part of it would not be in the snapshot.
    pub(super) fn while_running(self, stdio: Stdio, is_debugged: bool) -> Result<Self, Unsaveable> {
        let no = |what, fix| Err(Unsaveable { what, fix });
        if is_debugged {
            return no("a debugger: breakpoints and steps are not saved", "run it without `--gdb`");
        }
        if self.plan.is_none() {
            return no(
                "a first process of its own: nobody inside would give each copy random numbers and the                  time of its own",
                "leave `--initrd` out, so that its first process is isolab's",
            );
        }
        if stdio == Stdio::Terminal {
            return no("a terminal, which stays with this launcher", "run it without `--terminal`");
        }
        if self.mailbox {
            return no(
                "a built-in program, whose report is not in its memory",
                "run a command: `-- PROGRAM`",
            );
        }
        if self.output_way == OutputWay::Page {
            return no(
                "output through a shared page, which is not in its memory",
                "leave `--output page` out",
            );
        }
        Ok(self)
    }

    /// Which files are its disks: those that are `given`, else those that it names, which only an
    /// original may.
    ///
    /// # Errors
    ///
    /// When the snapshot is a copy and names some, or others were given than it had.
    fn disks<'a>(&'a self, given: &'a [PathBuf], is_original: bool) -> Result<&'a [PathBuf]> {
        let (saved, count) = (self.disks.len(), given.len());
        match (given, is_original) {
            ([], false) if saved > 0 => {
                Err(SnapshotError::NamesDisks { disks: self.disks.clone() }.into())
            }
            ([], _) => Ok(&self.disks),
            _ if count == saved => Ok(given),
            _ => Err(SnapshotError::Disks { saved, given: count }.into()),
        }
    }

    /// The machine that it makes, as far as devices are concerned, and what is plugged into it.
    ///
    /// # Errors
    ///
    /// When a disk is no longer there, and those of [`Recipe::disks`].
    pub(super) fn follow(
        &self,
        stdio: Stdio,
        given: &[PathBuf],
        is_original: bool,
    ) -> Result<(LinuxVm, Inventory)> {
        // What it was when the guest was saved it still is, whatever has been written to it since.
        let disk =
            |path: &PathBuf| DiskFile { path: path.clone(), access: Access::Read, is_raw: true };
        let disks: Vec<_> = self.disks(given, is_original)?.iter().map(disk).collect();
        let opened = system::open_disks(&disks)?;
        let vm = LinuxVm {
            disks,
            output_way: self.output_way,
            rng: self.rng,
            balloon_bytes: self.balloon_bytes,
            ..LinuxVm::new("")
        };
        let init = self.plan.clone().map(InitPlan::from);
        Ok((vm, Inventory { disks: opened, shares: Vec::new(), init, stdio }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linux::Share;

    #[test]
    fn what_changes_without_the_guest_is_not_saved_with_it() {
        let (source, target) = ("/tmp".into(), "/x".into());
        let share = Share { source, target, with_mounts: true, options: Vec::new() };
        let vm = LinuxVm { shares: vec![share], ..LinuxVm::new("vmlinux") };
        let nothing = || Inventory {
            disks: Vec::new(),
            shares: Vec::new(),
            init: None,
            stdio: Stdio::Capture,
        };
        let workload = Workload::command(["true"]);
        let error = Recipe::of(&vm, &workload, &nothing()).unwrap_err();
        assert!(error.what.contains("a shared directory"), "{error:?}");
        assert!(error.fix.contains("--volume"));
        assert!(Recipe::of(&LinuxVm::new("vmlinux"), &workload, &nothing()).is_ok());
    }
}
