//! `isolab run`: one program, in whatever walls were asked for.

mod attach;
mod debugger;
mod detach;
mod disks;
mod docker;
mod foreign;
mod guest_network;
mod json;
mod limits;
mod metadata;
mod mounts;
mod network;
mod power;
mod walls;

use std::{
    ffi::OsString,
    fs::File,
    io::{IsTerminal as _, Write as _},
    mem,
    os::unix::net::UnixListener,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use clap::{Args, ValueEnum};
pub use json::as_json;
use microvm::{LinuxVm, MicroVm};
use sandbox::{
    Claim, Ledger, LedgerEntry, LedgerError, Native, Outcome, Process, Program, Resource, Sandbox,
    Socket, Stdio, TraceEntry, Workload,
};

use crate::{
    cell::Cell,
    environment, exits,
    failure::Failure,
    kinds::Kind,
    linux::{self, LinuxArguments},
    memory, names, output, program,
    relay::Relay,
    trace, units,
};
use attach::AttachArguments;
use debugger::DebuggerArguments;
use detach::{DetachArguments, Supervised};
use guest_network::{GuestNetwork, OpenWay};
use json::cut_off_as_json;
use limits::{LimitArguments, ResourceArguments};
use metadata::MetadataArguments;
use mounts::MountArguments;
use network::NetworkArguments;
use power::PowerArguments;
use walls::ContainerArguments;

/// Run a program in isolation from the host.
///
/// Without --json, the program uses the standard input and output of this command, and the exit code
/// is the program's: 128 plus the signal number if a signal ended it, 127 if it was not found, 126 if
/// it cannot be executed. 125 means that isolab itself failed, 2 a usage error. A Linux guest that
/// powers off or halts before its program has ended gives 0, one that reboots 129, and one that panics
/// 125; standard error tells which.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Sandbox to run it in
    #[arg(long = "in", value_enum, default_value = "container", value_name = "SANDBOX")]
    kind: Kind,
    /// Name for `isolab ps`, `exec` and `stop` [default: a random name]
    #[arg(long, value_parser = names::given)]
    name: Option<String>,
    /// Print the outcome as one JSON object that includes the program's output. Output that is not UTF-8
    /// is in output_base64 and errors_base64, which are null otherwise
    #[arg(long, conflicts_with = "terminal")]
    json: bool,
    /// Print a trace on standard error afterwards: the system calls that set up the sandbox, or with
    /// `exits` every VM exit and what handled it
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, require_equals = true,
        default_missing_value = "calls")]
    trace: Option<TraceKind>,
    /// Print a summary of VM exits on standard error afterwards
    #[arg(long)]
    stats: bool,
    /// Timeout after which it is killed: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = units::deadline, allow_hyphen_values = true)]
    deadline: Option<Duration>,
    /// Allocate a terminal for it, connected to this one
    #[arg(short = 't', long = "tty")]
    terminal: bool,
    /// Keep standard input open for `isolab attach`, with -d; without -d it always is
    #[arg(short = 'i', long)]
    interactive: bool,
    /// Set an environment variable, or pass on the caller's with NAME alone; may be repeated
    #[arg(short = 'e', long = "env", value_name = "NAME[=VALUE]")]
    environment: Vec<OsString>,
    /// Read environment variables from a file, one per line; may be repeated
    #[arg(long, value_name = "FILE")]
    env_file: Vec<PathBuf>,
    /// Working directory
    #[arg(short = 'w', long, value_name = "DIRECTORY")]
    workdir: Option<PathBuf>,
    /// Command to run; PROGRAM and its words become its arguments
    #[arg(long, value_name = "COMMAND")]
    entrypoint: Option<OsString>,
    /// Write its name to this file, which must not exist yet
    #[arg(long, value_name = "FILE")]
    cidfile: Option<PathBuf>,
    #[command(flatten)]
    attach: AttachArguments,
    #[command(flatten)]
    detach: DetachArguments,
    #[command(flatten)]
    metadata: MetadataArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    network: NetworkArguments,
    #[command(flatten)]
    container: ContainerArguments,
    #[command(flatten)]
    resources: ResourceArguments,
    #[command(flatten)]
    power: PowerArguments,
    #[command(flatten)]
    mounts: MountArguments,
    #[command(flatten)]
    microvm: MicrovmArguments,
    #[command(flatten)]
    debugger: DebuggerArguments,
    #[command(flatten)]
    linux: LinuxArguments,
    #[command(flatten)]
    without_effect: docker::WithoutEffect,
    /// Built-in program and its numbers, a command, or for a microVM a FILE.bin or FILE.elf.
    /// After `--` it is always a command; @NAME is always a built-in program
    #[arg(required_unless_present = "entrypoint", trailing_var_arg = true, value_name = "PROGRAM")]
    words: Vec<OsString>,
    /// Whether `--` stood before those words.
    #[arg(skip)]
    behind_dashes: bool,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Only for microVMs")]
