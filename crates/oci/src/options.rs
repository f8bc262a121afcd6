//! The command line, which is runc's: engines call it without looking.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// Creates and runs containers from OCI bundles.
#[derive(Debug, Parser)]
#[command(name = "isolab-oci", version = VERSION, about, disable_version_flag = true)]
pub(crate) struct Options {
    /// Print the version, and that of the specification
    #[arg(short = 'v', short_alias = 'V', long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// In runc's words, which engines take apart.
const VERSION: &str = concat!("version ", env!("CARGO_PKG_VERSION"), "\nspec: 1.2.1");

#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Directory for the state of containers [default: /run/isolab-oci, or below XDG_RUNTIME_DIR]
    #[arg(long, value_name = "DIR")]
    pub(crate) root: Option<PathBuf>,
    /// File to which errors are appended, besides standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// Format of the log
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub(crate) log_format: LogFormat,
    /// Accepted; there is no more to log
    #[arg(long)]
    pub(crate) debug: bool,
    /// Accepted: only errors and warnings are logged
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Accepted: CRIU is not used
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) criu: Option<PathBuf>,
    /// Let systemd make the cgroup
    #[arg(long)]
    pub(crate) systemd_cgroup: bool,
    /// Whether the caller's lack of power is taken as given: auto, true or false
    #[arg(long, value_enum, value_name = "WHETHER", default_value_t = Rootless::Auto)]
    pub(crate) rootless: Rootless,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Rootless {
    Auto,
    True,
    False,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

// Of one command only the options are described: all of them would take as long as a mount.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Create a container; its program waits for `start`
    Create(Create),
    /// Let the program of a created container begin
    Start(One),
    /// Create and start a container, and wait until it ends
    Run(Run),
    /// Print the state of a container as JSON
    State(One),
    /// Send a signal to a container's first process
    Kill(Kill),
    /// Remove a container and all that is left of it
    Delete(Delete),
    /// Run another program in a running container
    Exec(Box<Exec>),
    /// List the processes of a container
    Ps(Ps),
    /// List containers
    List(List),
    /// Freeze all processes of a container
    Pause(One),
    /// Thaw a paused container
    Resume(One),
    /// Print what a container consumes
    Events(Events),
    /// Change the limits of a container
    Update(Box<Update>),
    /// Print what this runtime can do, as JSON
    Features,
    /// Write a config.json to begin with
    Spec(Spec),
    /// Wait for the end of standard input: the first process of a scope of systemd's
    #[command(hide = true)]
    Hold,
    /// Refused: processes cannot be saved to disk
    Checkpoint(Refused),
    /// Refused: there is nothing to restore from
    Restore(Refused),
    /// The first process of a microVM; called by `create`, never by hand
    #[command(hide = true)]
    Monitor(Directory),
    /// A further program in a microVM; called by `exec`, never by hand
    #[command(hide = true)]
    Join(Directory),
}

impl Command {
    /// What the process exits with if the command fails: 255 where the code of a program is expected.
    pub(crate) fn code_of_failure(&self) -> u8 {
        if matches!(self, Self::Exec(_)) { 255 } else { 1 }
    }
}

