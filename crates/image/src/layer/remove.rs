//! Removes a tree below a descriptor, name by name: no link is followed.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, openat, unlinkat},
    io::Errno,
};

/// Removes what `parent` has under `name`, whatever it is. Nothing there is fine.
pub fn remove(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        // unlink(2) says EISDIR for a directory; POSIX says EPERM.
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(errno) => return Err(errno.into()),
    }
    // Emptied from below, without recursion: an archive decides how deep it is.
    let mut open = vec![(name.to_vec(), directory(parent, name)?)];
    while let Some((_, current)) = open.last() {
        match next(current)? {
            Some(below) => {
                let opened = directory(current.as_fd(), &below)?;
                open.push((below, opened));
            }
            None => {
                let (name, _) = open.pop().expect("it was just looked at");
                let parent = open.last().map_or(parent, |(_, above)| above.as_fd());
                unlinkat(parent, &*name, AtFlags::REMOVEDIR)?;
            }
        }
    }
    Ok(())
}

/// Removes all but directories, and returns the name of one.
fn next(directory: &OwnedFd) -> io::Result<Option<Vec<u8>>> {
    let mut entries = Dir::read_from(directory)?;
    while let Some(entry) = entries.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            return Ok(Some(name.to_bytes().to_vec()));
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            Err(Errno::ISDIR) => return Ok(Some(name.to_bytes().to_vec())),
            result => result?,
        }
    }
    Ok(None)
}

fn directory(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = openat(parent, name, flags, Mode::empty());
    let opened = match opened {
        // Its owner may forbid himself to look into it.
        Err(Errno::ACCESS) => {
            rustix::fs::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            openat(parent, name, flags, Mode::empty())
        }
        opened => opened,
    }?;
    let _ = fchmod(&opened, Mode::RWXU);
    Ok(opened)
}
