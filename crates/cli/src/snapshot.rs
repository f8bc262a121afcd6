//! `isolab snapshot`: Linux guests that were stopped in the middle of their lives.

mod running;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use clap::{Args, Subcommand};
use microvm::{
    linux::{GuestRoot, SavedVm},
    snapshot::{Listed, Snapshot, SnapshotError, SnapshotStore},
};
use report::columns::shortened;
use sandbox::{
    Claim, Ledger, LedgerEntry, LedgerError, Limits, Program, Sandbox as _, Stdio, Workload,
};
use serde_json::json;

use crate::{
    ansi::Ansi,
    cell::Cell,
    failure::{self, Failure},
    kinds::Kind,
    linux::{self, LinuxArguments},
    names, output, program,
    relay::Relay,
    run, stderr, trace, units,
};

/// Save Linux guests, before their command starts or while it runs, and restore any number of copies.
///
/// A snapshot is a directory in ~/.local/share/isolab/snapshots ($XDG_DATA_HOME instead of
/// ~/.local/share, if set): state.json is readable, memory is the guest's. It can be restored by
/// the same isolab on the same kind of processor.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot a Linux guest, and save it just before its command starts; with --from, save a running
    /// guest, which keeps running
    Save(Box<Save>),
    /// Restore a saved guest, with this terminal's input and output and the command's exit code
    ///
    /// Each copy gets its own random seed and the current time. Otherwise it cannot tell that it is
    /// a copy. Copies share the memory that they only read.
    #[command(visible_alias = "run")]
    Restore(Restore),
    /// Remove snapshots; running copies are not affected
    Rm {
        /// Names of the snapshots
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// List saved snapshots
    List {
        /// Print as a JSON array
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct Save {
    /// Name of the snapshot
    name: String,
    /// Save this running guest instead, by its name in `isolab ps`
    ///
    /// The guest is paused while its memory is written. It must have no network card, writable disk,
    /// terminal, debugger or running `isolab exec`.
    #[arg(
        long,
        value_name = "GUEST",
        conflicts_with_all =
            ["memory", "vcpus", "root", "environment", "workdir", "words", "LinuxArguments"]
    )]
    from: Option<String>,
    /// Memory, such as 128M [default: 256M]
    #[arg(long, value_name = "SIZE", value_parser = units::memory, allow_hyphen_values = true)]
    memory: Option<u64>,
    /// Number of virtual CPUs
    #[arg(long, value_name = "NUMBER", value_parser = units::count, allow_hyphen_values = true)]
    vcpus: Option<u32>,
    /// Root file system: a copy of this directory
    #[arg(long, value_name = "DIRECTORY")]
    root: Option<PathBuf>,
    /// Set an environment variable of the command; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = units::variable)]
    environment: Vec<(OsString, OsString)>,
    /// Working directory of the command
    #[arg(long, value_name = "DIRECTORY")]
    workdir: Option<PathBuf>,
    #[command(flatten)]
    linux: LinuxArguments,
    /// Command that each copy runs
    #[arg(required_unless_present = "from", trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

#[derive(Debug, Args)]
struct Restore {
    /// Name of the snapshot
    snapshot: String,
    /// Name for `isolab ps` and `stop` [default: a random name]
    #[arg(long, value_parser = names::given)]
    name: Option<String>,
    /// A read-only disk that the guest was saved with: a raw image. Repeat for each disk, in order
    /// [default: those named in the snapshot, if it has not been moved]
    #[arg(long, value_name = "FILE")]
    disk: Vec<PathBuf>,
    /// Print the result as a JSON object that includes the command's output. Output that is not UTF-8
    /// is in output_base64 and errors_base64, which are null otherwise
    #[arg(long)]
    json: bool,
    /// Print to standard error which calls answered which question
    #[arg(long)]
    trace: bool,
    /// Kill after this long: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = units::deadline, allow_hyphen_values = true)]
    deadline: Option<Duration>,
}

/// Carries out one of them.
pub fn snapshot(arguments: &Arguments) -> Result<u8, Failure> {
    match &arguments.command {
        Command::Save(save) => save.carry_out(),
        Command::Restore(restore) => restore.carry_out(),
        Command::Rm { names } => remove(names),
        Command::List { json } => list(*json),
    }
}

impl Save {
    fn carry_out(&self) -> Result<u8, Failure> {
        let folder = store()?.named(&self.name).map_err(failed)?;
        match &self.from {
            Some(guest) => running::save(guest, &folder)?,
            None => self.boot(&folder)?,
        }
        output::print(&format!("saved {} in {}\n", self.name, folder.display()))?;
        warn_if_lost(&folder);
        Ok(0)
    }

    /// Boots the guest and saves it.
    fn boot(&self, folder: &Path) -> Result<(), Failure> {
        let mut workload = match program::program(&self.words, false)? {
            Program::Builtin(builtin, arguments) => Workload::builtin(builtin, &arguments),
            Program::Command(words) => Workload::command(words),
        };
        workload.environment.clone_from(&self.environment);
        workload.directory.clone_from(&self.workdir);
        linux::warn_if_interpreted();
        let limits = Limits { memory_bytes: self.memory, vcpus: self.vcpus, ..Limits::default() };
        self.linux
            .machine(limits, self.root.clone().map(GuestRoot::Directory), None)?
            .save(&workload, folder)?;
        Ok(())
    }
}

/// Warns in a nest, whose memory is gone when it ends, unless the snapshot is among the files that are
/// copied out.
fn warn_if_lost(folder: &Path) {
    let out = env::var_os(nest::OUT_VARIABLE);
    if out.is_some_and(|out| !folder.starts_with(out)) {
        stderr::remark(&format!(
            "isolab: warning: this snapshot is lost when the nest ends; to keep it, save it with \
             XDG_DATA_HOME={} in a nest with --out\n",
            nest::OUT
        ));
    }
}

impl Restore {
    fn carry_out(&self) -> Result<u8, Failure> {
        let folder = store()?.named(&self.snapshot).map_err(failed)?;
        let relay = Relay::listen(Kind::Linux).map_err(Failure::at("set the signal handlers"))?;
        let state = Snapshot::open(&folder).map_err(failed)?.state;
        let limits = Limits {
            memory_bytes: Some(state.memory.bytes),
            vcpus: state.processors.len().try_into().ok(),
            ..Limits::default()
        };
        let words = state.recipe.command;
        let claim = self.claim(&words)?;
        let mut workload = Workload::command(&words);
        workload.deadline = self.deadline;
        workload.trace = self.trace;
        workload.stdio = if self.json { Stdio::CaptureOutput } else { Stdio::Inherit };
        let (socket, listener) = Ledger::open()?.listen(&claim)?;
        let control = Some(Arc::new(listener));
        let saved = SavedVm { disks: self.disk.clone(), control, ..SavedVm::new(folder) };
        let mut cell = Cell::close(Kind::Linux, &limits, self.trace)?;
        let instance = saved.spawn(&workload)?;
        let passed = relay.pass_to(&*instance, Kind::Linux);
        passed.map_err(Failure::at("start the thread for signals"))?;
        cell.wait_inside()?;
        let outcome = instance.wait();
        drop(socket);
        let mut outcome = outcome?;
        cell.tell(&mut outcome);
        run::remark_machine_end(&outcome);
        if self.trace {
            let page = trace::page(&outcome, Kind::Linux, &workload, Ansi::of_errors());
            stderr::remark(&page);
        }
        if self.json {
            let name = &claim.entry().name;
            output::print_json(&run::as_json(&outcome, Kind::Linux, name, &workload))?;
        }
        Ok(outcome.status.code())
    }

    fn claim(&self, words: &[String]) -> Result<Claim, Failure> {
        let ledger = Ledger::open()?;
        let entry = |name| LedgerEntry::new(name, Kind::Linux.name(), words.to_vec());
        if let Some(name) = &self.name {
            return Ok(ledger.claim(entry(name.clone()))?);
        }
        loop {
            match ledger.claim(entry(names::make_up())) {
                Err(LedgerError::NameInUse { .. }) => {}
                claimed => return Ok(claimed?),
            }
        }
    }
}

fn store() -> Result<SnapshotStore, Failure> {
    SnapshotStore::of_user().map_err(failed)
}

fn failed(error: SnapshotError) -> Failure {
    microvm::Error::from(error).into()
}

fn remove(names: &[String]) -> Result<u8, Failure> {
    let store = store()?;
    names.iter().try_for_each(|name| store.remove(name)).map_err(failed)?;
    Ok(0)
}

fn list(json: bool) -> Result<u8, Failure> {
    let list = store()?.list();
    if json {
        output::print_json(&list.iter().map(as_json).collect())?;
        return Ok(0);
    }
    if list.is_empty() {
        stderr::remark("no snapshots are saved\n  help: `isolab snapshot save NAME -- PROGRAM`\n");
        return Ok(0);
    }
    output::print(&table(&list, Ansi::of_output()))?;
    Ok(0)
}

fn as_json(listed: &Listed) -> serde_json::Value {
    let state = listed.state.as_ref();
    json!({
        "name": listed.name,
        "bytes_on_disk": listed.bytes_on_disk,
        "damage": state.err().map(|error| failure::chain(error)),
        "saved_at": state.ok().map(|state| state.saved_at),
        "command": state.ok().map(|state| &state.recipe.command),
        "memory_bytes": state.ok().map(|state| state.memory.bytes),
        "vcpus": state.ok().map(|state| state.processors.len()),
        "processor": state.ok().map(|state| state.host.to_string()),
    })
}

fn table(list: &[Listed], ansi: Ansi) -> String {
    let longest = list.iter().map(|listed| listed.name.len()).max().unwrap_or(0);
    let width = longest.clamp(4, 24);
    let head =
        format!("{:<width$}  {:>8}  {:>8}  {:>5}  COMMAND", "NAME", "AGE", "ON DISK", "CPUS");
    let mut text = format!("{}\n", ansi.bold(&head));
    for listed in list {
        let name = shortened(&listed.name, width);
        let on_disk = format!("{} MiB", listed.bytes_on_disk.div_ceil(1 << 20));
        let (age, cpus, command) = match &listed.state {
            Ok(state) => {
                let cpus = state.processors.len().to_string();
                (age(state.saved_at), cpus, state.recipe.command.join(" "))
            }
            Err(error) => ("-".into(), "-".into(), failure::chain(error)),
        };
        let rest = shortened(&command, 79 - width - 29);
        text += &format!("{name:<width$}  {age:>8}  {on_disk:>8}  {cpus:>5}  {rest}\n");
    }
    text
}

fn age(saved_at: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(saved_at) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds @ 7200..172_800 => format!("{} h", seconds / 3600),
        seconds => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns_and_says_what_is_damaged() {
        let folder = "/home/somebody/.local/share/isolab/snapshots/base".into();
        let state = Err(SnapshotError::None { folder });
        let list = [Listed { name: "x".repeat(90), bytes_on_disk: 41 << 20, state }];
        let text = table(&list, Ansi::PLAIN);
        assert!(text.lines().all(|line| line.chars().count() < 80), "{text}");
        assert!(text.contains("  41 MiB  ") && text.contains("no snapshot at"), "{text}");
    }

    #[test]
    fn an_age_is_told_in_a_word() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let ages = [5, 600, 10_000, 1_000_000].map(|seconds| age(now - seconds));
        assert_eq!(ages[1..], ["10 min", "2 h", "11 days"]);
        assert!(ages[0].ends_with(" s"));
        assert_eq!(age(u64::MAX), "0 s");
    }
}
