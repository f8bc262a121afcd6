//! Lab 11: a network of its own. The part that leads the student's functions.

use std::{
    error::Error as _,
    fmt,
    io::{self, PipeReader, PipeWriter, Read, Write},
    net::{Ipv4Addr, UdpSocket},
    process::ExitCode,
    time::Duration,
};

use container::Error;
pub use container::netlink::{CREATE, Message, Netlink, VETH_INFO_PEER, link, text};
use lab::program::{Host, Trouble, run};
use nix::{
    sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid},
    unistd::{Pid, getpid},
};

/// The number of a link that does not exist.
const ABSENT: i32 = 1 << 30;

/// What a new process does, from its first instruction to its exit code.
pub type Inside<'a> = Box<dyn FnMut() -> isize + 'a>;

/// How the host and the new process are to be connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VethConfig {
    /// The host's end.
    pub outer: String,
    /// The other end.
    pub inner: String,
    /// The host's address.
    pub outer_address: Ipv4Addr,
    /// The new process's address.
    pub inner_address: Ipv4Addr,
    /// So many bits of both addresses are the network's.
    pub prefix: u8,
}

/// The student's functions.
pub struct Answer {
    /// Makes a process with a network of its own.
    pub spawn: fn(Inside) -> nix::Result<Pid>,
    /// Makes a pair of links: a name here, a name and a process there.
    pub create_pair: fn(&mut Netlink, &str, &str, i32) -> Result<(), Error>,
    /// Gives an address, with the length of its network's part, to the link with this index.
    pub add_address: fn(&mut Netlink, i32, Ipv4Addr, u8) -> Result<(), Error>,
    /// Switches the link with this index on.
    pub set_up: fn(&mut Netlink, i32) -> Result<(), Error>,
    /// What the new process does to its own network.
    pub prepare_inside: fn(&mut Netlink, &VethConfig) -> Result<(), Error>,
    /// Takes a link away.
    pub remove: fn(&mut Netlink, &str) -> Result<(), Error>,
}

/// The program: a process, a pair of links between it and here, and a datagram over it.
pub fn program(answer: &Answer) -> ExitCode {
    run(|host| {
        let config = config(host);
        let (mut gate, open) = host.step("make a gate", Gate::new)?;
        let own = getpid();
        let inside = || inside(host, answer, &config, &mut gate);
        let child = host.step("spawn", || (answer.spawn)(Box::new(inside)))?;
        if getpid() != own {
            return host.step("exit in the new process", || Err("it came back instead"));
        }
        drop(gate);
        host.say("returned", child);
        open.wait(host).or_else(|_| host.step("run in the new process", how_it_ended))?;
        host.meet("spawned");

        let mut netlink = ask(host, "open a netlink socket", Netlink::open)?;
        let mut create =
            || (answer.create_pair)(&mut netlink, &config.outer, &config.inner, child.as_raw());
        ask(host, "create_pair", &mut create)?;
        host.meet("connected");
        refused(host, create);

        let index = ask(host, "find the host's end", || netlink.index_of(&config.outer))?;
        let mut add =
            || (answer.add_address)(&mut netlink, index, config.outer_address, config.prefix);
        ask(host, "add_address", &mut add)?;
        host.meet("addressed");
        refused(host, add);

        ask(host, "set_up", || (answer.set_up)(&mut netlink, index))?;
        host.meet("up");
        refused(host, || (answer.set_up)(&mut netlink, ABSENT));

        let _socket = host.step("bind a port", || socket(host))?;
        open.once(host)?;
        // The child has a network now, and then a datagram; it meets the check meanwhile.
        open.wait(host)?;

        ask(host, "remove", || (answer.remove)(&mut netlink, &config.outer))?;
        host.meet("removed");
        open.once(host)?;
        host.step("wait for the child", || waitpid(child, None)).map(drop)
    })
}