#[derive(Debug, Args)]
pub(crate) struct One {
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Directory with config.json
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) bundle: PathBuf,
    /// Unix socket to which the master of the terminal is sent
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// File for the number of the first process
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Accepted: isolab needs no pivot_root to enter a root
    #[arg(long)]
    pub(crate) no_pivot: bool,
    /// Share the caller's session keyring
    #[arg(long)]
    pub(crate) no_new_keyring: bool,
    /// Pass this many descriptors on, from 3
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) preserve_fds: u32,
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    pub(crate) create: Create,
    /// Do not wait for its end
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// Leave the container to be deleted
    #[arg(long)]
    pub(crate) keep: bool,
    /// Accepted: orphans go to the nearest subreaper
    #[arg(long)]
    pub(crate) no_subreaper: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Kill {
    /// Signal all processes of the container
    #[arg(short, long)]
    pub(crate) all: bool,
    pub(crate) id: String,
    /// Number or name
    #[arg(default_value = "SIGTERM")]
    pub(crate) signal: String,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    /// Kill it first if it runs; no error if there is no such container
    #[arg(short, long)]
    pub(crate) force: bool,
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Exec {
    /// Unix socket to which the master of the terminal is sent
    #[arg(long, value_name = "SOCKET")]
    pub(crate) console_socket: Option<PathBuf>,
    /// Working directory inside
    #[arg(long, value_name = "DIR")]
    pub(crate) cwd: Option<PathBuf>,
    /// Variable, NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) env: Vec<String>,
    /// Give it a terminal
    #[arg(short, long)]
    pub(crate) tty: bool,
    /// UID[:GID]
    #[arg(short, long, value_name = "UID[:GID]")]
    pub(crate) user: Option<String>,
    /// Supplementary group
    #[arg(short = 'g', long, value_name = "GID")]
    pub(crate) additional_gids: Vec<u32>,
    /// File with the process as JSON, as `process` of config.json
    #[arg(short, long, value_name = "FILE")]
    pub(crate) process: Option<PathBuf>,
    /// Do not wait for its end
    #[arg(short, long)]
    pub(crate) detach: bool,
    /// File for the number of the process
    #[arg(long, value_name = "FILE")]
    pub(crate) pid_file: Option<PathBuf>,
    /// Never more power by executing a program
    #[arg(long)]
    pub(crate) no_new_privs: bool,
    /// Capability to add
    #[arg(short, long, value_name = "CAP")]
    pub(crate) cap: Vec<String>,
    /// Pass this many descriptors on, from 3
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) preserve_fds: u32,
    /// Run it in a paused container too
    #[arg(long)]
    pub(crate) ignore_paused: bool,
    /// AppArmor profile; only `unconfined` is supported
    #[arg(long, value_name = "PROFILE")]
    pub(crate) apparmor: Option<String>,
    /// SELinux label; not supported
    #[arg(long, value_name = "LABEL")]
    pub(crate) process_label: Option<String>,
    /// Cgroup below the container's; only `/`, the container's own, is supported
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Vec<String>,
    /// Accepted: orphans go to the nearest subreaper
    #[arg(long)]
    pub(crate) no_subreaper: bool,
    pub(crate) id: String,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    /// table or json
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    pub(crate) id: String,
    /// Options of ps(1)
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) ps_options: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct List {
    /// table or json
    #[arg(short, long, value_enum, default_value_t = Format::Table)]
    pub(crate) format: Format,
    /// Ids only
    #[arg(short, long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct Events {
    /// Print once
    #[arg(long)]
    pub(crate) stats: bool,
    /// Time between two lines, such as 5s
    #[arg(long, value_name = "TIME", default_value = "5s")]
    pub(crate) interval: String,
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Update {
    /// File with `linux.resources` as JSON; `-` for standard input
    #[arg(short, long, value_name = "FILE")]
    pub(crate) resources: Option<PathBuf>,
    /// Limit of memory, in bytes or with a unit: 64m
    #[arg(short, long, value_name = "BYTES", value_parser = bytes, allow_hyphen_values = true)]
    pub(crate) memory: Option<i64>,
    /// Limit of memory and swap together
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_hyphen_values = true)]
    pub(crate) memory_swap: Option<i64>,
    /// Memory that is not reclaimed
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_hyphen_values = true)]
    pub(crate) memory_reservation: Option<i64>,
    /// Limit of kernel memory; only what the kernel no longer limits, so it is refused
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_hyphen_values = true)]
    pub(crate) kernel_memory: Option<i64>,
    /// Limit of memory for TCP buffers
    #[arg(long, value_name = "BYTES", value_parser = bytes, allow_hyphen_values = true)]
    pub(crate) kernel_memory_tcp: Option<i64>,
    /// CPU time per period, in microseconds
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    pub(crate) cpu_quota: Option<i64>,
    /// Period of the CPU quota, in microseconds
    #[arg(long, value_name = "US")]
    pub(crate) cpu_period: Option<u64>,
    /// CPU time that may be saved for later, in microseconds
    #[arg(long, value_name = "US")]
    pub(crate) cpu_burst: Option<u64>,
    /// Whether it runs only when nothing else does: 1 or 0
    #[arg(long, value_name = "0|1")]
    pub(crate) cpu_idle: Option<i64>,
    /// Period of the real-time budget, in microseconds
    #[arg(long, value_name = "US")]
    pub(crate) cpu_rt_period: Option<u64>,
    /// CPU time of real-time programs per period, in microseconds
    #[arg(long, value_name = "US", allow_hyphen_values = true)]
    pub(crate) cpu_rt_runtime: Option<i64>,
    /// Weight of CPU time
    #[arg(long, value_name = "SHARES", alias = "cpu-shares")]
    pub(crate) cpu_share: Option<u64>,
    /// Processors
    #[arg(long, value_name = "LIST")]
    pub(crate) cpuset_cpus: Option<String>,
    /// Memory nodes
    #[arg(long, value_name = "LIST")]
    pub(crate) cpuset_mems: Option<String>,
    /// Most processes
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    pub(crate) pids_limit: Option<i64>,
    /// Weight on disks
    #[arg(long, value_name = "WEIGHT")]
    pub(crate) blkio_weight: Option<u16>,
    pub(crate) id: String,
}

#[derive(Debug, Args)]
pub(crate) struct Spec {
    /// Directory to write it to
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    pub(crate) bundle: PathBuf,
    /// For a caller who is not root
    #[arg(long)]
    pub(crate) rootless: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Refused {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) rest: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Directory {
    /// That of the container's state
    pub(crate) directory: PathBuf,
}

/// Bytes as runc reads them: a number, with a unit of powers of 1024.
fn bytes(text: &str) -> Result<i64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: i64 = digits.parse().map_err(|_| format!("{text:?} is not a number of bytes"))?;
    let power = match &*text[digits.len()..].to_ascii_lowercase() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        unit => return Err(format!("{unit:?} is not a unit: use k, m, g or t")),
    };
    number.checked_mul(1024i64.pow(power)).ok_or_else(|| format!("{text:?} is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_may_follow_the_id() {
        for line in ["kill --all x 9", "kill x 9 --all", "kill x --all 9"] {
            let words = ["isolab-oci"].into_iter().chain(line.split(' '));
            let Command::Kill(kill) = Options::try_parse_from(words).unwrap().command else {
                panic!("{line}");
            };
            assert!(kill.all && kill.id == "x" && kill.signal == "9", "{line}");
        }
    }

    #[test]
    fn what_follows_the_command_of_an_exec_is_the_commands() {
        let words = ["isolab-oci", "exec", "-t", "--env", "A=1", "x", "sh", "-c", "true", "--tty"];
        let Command::Exec(exec) = Options::try_parse_from(words).unwrap().command else { panic!() };
        assert_eq!((&*exec.id, exec.tty), ("x", true));
        assert_eq!(exec.args, ["sh", "-c", "true", "--tty"]);
    }

    #[test]
    fn bytes_have_units_of_1024() {
        for (text, expected) in [("7", 7), ("64k", 65_536), ("1M", 1 << 20), ("-1", -1)] {
            assert_eq!(bytes(text), Ok(expected), "{text}");
        }
        for text in ["", "m", "1x", "9223372036854775807k"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
