//! One file of the root, and the steps that make it again.

use std::path::{Path, PathBuf};

use nix::sys::stat::{FileStat, SFlag};
use sandbox::Question::Inside;

use super::Owners;
use crate::{
    Error,
    lookup::{self, Links},
    plan::{Slot, SyscallPlan},
    spec::power::IdMap,
};

/// A file, a directory, a symbolic link or a FIFO. Nothing could use a copy of a socket, and a device
/// node gets its place by `linux.devices`.
#[derive(Debug)]
pub(super) struct Original {
    /// Relative to the directory.
    pub(super) path: PathBuf,
    pub(super) kind: SFlag,
    mode: u32,
    bytes: usize,
    owner: Option<(u32, u32)>,
    /// Of a symbolic link.
    pub(super) target: PathBuf,
}

impl Original {
    pub(super) fn new(path: PathBuf, about: &FileStat, owners: Owners<'_>) -> Self {
        let kind = SFlag::from_bits_truncate(about.st_mode & SFlag::S_IFMT.bits());
        let (mode, bytes) = (about.st_mode & 0o7777, usize::try_from(about.st_size).unwrap_or(0));
        let owner = match owners {
            Owners::Same => Some((about.st_uid, about.st_gid)),
            Owners::Mapped(maps) => {
                let (user, group) =
                    (inside(&maps.uid, about.st_uid), inside(&maps.gid, about.st_gid));
                Some((user.unwrap_or(0), group.unwrap_or(0)))
            }
            Owners::Root => None,
        };
        Self { path, kind, mode, bytes, owner, target: PathBuf::new() }
    }

    pub(super) fn copy(&self, plan: &mut SyscallPlan, from: Slot, to: Slot) -> Result<(), Error> {
        let (path, shown) = (&self.path, self.path.display());
        if path.as_os_str().is_empty() {
            return self.own(plan, to);
        }
        let name = plan.text(path)?;
        match self.kind {
            SFlag::S_IFDIR => {
                let arguments = [to.operand(), name, 0o700];
                plan.step(Inside, format!("mkdirat {shown}"), libc::SYS_mkdirat, arguments);
            }
            SFlag::S_IFLNK => {
                let arguments = [plan.text(&self.target)?, to.operand(), name];
                plan.step(Inside, format!("symlinkat {shown}"), libc::SYS_symlinkat, arguments);
            }
            SFlag::S_IFIFO => {
                let arguments = [to.operand(), name, (libc::S_IFIFO | 0o600) as usize, 0];
                plan.step(Inside, format!("mknodat {shown}"), libc::SYS_mknodat, arguments);
            }
            _ => {
                lookup::open_to_read(plan, from, path, Links::Refused)?;
                let original = plan.result();
                lookup::make_file_to_write(plan, to, path)?;
                let copy = plan.result();
                // One call copies less than 2 GiB (sendfile(2)).
                const AT_ONCE: usize = 1 << 30;
                for start in (0..self.bytes).step_by(AT_ONCE) {
                    let count = AT_ONCE.min(self.bytes - start);
                    let arguments = [copy.operand(), original.operand(), 0, count];
                    plan.step(Inside, format!("sendfile {shown}"), libc::SYS_sendfile, arguments);
                }
                for done in [original, copy] {
                    plan.step(Inside, "close", libc::SYS_close, [done.operand()]);
                }
            }
        }
        self.own(plan, to)
    }

    /// Owner and permissions, in this order: a new owner clears set-user-ID bits.
    fn own(&self, plan: &mut SyscallPlan, to: Slot) -> Result<(), Error> {
        let path = if self.path.as_os_str().is_empty() { Path::new(".") } else { &self.path };
        let name = plan.text(path)?;
        if let Some((user, group)) = self.owner {
            let flags = libc::AT_SYMLINK_NOFOLLOW as usize;
            let arguments = [to.operand(), name, user as usize, group as usize, flags];
            let words = format!("fchownat {}", path.display());
            plan.step(Inside, words, libc::SYS_fchownat, arguments);
        }
        // A link has no permissions of its own, and those of the directory are an option.
        if self.kind != SFlag::S_IFLNK && !self.path.as_os_str().is_empty() {
            let arguments = [to.operand(), name, self.mode as usize];
            let words = format!("fchmodat {}", path.display());
            plan.step(Inside, words, libc::SYS_fchmodat, arguments);
        }
        Ok(())
    }
}

/// The id inside of an id outside.
fn inside(maps: &[IdMap], id: u32) -> Option<u32> {
    maps.iter().find_map(|map| {
        let offset = id.checked_sub(map.host_id).filter(|offset| *offset < map.size)?;
        map.container_id.checked_add(offset)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_outside_becomes_the_one_inside() {
        let map = |container_id, host_id, size| IdMap { container_id, host_id, size };
        let maps = [map(0, 100_000, 10), map(10, 5, 1)];
        for (outside, expected) in
            [(100_000, Some(0)), (100_009, Some(9)), (5, Some(10)), (100_010, None), (0, None)]
        {
            assert_eq!(inside(&maps, outside), expected, "{outside}");
        }
    }
}
