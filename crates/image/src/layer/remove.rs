//! Removes a tree below a descriptor, name by name: no link is followed.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, fchmod, fstat, openat, unlinkat},
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
    // Emptied from below, without recursion and with two directories open: an archive decides how
    // deep it is.
    let mut current = directory(parent, name)?;
    let mut above: Vec<(Vec<u8>, Inode)> = Vec::new();
    loop {
        if let Some(below) = next(&current)? {
            above.push((below.clone(), inode(&current)?));
            current = directory(current.as_fd(), &below)?;
            continue;
        }
        let Some((name, expected)) = above.pop() else { break };
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        current = openat(&current, "..", flags, Mode::empty())?;
        if inode(&current)? != expected {
            return Err(io::Error::other("the directory was moved while it was removed"));
        }
        unlinkat(&current, &*name, AtFlags::REMOVEDIR)?;
    }
    Ok(unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

type Inode = (u64, u64);

fn inode(directory: &OwnedFd) -> io::Result<Inode> {
    let stat = fstat(directory)?;
    Ok((stat.st_dev, stat.st_ino))
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
