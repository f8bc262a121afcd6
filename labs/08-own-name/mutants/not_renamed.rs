//! The NIS domain name is set, which is in the same table, and not the host name.

use std::process::ExitCode;

use nix::{errno::Errno, libc};
use own_name::Answer;

#[path = "../src/solution.rs"]
#[allow(dead_code, reason = "what is wrong stands below")]
mod solution;

fn set_host_name(name: &str) -> nix::Result<()> {
    // SAFETY: the kernel reads as many bytes as `name` has.
    Errno::result(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}

fn main() -> ExitCode {
    own_name::program(&Answer { set_host_name, ..solution::ANSWER })
}
