//! Lab 17: client and daemon. The part that leads the student's functions.
//!
//! ```text
//!   client                  daemon                      shim                    container
//!     POST ../start ------>   listen, serve
//!                             start  ------ spawn ---->   setsid
//!                                                         isolated  -- spawn -->  runs
//!                             <----- "PID\n" ----------   save: running
//!     <------ 204 ----------
//!                           X killed                      waits                   runs
//!                                                         save: exited  <-------  ends
//! ```

mod api;
pub mod client;
mod engine;
mod http;
mod isolated;
mod payload;
mod service;
mod state;

use std::{
    io::{self, Write},
    os::{fd::OwnedFd, unix::net::UnixListener},
    path::{Path, PathBuf},
    process::ExitCode,
};

use lab::program::{Host, Trouble, run};
use nix::sys::stat::{Mode, umask};

pub use engine::{Engine, NOT_WHOLE};
pub use isolated::{Isolated, isolated};
pub use service::Order;
pub use state::{Container, Refusal, State};

/// The student's functions.
#[derive(Clone, Copy)]
pub struct Answer {
    /// Makes the socket.
    pub listen: fn(&Path) -> io::Result<UnixListener>,
    /// Serves clients until the process is killed.
    pub serve: fn(&Engine, &UnixListener) -> io::Result<()>,
    /// Writes a container's state to disk.
    pub save: fn(&Engine, &Container) -> io::Result<()>,
    /// Starts a container, in the daemon.
    pub start: fn(&Engine, &str) -> Result<(), Refusal>,
    /// Starts it and waits for it, in a process of its own.
    pub shim: fn(&Engine, Container) -> io::Result<()>,
    /// The start time of a process.
    pub start_time: fn(u32) -> io::Result<u64>,
    /// The process with that number, if it was started at that time.
    pub adopt: fn(&Engine, u32, u64) -> Option<OwnedFd>,
    /// Waits until a container has ended.
    pub wait: fn(&Engine, &str) -> Result<i32, Refusal>,
    /// Removes a container.
    pub remove: fn(&Engine, &str, bool) -> Result<(), Refusal>,
}

/// The program: the daemon, a shim, the check's payload, or what starts the daemon for the check.
pub fn program(answer: &Answer) -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match &words[..] {
        ["daemon", directory] => run(|host| daemon(host, &engine(directory, answer))),
        ["shim", directory, id] => run(|host| shim(host, &engine(directory, answer), id)),
        ["payload", steps @ ..] => payload::payload(steps),
        _ => run(service::service),
    }
}

fn engine(directory: &str, answer: &Answer) -> Engine {
    Engine::new(PathBuf::from(directory), *answer)
}

fn daemon(host: &Host, engine: &Engine) -> Result<(), Trouble> {
    host.step("create the directory", || engine.create_directory())?;
    // What a daemon gets from whoever starts it is not to be relied upon.
    umask(Mode::empty());
    let listener = host.step("listen", || (engine.answer.listen)(&engine.socket()))?;
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let listening = format!("listening on {}\n", engine.socket().display());
    host.step("tell who started it", || io::stdout().write_all(listening.as_bytes()))?;
    host.step("serve", || (engine.answer.serve)(engine, &listener))?;
    host.step("serve", || Err("it returned, and a daemon serves until it is killed"))
}

fn shim(host: &Host, engine: &Engine, id: &str) -> Result<(), Trouble> {
    let container = host.step("read the state", || engine.load(id))?;
    let container =
        host.step("read the state", || container.ok_or("there is no such container"))?;
    // `start` waits for the pid, and gets the reason in its place; later nobody listens any more.
    if let Err(error) = (engine.answer.shim)(engine, container) {
        if writeln!(io::stdout(), "{error}").is_err() {
            eprintln!("shim: {error}");
        }
        std::process::exit(1);
    }
    // The check is told nothing of it.
    std::process::exit(0)
}