struct MicrovmArguments {
    /// CPU mode in which FILE starts [default: 64-bit ring 0 for .elf, otherwise as a boot sector]
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
}

/// What to trace of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TraceKind {
    /// The system calls that set up the sandbox
    #[value(alias = "story")]
    Calls,
    /// Each VM exit
    Exits,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Mode {
    /// 16-bit real mode at 0x7c00
    Real16,
    /// 64-bit ring 0
    Long64,
    /// 64-bit ring 3
    User64,
}

/// The built-in programs and examples, for the end of the help.
pub fn after_help() -> String {
    format!(
        "Built-in programs (a command of the same name is written behind --):\n{}\n\
         Examples:\n  \
         isolab run -- /bin/sh -c 'echo $$; hostname'\n  \
         isolab run -t --name box --memory 64M -- /bin/sh\n  \
         isolab run --in microvm --trace hello\n",
        program::builtins()
    )
}

impl Arguments {
    /// Takes note of whether `--` stood before the program, which the parser does not keep. The
    /// program's words are the last of the command line, as they are.
    pub fn note_dashes(&mut self, line: &[OsString]) {
        let before = line.len().checked_sub(self.words.len() + 1);
        self.behind_dashes = before.is_some_and(|at| line[at] == "--");
    }
}

/// The words of a command line, with `--trace exits` in the one way in which an option may be left
/// without its value. A program called exits is said with its path.
pub fn spell(words: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut spelt: Vec<OsString> = Vec::new();
    for word in words {
        match spelt.last_mut() {
            Some(last) if last == "--trace" && word == "exits" => *last = "--trace=exits".into(),
            _ => spelt.push(word),
        }
    }
    spelt
}

/// Of an option that only `docker run` has, why.
pub fn refused_option(option: &str) -> Option<Failure> {
    let refused = Failure::usage(format!("isolab run does not take {option}"));
    docker::reason(option).map(|reason| refused.help(reason))
}

