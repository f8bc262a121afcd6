//! Other attributes for what is mounted already, by the option `remount`: for `/proc` of an earlier
//! entry, or for a directory of the root that is a mount.

use crate::{
    Error, lookup,
    mount::{Attributes, Mount, Options},
    mount_calls::{self, Change},
    plan::{Slot, SyscallPlan},
};

/// The steps that change the mount at the destination of `mount`, below `root`. A place at which
/// nothing is mounted is an error (EINVAL).
pub(crate) fn remount(
    plan: &mut SyscallPlan,
    root: Slot,
    mount: &Mount,
    options: &Options,
) -> Result<(), Error> {
    let path = &mount.destination;
    let words = format!("remount {} ({})", path.display(), mount.options.join(","));
    plan.together(words, |plan| {
        lookup::open(plan, root, path, lookup::links_to(path))?;
        let found = plan.result();
        for (attributes, recursive) in [(options.below, true), (options.attributes, false)] {
            if attributes != Attributes::NONE {
                let words = format!("mount_setattr of {}", path.display());
                let change = Change { attributes, propagation: 0, recursive };
                mount_calls::change(plan, words, found, change);
            }
        }
        for propagation in &options.propagation {
            let words = format!("mount_setattr of {}: {}", path.display(), propagation.word());
            let (propagation, recursive) = (propagation.flag(), propagation.recursive);
            let change = Change { propagation, recursive, ..Change::default() };
            mount_calls::change(plan, words, found, change);
        }
        Ok(())
    })
}
