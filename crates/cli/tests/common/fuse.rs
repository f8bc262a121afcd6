//! The smallest file system in user space: a directory with one file, served by a thread of the test
//! (Linux, `include/uapi/linux/fuse.h`).

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::AsRawFd as _,
    path::Path,
    thread,
};

use nix::mount::{MsFlags, mount};

/// The name of its file.
pub const FILE: &str = "file";
/// What is in that.
pub const CONTENT: &str = "of a file system in user space\n";

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// At once.
    Answers,
    /// Never again, once it is mounted: whoever asks waits.
    Hangs,
    /// It has ended: whoever asks gets ENOTCONN.
    Dead,
}

const ROOT: u64 = 1;
const OF_FILE: u64 = 2;

/// Mounts one at `place`. What is returned keeps a server that hangs.
///
/// # Errors
///
/// When this host has no FUSE, or the caller may not mount one.
pub fn mount_at(place: &Path, server: Server) -> io::Result<Option<File>> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let options =
        format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", device.as_raw_fd());
    mount(Some("test"), place, Some("fuse.test"), MsFlags::MS_NODEV, Some(&*options))?;
    answer_next(&device)?; // FUSE_INIT
    match server {
        Server::Answers => {
            thread::spawn(move || while answer_next(&device).is_ok() {});
            Ok(None)
        }
        Server::Hangs => Ok(Some(device)),
        Server::Dead => Ok(None),
    }
}

/// Reads a request and answers it; fails when the file system is gone.
fn answer_next(mut device: &File) -> io::Result<()> {
    const INIT: u32 = 26;
    const FORGET: u32 = 2;
    const BATCH_FORGET: u32 = 42;
    const INTERRUPT: u32 = 36;
    let mut request = vec![0; 1 << 18];
    let length = device.read(&mut request)?;
    let request = &request[..length];
    // struct fuse_in_header: length, what to do, a number, a node, and who asks.
    let word = |at: usize| u32::from_le_bytes(request[at..at + 4].try_into().unwrap());
    let long = |at: usize| u64::from_le_bytes(request[at..at + 8].try_into().unwrap());
    let (what, number, node) = (word(4), long(8), long(16));
    if matches!(what, FORGET | BATCH_FORGET | INTERRUPT) {
        return Ok(());
    }
    let answer = match what {
        // Version 7.31, nothing more.
        INIT => Ok([&words(&[7, 31, 4096, 0, 0, 4096])[..], &[0; 40]].concat()),
        _ => answer_to(what, node, &request[40..]),
    };
    let (error, body) = match answer {
        Ok(body) => (0, body),
        Err(errno) => (-errno, Vec::new()),
    };
    let length = 16 + body.len() as u32;
    let head = [&length.to_le_bytes()[..], &error.to_le_bytes(), &number.to_le_bytes()].concat();
    device.write_all(&[head, body].concat())
}

fn answer_to(what: u32, node: u64, body: &[u8]) -> Result<Vec<u8>, i32> {
    const LOOKUP: u32 = 1;
    const GETATTR: u32 = 3;
    const OPEN: u32 = 14;
    const READ: u32 = 15;
    const STATFS: u32 = 17;
    const RELEASE: u32 = 18;
    const FLUSH: u32 = 25;
    const OPENDIR: u32 = 27;
    const READDIR: u32 = 28;
    const RELEASEDIR: u32 = 29;
    match what {
        LOOKUP if body.strip_suffix(b"\0") == Some(FILE.as_bytes()) => {
            // struct fuse_entry_out: node, generation, how long it holds.
            Ok([longs(&[OF_FILE, 0, 1, 1]), words(&[0, 0]), attributes(OF_FILE)].concat())
        }
        LOOKUP => Err(nix::libc::ENOENT),
        GETATTR => Ok([longs(&[1]), words(&[0, 0]), attributes(node)].concat()),
        OPEN | OPENDIR => Ok(vec![0; 16]),
        RELEASE | RELEASEDIR | FLUSH => Ok(Vec::new()),
        READ | READDIR => {
            let offset = u64::from_le_bytes(body[8..16].try_into().unwrap()) as usize;
            let all = if what == READ { CONTENT.as_bytes().to_vec() } else { entries() };
            Ok(all.get(offset..).unwrap_or_default().to_vec())
        }
        STATFS => Ok(vec![0; 80]),
        _ => Err(nix::libc::ENOSYS),
    }
}

/// `struct fuse_dirent`: node, the offset of the next, the length of the name, what it is.
fn entries() -> Vec<u8> {
    let head = [longs(&[OF_FILE, 32]), words(&[FILE.len() as u32, 8])].concat();
    let mut entry = [head, FILE.into()].concat();
    entry.resize(entry.len().next_multiple_of(8), 0);
    entry
}

/// `struct fuse_attr`.
fn attributes(node: u64) -> Vec<u8> {
    let (mode, size) = match node {
        ROOT => (0o040_755, 0),
        _ => (0o100_644, CONTENT.len() as u64),
    };
    [longs(&[node, size, 1, 0, 0, 0]), words(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0])].concat()
}

fn words(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn longs(numbers: &[u64]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
