//! The program inside a sandbox that writes, reads and sends: the same in each of them.
//!
//! It listens, and the host connects to it: the address of a sandbox is there only once it has started,
//! and a firewall of the host that drops what comes in does not drop what answers the host.

use std::{
    fs::{self, File},
    io::{self, BufRead, Read as _, Write},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    path::Path,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    mount::{MountFlags, mount},
};
use sandbox::chain;

use crate::io_request::{IoAnswer, IoRequest};

/// A receiver that has not come, or has taken nothing, for this long never will.
const DEADLINE: Duration = Duration::from_secs(10);

/// So much is written, read and sent by one system call.
const FILE_BLOCK: usize = 1 << 20;
const SEND_BLOCK: usize = 64 << 10;

/// Does what each line of `input` asks for, and answers on `output`, until `input` ends.
///
/// # Errors
///
/// When nobody reads the answers, or a line is not a request.
pub fn serve_io(mut input: impl BufRead, mut output: impl Write) -> io::Result<()> {
    answer(&mut output, &IoAnswer::Done)?;
    let mut line = String::new();
    while input.read_line(&mut line)? > 0 {
        let done = match serde_json::from_str(&line).map_err(io::Error::other)? {
            IoRequest::Mount { disk, folder } => mounted(&disk, &folder),
            IoRequest::WriteAndRead { folder, bytes } => written_and_read(&folder, bytes),
            IoRequest::Send { at, bytes } => sent(at, bytes, &mut output),
        };
        let done = done.unwrap_or_else(|error| IoAnswer::Failed(chain(&error)));
        answer(&mut output, &done)?;
        line.clear();
    }
    Ok(())
}

fn answer(output: &mut impl Write, answer: &IoAnswer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

fn mounted(disk: &Path, folder: &Path) -> io::Result<IoAnswer> {
    fs::create_dir_all(folder)?;
    mount(disk, folder, "ext4", MountFlags::empty(), None)?;
    Ok(IoAnswer::Done)
}

fn written_and_read(folder: &Path, bytes: u64) -> io::Result<IoAnswer> {
    let path = folder.join("file");
    let times =
        write_file(&path, bytes).and_then(|written| Ok((written, read_file(&path, bytes)?)));
    // What a full disk has of it is in the way of the next.
    let removed = fs::remove_file(&path);
    let (written, read) = times?;
    removed?;
    Ok(IoAnswer::Times { written: written.as_secs_f64(), read: read.as_secs_f64() })
}

fn write_file(path: &Path, bytes: u64) -> io::Result<Duration> {
    let block = vec![0; FILE_BLOCK];
    let began = Instant::now();
    let mut file = File::create(path)?;
    for length in pieces(bytes, FILE_BLOCK) {
        file.write_all(&block[..length])?;
    }
    file.sync_all()?;
    Ok(began.elapsed())
}

fn read_file(path: &Path, bytes: u64) -> io::Result<Duration> {
    let mut block = vec![0; FILE_BLOCK];
    let began = Instant::now();
    let mut file = File::open(path)?;
    for length in pieces(bytes, FILE_BLOCK) {
        file.read_exact(&mut block[..length])?;
    }
    Ok(began.elapsed())
}

/// The lengths of `bytes` in pieces of at most `most`.
fn pieces(bytes: u64, most: usize) -> impl Iterator<Item = usize> {
    let rest = (bytes % most as u64) as usize;
    let whole = (0..bytes / most as u64).map(move |_| most);
    whole.chain((rest > 0).then_some(rest))
}

fn sent(at: Option<SocketAddr>, bytes: u64, output: &mut impl Write) -> io::Result<IoAnswer> {
    let at = match at {
        Some(at) => at,
        None => SocketAddr::new(own_address()?, 0),
    };
    let failed =
        |what: String| move |error: io::Error| io::Error::other(format!("{what}: {error}"));
    let listener = TcpListener::bind(at).map_err(failed(format!("listen at {at}")))?;
    answer(output, &IoAnswer::Listening(listener.local_addr()?))?;
    let receiver = accept(&listener).map_err(failed("wait for the receiver".to_owned()))?;
    // Nobody else is to come.
    drop(listener);
    send(receiver, bytes).map_err(failed("send".to_owned()))?;
    Ok(IoAnswer::Done)
}

fn accept(listener: &TcpListener) -> io::Result<TcpStream> {
    let time = Timespec::try_from(DEADLINE).map_err(io::Error::other)?;
    match poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&time))? {
        0 => Err(io::Error::other(format!("it had not come after {DEADLINE:?}"))),
        _ => Ok(listener.accept()?.0),
    }
}

fn send(mut receiver: TcpStream, bytes: u64) -> io::Result<()> {
    let block = vec![0; SEND_BLOCK];
    receiver.set_write_timeout(Some(DEADLINE))?;
    pieces(bytes, SEND_BLOCK).try_for_each(|length| receiver.write_all(&block[..length]))
}

/// The address of the link by which others are reached: connect(2) of a datagram socket looks for the
/// route and sends nothing.
fn own_address() -> io::Result<IpAddr> {
    // Reserved for documentation (RFC 5737): no route but the default one leads there.
    const ELSEWHERE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 255), 9);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect(ELSEWHERE).map_err(|error| {
        io::Error::other(format!("look for the link by which others are reached: {error}"))
    })?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to these requests behind the first, which says that it has started.
    fn answers(requests: &[IoRequest]) -> Vec<IoAnswer> {
        let lines: Vec<String> =
            requests.iter().map(|it| serde_json::to_string(it).unwrap() + "\n").collect();
        let mut output = Vec::new();
        serve_io(lines.concat().as_bytes(), &mut output).unwrap();
        let output = String::from_utf8(output).unwrap();
        let answers: Vec<IoAnswer> =
            output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers[0], IoAnswer::Done);
        answers[1..].to_vec()
    }

    #[test]
    fn a_file_is_written_read_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = (FILE_BLOCK + 5) as u64;
        let request = IoRequest::WriteAndRead { folder: folder.path().into(), bytes };
        let answers = answers(&[request.clone(), request]);
        for answer in &answers {
            let IoAnswer::Times { written, read } = answer else { panic!("{answer:?}") };
            assert!(*written > 0.0 && *read > 0.0, "{answer:?}");
        }
        assert_eq!(answers.len(), 2);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_cannot_be_done_is_said_and_the_next_request_is_done() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("none");
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let at = taken.local_addr().unwrap();
        let requests = [
            IoRequest::WriteAndRead { folder: nowhere, bytes: 1 },
            IoRequest::Mount { disk: "/dev/null".into(), folder: folder.path().into() },
            IoRequest::Send { at: Some(at), bytes: 1 },
            IoRequest::WriteAndRead { folder: folder.path().into(), bytes: 1 },
        ];
        let answers = answers(&requests);
        for answer in &answers[..3] {
            assert!(matches!(answer, IoAnswer::Failed(_)), "{answer:?}");
        }
        let IoAnswer::Failed(why) = &answers[2] else { panic!("{answers:?}") };
        assert!(why.contains(&at.to_string()) && why.contains("in use"), "{why}");
        assert!(matches!(answers[3], IoAnswer::Times { .. }), "{answers:?}");
    }

    #[test]
    fn a_line_that_is_no_request_ends_it() {
        assert!(serve_io(&b"hello\n"[..], Vec::new()).is_err());
    }

    #[test]
    fn pieces_make_the_whole() {
        assert_eq!(pieces(10, 4).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(pieces(8, 4).sum::<usize>(), 8);
        assert_eq!(pieces(0, 4).count(), 0);
    }
}