/// Runs it and gives its exit code.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let name = arguments.name.as_deref();
    if arguments.detach.in_background() {
        return detach::start(name, arguments.terminal, arguments.interactive);
    }
    let supervised = arguments.detach.supervised(name, arguments.terminal)?;
    let workload = arguments.workload()?;
    arguments.attach.leave_others()?;
    let kind = arguments.kind;
    // From here on a signal is the workload's, even if there is none yet.
    let relay = Relay::listen(kind).map_err(Failure::at("set the signal handlers"))?;
    let (sandbox, claim) = arguments.sandbox(&workload, supervised.as_ref())?;
    arguments.write_cidfile(&claim.name)?;
    let mut cell = Cell::close(kind, &arguments.limits.limits(), workload.trace)?;
    let instance =
        sandbox.spawn(&workload).map_err(|error| program::not_started(error, &workload))?;
    // Dropped from the last to the first, if it comes to that.
    let Named { own: mut claim, way, way_entries, socket, name } = claim;
    if let (Some(claim), Some(pid)) = (&mut claim, instance.processes().first()) {
        claim.update(|entry| entry.first = Process::of(*pid))?;
    }
    supervised.as_ref().map(Supervised::report_started).transpose()?;
    let relay = relay.with_terminal(arguments.terminal);
    let relay = relay.with_process_1(kind == Kind::Container && !arguments.container.init);
    relay.pass_to(&*instance, kind).map_err(Failure::at("start the thread for signals"))?;
    cell.wait_inside()?;
    let outcome = instance.wait();
    drop(socket);
    match way.is_none_or(OpenWay::close) {
        true => drop(claim),
        // The entry must outlive this, or nobody would find the rules again.
        false => mem::forget(claim),
    }
    if let (Err(error), true) = (&outcome, arguments.json) {
        output::print_json(&cut_off_as_json(error, kind, &name, &workload))?;
    }
    let mut outcome = outcome.map_err(|error| program::not_started(error, &workload))?;
    outcome.trace.entries.splice(0..0, way_entries);
    cell.tell(&mut outcome);
    remark_machine_end(&outcome);
    memory::remark(&outcome);
    let ink = output::Ink::of_errors();
    match arguments.trace {
        Some(TraceKind::Calls) => output::remark(&trace::page(&outcome, kind, &workload, ink)),
        Some(TraceKind::Exits) => output::remark(&exits::list(&outcome, ink)),
        None => {}
    }
    if arguments.stats {
        output::remark(&exits::sums(&outcome, ink));
    }
    if arguments.json {
        output::print_json(&as_json(&outcome, kind, &name, &workload))?;
    }
    Ok(outcome.status.code())
}

/// Says how a guest ended its machine, for the program did not get to its own end.
pub fn remark_machine_end(outcome: &Outcome) {
    if let Some(end) = outcome.machine_end {
        output::remark(&format!("isolab: {end}\n"));
    }
}

/// The name of a run, and its entry in the ledger where the sandbox does not write its own.
struct Named {
    name: String,
    // Dropped in this order: nobody listens at a name that is free again.
    socket: Option<Socket>,
    way: Option<OpenWay>,
    /// How that was opened, for whoever wants to know.
    way_entries: Vec<TraceEntry>,
    own: Option<Claim>,
}

impl Named {
    fn new(name: String) -> Self {
        Self { name, socket: None, way: None, way_entries: Vec::new(), own: None }
    }

    fn of(claim: Claim) -> Self {
        let name = claim.entry().name.clone();
        Self { own: Some(claim), ..Self::new(name) }
    }

    /// Where others can ask.
    fn listen(&mut self) -> Result<Option<Arc<UnixListener>>, Failure> {
        let Some(claim) = &self.own else { return Ok(None) };
        let (socket, listener) = Ledger::open()?.listen(claim)?;
        self.socket = Some(socket);
        Ok(Some(Arc::new(listener)))
    }
}

impl Arguments {
    fn workload(&self) -> Result<Workload, Failure> {
        let program = self.program()?;
        if self.terminal && !std::io::stdin().is_terminal() {
            return Err(Failure::usage("--tty needs a terminal, but standard input is not one")
                .help("omit -t when input comes from a file or a pipe"));
        }
        if self.terminal && !matches!(self.kind, Kind::Container | Kind::Linux) {
            return Err(Failure::usage(
                "only a container or a Linux guest can have a terminal of its own",
            )
            .help("omit -t, or use --in container or --in linux"));
        }
        self.refuse_foreign_options()?;
        let stdio = match (self.terminal, self.json) {
            (true, _) => Stdio::Terminal,
            (false, true) => Stdio::CaptureOutput,
            (false, false) => Stdio::Inherit,
        };
        let mut workload = match program {
            Program::Builtin(builtin, arguments) => Workload::builtin(builtin, &arguments),
            Program::Command(words) => Workload::command(words),
        };
        workload.environment = environment::variables(&self.environment, &self.env_file)?;
        workload.directory.clone_from(&self.workdir);
        workload.deadline = self.deadline;
        workload.every_exit = self.stats || self.trace == Some(TraceKind::Exits);
        workload.trace = self.trace.is_some() || workload.every_exit;
        Ok(workload.stdio(stdio))
    }

