//! As whom the commands run.

use crate::{
    calls::{Errno, Result, call},
    pages,
    system::number,
};

/// A user with its groups; root without any, unless the plan says otherwise.
#[derive(Clone, Copy)]
pub struct User {
    uid: usize,
    gid: usize,
    /// Supplementary groups, four bytes each.
    groups: &'static [u8],
}

impl User {
    /// The first process's own.
    pub const ROOT: Self = Self { uid: 0, gid: 0, groups: &[] };

    /// One whose `groups` are read from the words that `next` gives.
    pub fn new(
        uid: usize,
        gid: usize,
        room: usize,
        mut next: impl FnMut() -> Result<Option<usize>>,
    ) -> Result<Self> {
        let bytes = pages::buffer(room * 4)?;
        let mut count = 0;
        while let Some(group) = next()? {
            let group = u32::try_from(group).map_err(|_| Errno::MALFORMED)?;
            let place = bytes.get_mut(count..count + 4).ok_or(Errno::TOO_MANY_WORDS)?;
            place.copy_from_slice(&group.to_ne_bytes());
            count += 4;
        }
        Ok(Self { uid, gid, groups: bytes.get(..count).unwrap_or_default() })
    }

    /// Makes this process that user's: the groups first, while it still may.
    pub fn assume(self) -> Result<()> {
        if self.uid == 0 && self.gid == 0 && self.groups.is_empty() {
            return Ok(());
        }
        let Self { uid, gid, groups } = self;
        call(number::SETGROUPS, [groups.len() / 4, groups.as_ptr() as usize])?;
        call(number::SETRESGID, [gid; 3])?;
        call(number::SETRESUID, [uid; 3])?;
        Ok(())
    }
}

/// What all commands have: their environment, and the user that they run as.
#[derive(Clone, Copy)]
pub struct Setting<'a> {
    /// Addresses of `NAME=VALUE`, terminated by a null.
    pub environment: &'a [usize],
    /// As whom they run.
    pub user: User,
}
