//! What a build says, line by line, until it ends or the user asks to stop.

use std::{
    fs::File,
    io::{Read as _, Seek as _},
    os::fd::{AsFd as _, BorrowedFd},
    process::{Child, ExitStatus, Stdio},
};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::runner::{Error, Front, Result};

/// No line of cargo's is longer; what is, is passed over.
const MOST_BYTES: usize = 16 << 20;

/// No child of a build says more on its standard error.
const MOST_WORDS: u64 = 16 << 20;

/// A file for what a child writes to its standard error, and the end that the child is given.
pub(super) fn file_for_words() -> Result<(File, Stdio)> {
    let file = tempfile::tempfile().map_err(Error::system("make a temporary file"))?;
    let clone = file.try_clone().map_err(Error::system("dup"))?;
    Ok((file, clone.into()))
}

/// What a child has written into such a file.
pub(super) fn words_in(mut file: File) -> Result<Vec<u8>> {
    let mut words = Vec::new();
    file.rewind().map_err(Error::system("lseek"))?;
    file.take(MOST_WORDS).read_to_end(&mut words).map_err(Error::system("read"))?;
    Ok(words)
}

/// Gives each line that the child writes to its standard output, which was piped, and waits for its
/// end. The child leads a process group: who is left of that is killed, in the end and on request.
pub(super) fn lines_of(
    child: &mut Child,
    front: &mut dyn Front,
    take: &mut dyn FnMut(&[u8], &mut dyn Front),
) -> Result<ExitStatus> {
    let followed = follow(child, front, take);
    // It has ended, or is to end; until it is waited for, nobody else has its number.
    let _ = kill_process_group(Pid::from_child(child), Signal::KILL);
    let status = child.wait().map_err(Error::system("wait for cargo"))?;
    followed.map(|()| status)
}

fn follow(
    child: &mut Child,
    front: &mut dyn Front,
    take: &mut dyn FnMut(&[u8], &mut dyn Front),
) -> Result<()> {
    let process = pidfd_open(Pid::from_child(child), PidfdFlags::empty());
    let process = process.map_err(Error::system("pidfd_open"))?;
    let mut output = child.stdout.take().expect("it was asked for");
    let (mut line, mut buffer) = (Vec::new(), vec![0; 64 << 10]);
    loop {
        let [can_read, has_ended, is_over] =
            ready([Some(output.as_fd()), Some(process.as_fd()), front.end()])?;
        if is_over {
            return Err(Error::Interrupted);
        }
        if !can_read && has_ended {
            // Somebody that it has left behind may hold the other end for ever.
            return Ok(());
        }
        if !can_read {
            continue;
        }
        let count = output.read(&mut buffer).map_err(Error::system("read cargo's output"))?;
        if count == 0 {
            break;
        }
        for byte in &buffer[..count] {
            match byte {
                b'\n' => take(&std::mem::take(&mut line), front),
                byte if line.len() < MOST_BYTES => line.push(*byte),
                _ => {}
            }
        }
    }
    // Its output is closed; it may go on.
    loop {
        match ready([None, Some(process.as_fd()), front.end()])? {
            [_, _, true] => return Err(Error::Interrupted),
            [_, true, _] => return Ok(()),
            _ => {}
        }
    }
}

/// Waits until one of them can be read; which ones can.
fn ready(those: [Option<BorrowedFd<'_>>; 3]) -> Result<[bool; 3]> {
    let asked = those.iter().flatten().map(|those| PollFd::new(*those, PollFlags::POLLIN));
    let mut asked: Vec<PollFd<'_>> = asked.collect();
    match poll(&mut asked, PollTimeout::NONE) {
        Ok(_) | Err(nix::Error::EINTR) => {}
        Err(errno) => return Err(Error::system("poll")(errno)),
    }
    let mut answers =
        asked.iter().map(|one| one.revents().is_some_and(|events| !events.is_empty()));
    Ok(those.map(|one| one.is_some() && answers.next().unwrap_or(false)))
}
