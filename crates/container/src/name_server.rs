//! Another name server for a container that runs.

use std::{
    fs::File,
    io::{Read as _, Seek as _, Write as _},
    net::IpAddr,
};

use nix::{
    fcntl::{OFlag, OpenHow, ResolveFlag, openat2},
    sys::stat::SFlag,
};
use sandbox::Process;

use crate::{
    Error,
    error::{call, file},
    pidfd,
};

/// How long a file of name servers may be.
const MAX_LENGTH: u64 = 64 << 10;

/// Lets a running container ask only `server`: writes it to the `/etc/resolv.conf` that isolab has
/// given it (resolv.conf(5)). False if the container has another one, which stays as it is.
///
/// # Errors
///
/// When the container has ended, or its file cannot be read and written.
pub fn set_name_server(process: &Process, server: IpAddr) -> Result<bool, Error> {
    const STEP: &str = "write the container's resolv.conf";
    let path = format!("/proc/{}/root", process.pid);
    let root = File::open(&path).map_err(file("open", &path))?;
    // It is alive now, so it had that number when its root was opened.
    if pidfd::open(process).is_none() {
        return Err(Error::ProcessEnded { pid: process.pid });
    }
    let how = OpenHow::new()
        .flags(OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let Ok(found) = openat2(&root, "etc/resolv.conf", how) else { return Ok(false) };
    let stat = nix::sys::stat::fstat(&found).map_err(call(STEP))?;
    // The file that isolab mounts there has no name any more.
    let is_ours = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
        && stat.st_nlink == 0;
    if !is_ours {
        return Ok(false);
    }
    let mut opened = File::from(found);
    let mut text = String::new();
    (&opened).take(MAX_LENGTH).read_to_string(&mut text).map_err(file("read", &path))?;
    let written = with_server(&text, server);
    let mut write = || {
        opened.rewind()?;
        opened.set_len(0)?;
        opened.write_all(written.as_bytes())
    };
    write().map_err(file("write", &path))?;
    Ok(true)
}

/// The file with that server instead of its own.
fn with_server(text: &str, server: IpAddr) -> String {
    let others = text.lines().filter(|line| !line.trim_start().starts_with("nameserver"));
    let others: String = others.map(|line| format!("{line}\n")).collect();
    format!("nameserver {server}\n{others}")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn only_the_servers_change() {
        let text = "nameserver 10.0.0.1\nsearch example.com\nnameserver 10.0.0.2\n";
        let server = Ipv4Addr::new(127, 0, 0, 11).into();
        assert_eq!(with_server(text, server), "nameserver 127.0.0.11\nsearch example.com\n");
    }
}