/// What the new process does: it waits until it is connected, prepares its end, waits for a
/// datagram, and stays until the link is gone.
fn inside(host: &Host, answer: &Answer, config: &VethConfig, gate: &mut Gate) -> isize {
    let mut lead = || -> Result<(), Trouble> {
        host.meet("cloned");
        let mut netlink = ask(host, "open a netlink socket", Netlink::open)?;
        use_up_numbers(&mut netlink);
        gate.tell(host)?;
        gate.pass(host)?;
        ask(host, "prepare_inside", || (answer.prepare_inside)(&mut netlink, config))?;
        let socket = host.step("bind the same port", || socket(host))?;
        // The check sends its word now.
        host.meet("ready");
        let mut word = [0; 64];
        let length = host.step("receive a datagram", || socket.recv(&mut word))?;
        host.say("token", String::from_utf8_lossy(&word[..length]));
        host.meet("received");
        gate.tell(host)?;
        gate.pass(host)
    };
    match lead() {
        Ok(()) => 0,
        Err(trouble) => {
            host.fail(&trouble);
            1
        }
    }
}

/// Repeats what has been done, or does it where nothing is: the kernel refuses, and the check is told
/// the error that the student's function returns.
fn refused(host: &Host, step: impl FnOnce() -> Result<(), Error>) {
    if host.is_checked() {
        let answer = step().map_err(ErrorChain);
        host.say("answer", answer.err().map_or("no error".to_owned(), |error| error.to_string()));
        host.meet("refused");
    }
}

/// Creates a pair of links and deletes it: a link's number cannot be guessed afterwards. Where the
/// kernel has no such links there will be none with a number either.
fn use_up_numbers(netlink: &mut Netlink) {
    let made = netlink.create_veth("spare0", "spare1", getpid().as_raw());
    let _ = made.and_then(|()| netlink.delete("spare0"));
}

/// Waits for the end of any child, and tells it as an error.
fn how_it_ended() -> Result<(), String> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::__WALL;
    Err(match waitid(Id::All, flags) {
        Ok(WaitStatus::Signaled(_, signal, _)) => signal.to_string(),
        Ok(WaitStatus::Exited(_, code)) => format!("exit code {code}"),
        Ok(status) => format!("{status:?}"),
        Err(errno) => errno.to_string(),
    })
}

fn config(host: &Host) -> VethConfig {
    let words = |name: &str, usual: &str| match host.argument(name) {
        "" => usual.to_owned(),
        word => word.to_owned(),
    };
    let address = |name: &str, usual| host.argument(name).parse().unwrap_or(usual);
    VethConfig {
        outer: words("outer", "lab11"),
        inner: words("inner", "eth0"),
        outer_address: address("outer-address", Ipv4Addr::new(10, 211, 0, 1)),
        inner_address: address("inner-address", Ipv4Addr::new(10, 211, 0, 2)),
        prefix: host.number("prefix", 30) as u8,
    }
}

fn socket(host: &Host) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, host.number("port", 4711) as u16))?;
    // A check has sent its word by now. By hand there is time to send one.
    let seconds = if host.is_checked() { 5 } else { 600 };
    socket.set_read_timeout(Some(Duration::from_secs(seconds)))?;
    Ok(socket)
}

/// Does a step of the student's that asks the kernel's network.
fn ask<T>(host: &Host, name: &str, step: impl FnOnce() -> Result<T, Error>) -> Result<T, Trouble> {
    host.step(name, || step().map_err(ErrorChain))
}

/// An error with what caused it.
struct ErrorChain(Error);

impl fmt::Display for ErrorChain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0)?;
        match self.0.source() {
            Some(cause) => write!(out, ": {cause}"),
            None => Ok(()),
        }
    }
}

/// The child's side of two pipes by which it and its parent wait for each other.
struct Gate {
    opened: PipeReader,
    passed: PipeWriter,
}

/// The parent's.
struct Opener {
    open: PipeWriter,
    passed: PipeReader,
}

impl Gate {
    fn new() -> io::Result<(Self, Opener)> {
        let ((opened, open), (through, passed)) = (io::pipe()?, io::pipe()?);
        Ok((Self { opened, passed }, Opener { open, passed: through }))
    }

    fn pass(&mut self, host: &Host) -> Result<(), Trouble> {
        host.step("wait for the parent", || self.opened.read_exact(&mut [0]))
    }

    fn tell(&mut self, host: &Host) -> Result<(), Trouble> {
        host.step("tell the parent", || self.passed.write_all(b"p"))
    }
}

impl Opener {
    fn once(&self, host: &Host) -> Result<(), Trouble> {
        host.step("tell the child", || (&self.open).write_all(b"o"))
    }

    fn wait(&self, host: &Host) -> Result<(), Trouble> {
        host.step("wait for the child", || (&self.passed).read_exact(&mut [0]))
    }
}
