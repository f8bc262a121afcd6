//! `isolab nest`: isolab once more, in an emulated computer with hardware virtualization.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use microvm::{initramfs::files_of_program, linux::mke2fs};
use nest::Nest;
use sandbox::Stdio;

use crate::{failure::Failure, linux, termination::TerminationSignals, units};

/// Run isolab in an emulated computer that has hardware virtualization.
///
/// QEMU emulates a processor with AMD's SVM and boots the kernel chosen by `isolab kernel`. Inside,
/// /dev/kvm is a real kvm_amd and all cgroups are version 2, whatever this host has. It boots in
/// two seconds and computes ten to a hundred times slower than this host.
///
/// Output, errors and the exit code are those of the isolab inside; 125 means that the nest itself
/// failed. There is no input; `isolab nest shell` opens a shell inside, with isolab on its PATH.
#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Arguments {
    /// Count time in instructions, one nanosecond each, so that measurements are repeatable on a
    /// busy host. The nest and its Linux guests then have one CPU
    #[arg(long)]
    icount: bool,
    /// Copy a file or directory of this host into the nest, at the same path; may be repeated
    #[arg(long, value_name = "PATH")]
    add: Vec<PathBuf>,
    /// Copy the files left in /out ($ISOLAB_OUT) to this directory of the host
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Kernel to boot [default: the one chosen by `isolab kernel`]
    #[arg(long, value_name = "FILE")]
    kernel: Option<PathBuf>,
    /// Directory of the kernel's modules, or a root file system with them [default: by release]
    #[arg(long, value_name = "DIRECTORY")]
    modules: Option<PathBuf>,
    /// Memory, such as 2G [default: 1G]
    #[arg(long, value_name = "SIZE", value_parser = units::memory, allow_hyphen_values = true)]
    memory: Option<u64>,
    /// Number of CPUs [default: 1]
    #[arg(long, value_name = "NUMBER", value_parser = units::count, allow_hyphen_values = true)]
    vcpus: Option<u32>,
    /// Power off after this long: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = units::deadline, allow_hyphen_values = true)]
    deadline: Option<Duration>,
    /// Timeout for booting, up to the start of isolab inside [default: 1m]
    #[arg(long, value_name = "TIME", value_parser = units::deadline)]
    start_up: Option<Duration>,
    /// Set an environment variable inside; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = units::variable)]
    environment: Vec<(OsString, OsString)>,
    /// Run this statically linked program instead of isolab
    #[arg(long, value_name = "FILE", hide = true)]
    program: Option<PathBuf>,
    /// Command for the isolab inside, or `shell`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ISOLAB-ARGS")]
    words: Vec<OsString>,
}

const EXAMPLES: &str = "Examples:
  isolab nest -- doctor
  isolab nest -- run --in microvm --trace hello
  isolab nest -- run --in container --memory 64M -- /bin/sh -c 'cat /proc/self/cgroup'
  isolab nest --icount --out report -- compare --quick --out /out
  isolab nest shell
";

/// Runs it and gives the exit code of what ran inside.
pub fn nest(arguments: &Arguments) -> Result<u8, Failure> {
    let signals =
        TerminationSignals::listen().map_err(Failure::at("set the handlers of signals"))?;
    let (nest, stdio) = arguments.nest()?;
    match nest.run(stdio, Some(signals.readable())) {
        Ok(ended) => Ok(ended.status.code()),
        Err(nest::Error::Stopped) => Ok(signals.exit_code()),
        Err(error) => Err(error.into()),
    }
}

impl Arguments {
    fn nest(&self) -> Result<(Nest, Stdio), Failure> {
        let shell = self.words.first().is_some_and(|word| word == "shell");
        if self.words.is_empty() && self.program.is_none() {
            return Err(Failure::usage("missing command for the nest")
                .help("for example `isolab nest -- doctor` or `isolab nest shell`"));
        }
        if shell && (self.words.len() > 1 || self.program.is_some()) {
            return Err(Failure::usage("`isolab nest shell` takes no arguments")
                .help("put options before `shell`: `isolab nest --memory 2G shell`"));
        }
        self.check_snapshot()?;
        if shell && !io::stdin().is_terminal() {
            return Err(nest::Error::NoTerminal.into());
        }
        // A missing program is reported before a missing kernel.
        nest::available()?;
        let program = match &self.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(Failure::at("find isolab's own program"))?,
        };
        let room = self.memory.unwrap_or(nest::DEFAULT_MEMORY_BYTES);
        let kernel = linux::kernel(self.kernel.as_deref(), self.modules.as_deref(), room)?;
        let mut nest = Nest::with(kernel, program);
        nest.shell = shell;
        nest.arguments = if shell { Vec::new() } else { self.words.clone() };
        nest.environment.clone_from(&self.environment);
        nest.add = self.added()?;
        if shell || self.may_make_a_disk() {
            nest.add.extend(files_of_mke2fs());
        }
        nest.out.clone_from(&self.out);
        nest.icount = self.icount;
        nest.memory_bytes = self.memory.unwrap_or(nest.memory_bytes);
        nest.vcpus = self.vcpus.unwrap_or(nest.vcpus);
        nest.deadline = self.deadline;
        nest.start_up = self.start_up.unwrap_or(nest.start_up);
        Ok((nest, if shell { Stdio::Terminal } else { Stdio::Inherit }))
    }

    /// Refuses to save a snapshot that would be lost: its directory is in the nest's memory, unless it
    /// is one whose files are copied out.
    fn check_snapshot(&self) -> Result<(), Failure> {
        let saves = self.words.starts_with(&["snapshot".into(), "save".into()]);
        let is_data_home = |(name, _): &&(OsString, OsString)| name == "XDG_DATA_HOME";
        let data_home = self.environment.iter().rfind(is_data_home).map(|(_, value)| value);
        let is_kept = self.out.is_some()
            && data_home.is_some_and(|directory| Path::new(directory).starts_with(nest::OUT));
        match saves && !is_kept {
            true => {
                Err(Failure::usage("the snapshot would be lost when the nest ends").help(format!(
                    "save it in {OUT} and copy it to this host: `isolab nest --out DIRECTORY --env \
                     XDG_DATA_HOME={OUT} -- snapshot save ..`",
                    OUT = nest::OUT
                )))
            }
            false => Ok(()),
        }
    }

    /// Whether isolab inside may need mke2fs: for a guest's root that is too large for its memory.
    fn may_make_a_disk(&self) -> bool {
        let is_root = |word: &OsString| word.as_encoded_bytes().starts_with(b"--root");
        self.program.is_none() && self.words.iter().any(is_root)
    }

    fn added(&self) -> Result<Vec<PathBuf>, Failure> {
        let absolute = |path: &PathBuf| {
            let there = path.metadata().and_then(|_| std::path::absolute(path));
            there.map_err(Failure::at(format!("copy {path:?} into the nest")))
        };
        self.add.iter().map(absolute).collect()
    }
}

/// This host's mke2fs with its libraries, because the mke2fs of busybox, which the nest has, cannot
/// fill a disk. Where this host has none, isolab inside reports that when it needs it.
fn files_of_mke2fs() -> Vec<PathBuf> {
    mke2fs().ok().and_then(|program| files_of_program(&program).ok()).unwrap_or_default()
}
