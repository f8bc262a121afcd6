//! The last step of all mounts: how each propagates from now on.

use crate::{
    mount::Propagation,
    mount_calls::{self, Change},
    plan::{Slot, SyscallPlan},
};

/// What remains to be done when everything is mounted: mounts with their final propagation.
#[derive(Debug, Default)]
pub(crate) struct Propagations {
    all: Vec<(String, Slot, Propagation)>,
}

impl Propagations {
    pub(crate) fn add(&mut self, path: String, mount: Slot, propagation: Propagation) {
        self.all.push((path, mount, propagation));
    }

    /// Adds the steps.
    pub(crate) fn set(self, plan: &mut SyscallPlan) {
        for (path, mount, propagation) in self.all {
            let Propagation { recursive, .. } = propagation;
            let below = if recursive { " and all below" } else { "" };
            let words = format!("mount_setattr {path}{below}: {}", propagation.word());
            let change = Change { propagation: propagation.flag(), recursive, ..Change::default() };
            mount_calls::change(plan, words, mount, change);
        }
    }
}
