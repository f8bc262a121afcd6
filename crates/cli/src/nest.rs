//! `isolab nest`: isolab once more, in an emulated computer with hardware virtualization.

use std::{
    ffi::OsString,
    io::{self, IsTerminal as _},
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use microvm::{initramfs::files_of_program, linux::mke2fs};
use nest::Nest;
use sandbox::Stdio;

use crate::{failure::Failure, linux, termination::Termination, units};

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
    let termination = Termination::listen().map_err(Failure::at("set the handlers of signals"))?;
    let (nest, stdio) = arguments.nest()?;
    match nest.run(stdio, Some(termination.fd())) {
        Ok(ended) => Ok(ended.status.code()),
        Err(nest::Error::ToldToEnd) => Ok(termination.exit_code()),
        Err(error) => Err(error.into()),
    }
}

impl Arguments {
    fn nest(&self) -> Result<(Nest, Stdio), Failure> {
        let shell = self.words.first().is_some_and(|word| word == "shell");
        if self.words.is_empty() && self.program.is_none() {
            return Err(Failure::usage("missing command for the nest")
                .help("`isolab nest -- doctor`, for instance, or `isolab nest shell`"));
        }
        if shell && (self.words.len() > 1 || self.program.is_some()) {
            return Err(Failure::usage("the nest's shell takes no words")
                .help("options stand before it: `isolab nest --memory 2G shell`"));
        }
        if shell && !io::stdin().is_terminal() {
            return Err(nest::Error::NoTerminal.into());
        }
        // Which of what is needed is lacking is said before the kernel that is needed too.
        nest::available()?;
        let program = match &self.program {
            Some(program) => program.clone(),
            // Under its name, for the one inside.
            None => std::env::current_exe().map_err(Failure::at("find isolab's own program"))?,
        };
        let room = self.memory.unwrap_or(nest::USUAL_MEMORY_BYTES);
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
        Ok((nest, if shell { Stdio::Terminal } else { Stdio::Inherit }))
    }

    /// Whether isolab inside may need mke2fs: for a guest's root that is too large for its memory.
    fn may_make_a_disk(&self) -> bool {
        let is_root = |word: &OsString| word.as_encoded_bytes().starts_with(b"--root");
        self.program.is_none() && self.words.iter().any(is_root)
    }

    fn added(&self) -> Result<Vec<PathBuf>, Failure> {
        let absolute = |path: &PathBuf| {
            let there = path.metadata().and_then(|_| std::path::absolute(path));
            there.map_err(Failure::at(format!("bring in {path:?}")))
        };
        self.add.iter().map(absolute).collect()
    }
}

/// This host's mke2fs with its libraries: busybox, of which all programs in a nest are, has one that
/// cannot fill a disk. Where there is none here, isolab inside says so when it needs it.
fn files_of_mke2fs() -> Vec<PathBuf> {
    mke2fs().ok().and_then(|program| files_of_program(&program).ok()).unwrap_or_default()
}
