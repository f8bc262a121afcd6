//! The targets of the attempts, made for this demonstration alone.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    io,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
};

use container::Scratch;
use sandbox::{Builtin, Instance, Native, Process, Sandbox as _, Workload};

use super::TargetState;
use crate::{Error, Result};

/// A directory of this demonstration's own:
///
/// ```text
///   target              outside of every root
///   guest             the program of the microVM
///   cell/             the root of those who are inside
///   cell/deeper/      and of those who make themselves a second one
///   cell/breakout     the program that tries to get out
/// ```
pub(super) struct BreakoutDirectory(Scratch);

impl BreakoutDirectory {
    /// Makes it, with the program in the cell.
    pub(super) fn make() -> Result<Self> {
        let words = ["isolab", "demo", "breakout"];
        let directory = Self(Scratch::make(&std::env::temp_dir(), "breakout", "demo", &words)?);
        directory
            .furnish()
            .map_err(Error::system(format!("create the cell in {:?}", directory.0.path())))?;
        Ok(directory)
    }

    fn furnish(&self) -> io::Result<()> {
        fs::create_dir(self.cell())?;
        fs::create_dir(self.cell().join("deeper"))?;
        fs::write(self.program(), guest::BREAKOUT)?;
        fs::set_permissions(self.program(), fs::Permissions::from_mode(0o755))
    }

    pub(super) fn cell(&self) -> PathBuf {
        self.0.path().join("cell")
    }

    pub(super) fn program(&self) -> PathBuf {
        self.cell().join("breakout")
    }

    pub(super) fn target(&self) -> PathBuf {
        self.0.path().join("target")
    }

    pub(super) fn guest(&self) -> PathBuf {
        self.0.path().join("guest")
    }
}

/// The targets, fresh.
pub(super) struct Targets {
    /// What is in the file.
    pub(super) file: String,
    /// What is in this process's memory.
    pub(super) memory: String,
    /// A process that does nothing. It ends with isolab, however that ends.
    _idle: Box<dyn Instance>,
    /// The same.
    pub(super) process: Process,
}

impl Targets {
    pub(super) fn make(directory: &BreakoutDirectory) -> Result<Self> {
        let file = random();
        let path = directory.target();
        fs::write(&path, format!("{file}\n"))
            .map_err(Error::system(format!("create the target {path:?}")))?;
        // As long as what is read of it, and never moved.
        let memory = format!("{:\0<BYTES$}", random());
        let idle = Native.spawn(&Workload::builtin(Builtin::Idle, &[]))?;
        let pid = idle.processes().first().copied().unwrap_or_default();
        let gone = || io::Error::other(format!("process {pid} ended immediately"));
        let process = Process::of(pid).ok_or_else(gone);
        let process = process.map_err(Error::system("start the target process"))?;
        Ok(Self { file, memory, _idle: idle, process })
    }

    /// What is in the memory, without the zeros behind it.
    pub(super) fn data(&self) -> &str {
        self.memory.trim_end_matches('\0')
    }

    /// Where in the memory.
    pub(super) fn address(&self) -> u64 {
        self.memory.as_ptr() as u64
    }

    pub(super) fn state(&self) -> TargetState {
        let (file, memory) = (self.file.clone(), self.data().to_owned());
        TargetState { file, pid: self.process.pid, alive: self.process.is_alive(), memory }
    }
}

/// So much of a target is read, by `programs/breakout.rs`.
const BYTES: usize = 16;

/// Four digits that nobody knows before.
fn random() -> String {
    // The standard library's hash keys are the random numbers at hand.
    format!("{:04x}", RandomState::new().hash_one(std::process::id()) >> 48)
}
