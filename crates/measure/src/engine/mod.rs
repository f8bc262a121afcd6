//! A start through a daemon: what a client of Docker's API asks for, and who answers.
//!
//! ```text
//!   measuring process ──starts──> client ──REST──> daemon ──> supervisor ──> launcher ──> hello
//!            ^                      │  ^                                                    │
//!            └──── first byte ──────┘  └──────────────── its output, in frames ─────────────┘
//! ```
//!
//! The client is a fresh process each time, as `isolab run` is and as the docker command would be;
//! it sends the same requests as `docker run --rm`. The daemon is one for all rounds, with images and
//! containers in a directory of its own, or dockerd, where it serves.

mod client;
mod daemon;
mod daemon_process;
mod dockerd;
mod http;

use std::io;

pub use client::{ClientOptions, run};
pub use daemon::Daemon;
pub(crate) use daemon_process::DaemonProcess;
pub use dockerd::Dockerd;
pub(crate) use dockerd::{SOCKET, START};

use http::Http;

/// The image with the program that writes one line.
pub(crate) const IMAGE: &str = "isolab-compare-hello:latest";
/// Its program.
pub(crate) const PROGRAM: &str = "/hello";

/// The image as an archive: one file.
fn archive() -> io::Result<Vec<u8>> {
    let program = sandbox::Builtin::Hello.linux_elf();
    let mut header = tar::Header::new_ustar();
    header.set_size(program.len() as u64);
    header.set_mode(0o755);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, PROGRAM.trim_start_matches('/'), program)?;
    archive.into_inner()
}

/// Gives the daemon at this end the image.
fn import(http: &mut Http) -> io::Result<()> {
    let (repository, tag) = IMAGE.split_once(':').unwrap_or((IMAGE, "latest"));
    let path = format!("/images/create?fromSrc=-&repo={repository}&tag={tag}");
    let answer = http.post(&path, "application/x-tar", &archive()?)?;
    match answer.status {
        // A failure after the first bytes is told in the body.
        200 if !answer.text().contains("\"error\"") => Ok(()),
        _ => Err(io::Error::other(format!("import an image: {}", answer.text().trim()))),
    }
}