    fn program(&self) -> Result<Program, Failure> {
        match &self.entrypoint {
            Some(command) => {
                let words = std::iter::once(command).chain(&self.words);
                Ok(Program::Command(words.cloned().collect()))
            }
            None => program::program(&self.words, self.behind_dashes),
        }
    }

    /// Writes `name` down where a script asked for it.
    fn write_cidfile(&self, name: &str) -> Result<(), Failure> {
        let Some(path) = &self.cidfile else { return Ok(()) };
        let written = File::create_new(path).and_then(|mut file| file.write_all(name.as_bytes()));
        written
            .map_err(Failure::at(format!("write the name into {path:?}")))
            .map_err(|failure| failure.help("it must not exist: it may name another container"))
    }

    fn sandbox(
        &self,
        workload: &Workload,
        supervised: Option<&Supervised>,
    ) -> Result<(Box<dyn Sandbox>, Named), Failure> {
        let limits = self.limits.limits();
        match self.kind {
            Kind::Process => {
                let native = Native::with(&limits)?;
                Ok((Box::new(native), self.claim(workload, supervised, &[])?))
            }
            Kind::Microvm => {
                let mode = match self.microvm.mode {
                    None => microvm::Mode::Auto,
                    Some(Mode::Real16) => microvm::Mode::Real16,
                    Some(Mode::Long64) => microvm::Mode::Long64,
                    Some(Mode::User64) => microvm::Mode::User64,
                };
                let named = self.claim(workload, supervised, &[])?;
                let debugger = self.debugger.listen()?;
                Ok((Box::new(MicroVm { limits, mode, debugger, ..MicroVm::default() }), named))
            }
            Kind::Linux => {
                let network = GuestNetwork::plan(&self.network, &self.linux)?;
                linux::warn_if_interpreted();
                let root = self.container.root.as_ref();
                let shares = self.mounts.shares()?;
                let machine = self.linux.machine(limits, root, network.link())?;
                let machine = network.name(machine, &self.network)?;
                let mut named = self.claim(workload, supervised, &network.resources())?;
                (named.way, named.way_entries) = network.open_the_way(workload.trace)?;
                let (control, debugger) = (named.listen()?, self.debugger.listen()?);
                Ok((Box::new(LinuxVm { control, debugger, shares, ..machine }), named))
            }
            Kind::Container => {
                // The container writes its own entry, with its cgroup and its links in it.
                let name = self.name.clone().unwrap_or_else(names::make_up);
                let mut container =
                    self.container.container(name.clone(), limits, self.limits.pids)?;
                container.spec.budget.resources = self.resources.resources();
                self.power.apply(&mut container.spec)?;
                self.mounts.apply(&mut container.spec)?;
                self.network.apply(&mut container)?;
                container.detached = supervised.map(|supervised| supervised.record.clone());
                container.metadata = self.metadata.metadata()?;
                Ok((Box::new(container), Named::new(name)))
            }
        }
    }

    /// Writes the run down, under a name of its own choice if none was given.
    fn claim(
        &self,
        workload: &Workload,
        supervised: Option<&Supervised>,
        resources: &[Resource],
    ) -> Result<Named, Failure> {
        let ledger = Ledger::open()?;
        let metadata = self.metadata.metadata()?;
        let entry = |name| LedgerEntry {
            detached: supervised.map(|supervised| supervised.record.clone()),
            metadata: metadata.clone(),
            resources: resources.to_vec(),
            ..LedgerEntry::new(name, self.kind.name(), workload.words())
        };
        if let Some(name) = &self.name {
            return Ok(Named::of(ledger.claim(entry(name.clone()))?));
        }
        loop {
            let name = names::make_up();
            match ledger.claim(entry(name.clone())) {
                Err(LedgerError::NameInUse { .. }) => {}
                claimed => return Ok(Named::of(claimed?)),
            }
        }
    }
}
