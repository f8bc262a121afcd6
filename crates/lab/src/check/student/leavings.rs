//! What is left when the program has ended: nothing.

use std::time::Duration;

use super::Student;
use crate::check::{
    cgroups::Cgroups,
    finding::{Checked, ensure, fail},
    kernel::Mount,
};

/// What the program's host was like before the program.
#[derive(Debug, Default)]
pub(super) struct Before {
    pub(super) mounts: Vec<Mount>,
    pub(super) links: Vec<String>,
    pub(super) host_name: String,
}

impl Student {
    pub(super) fn nothing_left(&mut self) -> Checked<()> {
        let name = self.host_name(self.init)?;
        let before = &self.before;
        ensure(name == before.host_name, || {
            fail("changed-host-name").fact("name", &name).fact("before", &before.host_name)
        })?;
        // The dead are buried by init a moment later.
        for attempt in 0.. {
            match self.init.descendants().first() {
                None => break,
                Some(_) if attempt < 100 => std::thread::sleep(Duration::from_millis(3)),
                Some(left) => {
                    let program = left.link("exe").unwrap_or_default();
                    return Err(fail("left-process")
                        .fact("pid", left.pid)
                        .fact("program", program));
                }
            }
        }
        let mounts = self.init.mounts()?;
        let before = &self.before;
        let new = |mount: &&Mount| {
            !before.mounts.iter().any(|old| old.point == mount.point && old.kind == mount.kind)
        };
        if let Some(mount) = mounts.iter().find(new) {
            return Err(fail("left-mount").fact("mount", &mount.point));
        }
        let links = self.links(self.init)?;
        if let Some(link) = links.iter().find(|link| !self.before.links.contains(link)) {
            return Err(fail("left-link").fact("link", link));
        }
        match self.cgroups.as_ref().and_then(Cgroups::left) {
            Some(left) => Err(fail("left-cgroup").fact("cgroup", left.display())),
            None => Ok(()),
        }
    }
}
