//! What the program inside a sandbox is asked for, and what it answers: one JSON object a line, by its
//! standard input and output.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What the program inside is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IoRequest {
    /// Mount the ext4 file system of a disk.
    Mount {
        /// The disk, such as `/dev/vda`.
        disk: PathBuf,
        /// Where; the directory is made.
        folder: PathBuf,
    },
    /// Write a file, wait until the disk has it, read it again, and remove it.
    WriteAndRead {
        /// The directory in which it is made.
        folder: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// Send zeros to the one who connects.
    Send {
        /// Where to wait for them: any free port of the address by which others are reached, unless
        /// there is another.
        at: Option<SocketAddr>,
        /// How many.
        bytes: u64,
    },
}

/// What the program inside answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IoAnswer {
    /// It has started, or done what was asked for.
    Done,
    /// How many seconds the file took, by the clock inside.
    Times {
        /// From before it was made until the disk had it.
        written: f64,
        /// From before it was opened again until all of it was read.
        read: f64,
    },
    /// It waits there for the one to send to; another answer follows once it has sent all.
    Listening(SocketAddr),
    /// It could not, and why.
    Failed(String),
}
