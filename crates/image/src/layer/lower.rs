//! Finds a file in a stack of layers, as the overlay of them would.
//!
//! Each component is looked up in all layers that have its directory, the uppermost first. A
//! whiteout or an opaque directory hides what is below; a symbolic link starts again from the root
//! of the stack. No component is followed by the kernel.

use std::{
    fs::File,
    os::fd::{AsFd as _, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{AtFlags, FileType, OFlags, readlinkat, statat},
    io::Errno,
};

use super::tree::{Name, is_opaque, itself};

/// How many symbolic links may be on the way, as for the kernel.
const MAX_LINKS: usize = 40;

/// The regular file `name` of `layers`, the uppermost first; none if there is none.
pub(super) fn find(layers: &[BorrowedFd<'_>], name: &Name) -> Result<Option<File>, Errno> {
    // The components that are still to come, the next one last.
    let mut rest = vec![name.last.clone()];
    rest.extend(components(&name.directory).rev());
    let mut walk: Vec<Vec<u8>> = Vec::new();
    let mut links = 0;
    while let Some(component) = rest.pop() {
        if component == b".." {
            walk.pop(); // and `..` of the root is the root
            continue;
        }
        match look(&directories(layers, &walk)?, &component)? {
            Found::Nothing => return Ok(None),
            Found::File(file) => return Ok(rest.is_empty().then_some(file)),
            Found::Directory => walk.push(component),
            // A hard link is to the link itself, which is not what is copied.
            Found::Link(_) if rest.is_empty() => return Ok(None),
            Found::Link(target) => {
                links += 1;
                if links > MAX_LINKS {
                    return Ok(None);
                }
                if target.starts_with(b"/") {
                    walk.clear();
                }
                rest.extend(components(&target).rev());
            }
        }
    }
    Ok(None)
}

enum Found {
    Nothing,
    File(File),
    Directory,
    Link(Vec<u8>),
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    let parts = path.split(|byte| *byte == b'/');
    parts.filter(|part| !matches!(*part, b"" | b".")).map(<[u8]>::to_vec)
}

/// The directories that the overlay merges at a path whose components are no links.
fn directories(layers: &[BorrowedFd<'_>], walk: &[Vec<u8>]) -> Result<Vec<OwnedFd>, Errno> {
    let mut open = Vec::new();
    for layer in layers {
        open.push(itself(*layer, b".", OFlags::DIRECTORY | OFlags::RDONLY)?);
        if is_opaque(open[open.len() - 1].as_fd()) {
            break;
        }
    }
    for component in walk {
        let mut below = Vec::new();
        for parent in &open {
            match itself(parent.as_fd(), component, OFlags::DIRECTORY | OFlags::RDONLY) {
                Ok(directory) => {
                    let hides = is_opaque(directory.as_fd());
                    below.push(directory);
                    if hides {
                        break;
                    }
                }
                Err(Errno::NOENT) => {}
                // A whiteout, or a file in its place.
                Err(Errno::NOTDIR | Errno::LOOP) => break,
                Err(errno) => return Err(errno),
            }
        }
        open = below;
    }
    Ok(open)
}

/// What the uppermost of these directories has that has anything.
fn look(directories: &[OwnedFd], name: &[u8]) -> Result<Found, Errno> {
    for parent in directories {
        let stat = match statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        return Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Found::Directory,
            FileType::Symlink => Found::Link(readlinkat(parent, name, Vec::new())?.into_bytes()),
            FileType::RegularFile => {
                Found::File(itself(parent.as_fd(), name, OFlags::RDONLY)?.into())
            }

            // A whiteout, or what a layer cannot link to.
            _ => Found::Nothing,
        });
    }
    Ok(Found::Nothing)
}
