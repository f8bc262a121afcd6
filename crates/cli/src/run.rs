//! `isolab run`: one program, in whatever walls were asked for.

use std::{ffi::OsString, io::IsTerminal as _, path::PathBuf, time::Duration};

use clap::{Args, ValueEnum};
use container::{Container, Namespaces, Network, Root, Upper};
use microvm::MicroVm;
use sandbox::{
    Claim, CpuQuota, Entry, Ledger, LedgerError, Limits, Native, Outcome, Process, Program,
    Sandbox, Status, Stdio, Workload,
};
use serde_json::json;

use crate::{
    base64,
    cell::Cell,
    exits,
    failure::{self, Failure},
    kinds::Kind,
    linux::{self, LinuxArguments},
    names, output, program,
    relay::Relay,
    trace,
    units::{self, Pids},
};

/// Run a program apart from the host.
///
/// Without --json the program has this command's input and output, and the exit code is the
/// program's: 128 and the signal's number if a signal ended it, 127 if it was not found, 126 if it
/// cannot be run. 125 says that isolab itself failed, 2 that it was called wrongly. A Linux guest
/// that powers off or halts before its program has ended gives 0, one that restarts 129, and a kernel
/// that panics 125; what happened is said on standard error.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What to run it in
    #[arg(long = "in", value_enum, default_value = "container", value_name = "SANDBOX")]
    kind: Kind,
    /// Name for `isolab ps`, `exec` and `stop` [default: one is made up]
    #[arg(long)]
    name: Option<String>,
    /// Print the outcome as one JSON object, the program's output in it. Output that is not UTF-8 is
    /// byte for byte in output_base64 and errors_base64, which are null otherwise
    #[arg(long, conflicts_with = "terminal")]
    json: bool,
    /// Tell on standard error afterwards which calls answered which question; with `exits`, each
    /// trip of a virtual machine to the host, and who answered it
    #[arg(long, value_enum, value_name = "WHAT", num_args = 0..=1, require_equals = true,
        default_missing_value = "story")]
    trace: Option<Trace>,
    /// Sum the trips of a virtual machine to the host, on standard error afterwards
    #[arg(long)]
    stats: bool,
    /// Kill it after so long: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = units::deadline, allow_hyphen_values = true)]
    deadline: Option<Duration>,
    /// Give it a terminal of its own, connected to this one
    #[arg(short = 't', long = "tty")]
    terminal: bool,
    /// Add a variable to its environment; may be repeated
    #[arg(long = "env", value_name = "NAME=VALUE", value_parser = units::variable)]
    environment: Vec<(OsString, OsString)>,
    /// Its working directory
    #[arg(long, value_name = "DIRECTORY")]
    workdir: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    container: ContainerArguments,
    #[command(flatten)]
    microvm: MicrovmArguments,
    #[command(flatten)]
    linux: LinuxArguments,
    /// A built-in program with its numbers, a command, or for a microVM a FILE.bin or FILE.elf
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "PROGRAM"
    )]
    words: Vec<OsString>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "What it may consume")]
struct LimitArguments {
    /// Memory, swap included, such as 64M or 1G; for a microVM the size of its RAM
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true)]
    memory: Option<u64>,
    /// CPUs, such as 0.5
    #[arg(long, value_name = "NUMBER", value_parser = units::cpus, allow_hyphen_values = true)]
    cpus: Option<CpuQuota>,
    /// Share of a contended CPU, 1 to 10000; 100 is the usual one
    #[arg(long, value_name = "WEIGHT", value_parser = units::weight, allow_hyphen_values = true)]
    cpu_weight: Option<u32>,
    /// Processes and threads; `max` is as many as the host has [default for a container: 4096 where
    /// this host lets the caller limit them]
    #[arg(long, value_name = "NUMBER", value_parser = units::pids, allow_hyphen_values = true)]
    pids: Option<Pids>,
    /// Virtual CPUs of a microVM
    #[arg(long, value_name = "NUMBER", value_parser = units::count, allow_hyphen_values = true)]
    vcpus: Option<u32>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Only for containers, and the first two for Linux guests")]
struct ContainerArguments {
    /// This directory is its root. What a container writes there stays; a Linux guest has a copy
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "overlay")]
    root: Option<PathBuf>,
    /// What it sees of the network
    #[arg(long, value_enum, value_name = "NETWORK", conflicts_with = "tap")]
    net: Option<Net>,
    /// Its root is these directories on top of each other, the first uppermost
    /// [default: the host's /]; what it writes is gone afterwards
    #[arg(long, value_name = "LOWER[:LOWER...]")]
    overlay: Option<OsString>,
    /// Keep what it writes in this directory
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "root")]
    upper: Option<PathBuf>,
    /// How much it may write where what it writes is gone afterwards
    /// [default: a quarter of the host's memory]
    #[arg(long, value_name = "SIZE", value_parser = units::size, allow_hyphen_values = true,
        conflicts_with_all = ["root", "upper"])]
    upper_size: Option<u64>,
    /// Leave out these namespaces
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST")]
    no_ns: Vec<Namespace>,
    /// Make a command the first process itself, with no init to bury orphans and pass signals on.
    #[arg(long)]
    no_init: bool,
    /// Use just these namespaces
    #[arg(long, value_enum, value_delimiter = ',', value_name = "LIST", conflicts_with = "no_ns")]
    namespaces: Vec<Namespace>,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Only for microVMs")]
struct MicrovmArguments {
    /// How a FILE begins [default: an .elf in 64-bit ring 0, any other as a boot sector]
    #[arg(long, value_enum, value_name = "MODE")]
    mode: Option<Mode>,
}

/// What to tell of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Trace {
    /// Which calls answered which question
    Story,
    /// Each trip to the host
    Exits,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Net {
    /// A loop-back link only
    None,
    /// The host's own
    Host,
    /// A pair of links to the host
    Veth,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Namespace {
    Mount,
    Uts,
    Ipc,
    Pid,
    Net,
    User,
    Cgroup,
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
        "Built-in programs (a command of the same name is said with its path, ./hello):\n{}\n\
         Examples:\n  \
         isolab run -- /bin/sh -c 'echo $$; hostname'\n  \
         isolab run -t --name box --memory 64M -- /bin/sh\n  \
         isolab run --in microvm --trace hello\n",
        program::builtins()
    )
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

/// Runs it and gives its exit code.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    let workload = arguments.workload()?;
    let kind = arguments.kind;
    // From here on a signal is the workload's, even if there is none yet.
    let relay = Relay::listen().map_err(Failure::at("set the signal handlers"))?;
    let (sandbox, claim) = arguments.sandbox(&workload)?;
    let mut cell = Cell::close(kind, &arguments.limits.limits(), workload.trace)?;
    let instance = sandbox.spawn(&workload)?;
    let name = claim.name;
    let mut claim = claim.own;
    if let (Some(claim), Some(pid)) = (&mut claim, instance.processes().first()) {
        claim.update(|entry| entry.first = Process::of(*pid))?;
    }
    relay.pass_to(&*instance, kind).map_err(Failure::at("start the thread for signals"))?;
    cell.wait_inside()?;
    let outcome = instance.wait();
    drop(claim);
    if let (Err(error), true) = (&outcome, arguments.json) {
        output::print_json(&cut_off_as_json(error, kind, &name, &workload))?;
    }
    let mut outcome = outcome?;
    cell.tell(&mut outcome);
    remark_machine_end(&outcome);
    let ink = output::Ink::of_errors();
    match arguments.trace {
        Some(Trace::Story) => output::remark(&trace::page(&outcome, kind, &workload, ink)),
        Some(Trace::Exits) => output::remark(&exits::list(&outcome, ink)),
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
    own: Option<Claim>,
}

impl Arguments {
    fn workload(&self) -> Result<Workload, Failure> {
        let program = program::program(&self.words)?;
        if self.terminal && !std::io::stdin().is_terminal() {
            return Err(Failure::usage("--tty needs a terminal, and standard input is none")
                .help("leave -t out when input comes from a file or a pipe"));
        }
        if self.terminal && !matches!(self.kind, Kind::Container | Kind::Linux) {
            return Err(Failure::usage(
                "only a container or a Linux guest has a terminal of its own",
            )
            .help("leave -t out, or use --in container or --in linux"));
        }
        self.refuse_foreign_options()?;
        let stdio = match (self.terminal, self.json) {
            (true, _) => Stdio::Terminal,
            (false, true) => Stdio::Capture,
            (false, false) => Stdio::Inherit,
        };
        let mut workload = match program {
            Program::Builtin(builtin, arguments) => Workload::builtin(builtin, &arguments),
            Program::Command(words) => Workload::command(words),
        };
        workload.environment.clone_from(&self.environment);
        workload.directory.clone_from(&self.workdir);
        workload.deadline = self.deadline;
        workload.every_crossing = self.stats || self.trace == Some(Trace::Exits);
        workload.trace = self.trace.is_some() || workload.every_crossing;
        Ok(workload.stdio(stdio))
    }

    /// Whether what it runs in leaves for the host in a way that can be counted.
    fn has_exits(&self) -> bool {
        matches!(self.kind, Kind::Microvm | Kind::Linux)
    }

    /// An option that would do nothing is a mistake worth telling.
    fn refuse_foreign_options(&self) -> Result<(), Failure> {
        let root = [("--root", self.container.root.is_some())];
        let net = [("--net", self.container.net.is_some())];
        let of_containers = [
            ("--overlay", self.container.overlay.is_some()),
            ("--upper", self.container.upper.is_some()),
            ("--upper-size", self.container.upper_size.is_some()),
            ("--no-ns", !self.container.no_ns.is_empty()),
            ("--no-init", self.container.no_init),
            ("--namespaces", !self.container.namespaces.is_empty()),
        ];
        let of_systems =
            [("--env", !self.environment.is_empty()), ("--workdir", self.workdir.is_some())];
        let of_microvms = [("--mode", self.microvm.mode.is_some())];
        type Options<'a> = &'a [(&'static str, bool)];
        let given = |owner: &'static str, options: Options<'_>| {
            options.iter().find(|(_, given)| *given).map(|(option, _)| (*option, owner))
        };
        let for_container = || given("a container", &of_containers);
        let for_either = || given("a container or a Linux guest", &[root, net].concat());
        let of_machines =
            [("--stats", self.stats), ("--trace=exits", self.trace == Some(Trace::Exits))];
        let for_machine =
            || given("a microvm or a Linux guest", &of_machines).filter(|_| !self.has_exits());
        let for_microvm = || given("a microvm", &of_microvms);
        let for_linux = || self.linux.given().map(|option| (option, "a Linux guest"));
        let foreign = match self.kind {
            Kind::Container => for_microvm().or_else(for_linux),
            Kind::Linux => for_container().or_else(for_microvm),
            Kind::Microvm => for_container()
                .or_else(for_either)
                .or_else(for_linux)
                .or_else(|| given("a container", &of_systems)),
            Kind::Process => {
                for_container().or_else(for_either).or_else(for_linux).or_else(for_microvm)
            }
        };
        match foreign.or_else(for_machine) {
            Some((option, owner)) => {
                let kind = self.kind.name();
                let message = format!("{option} means nothing to a {kind}: it is for {owner}");
                Err(Failure::usage(message))
            }
            None => Ok(()),
        }
    }

    fn sandbox(&self, workload: &Workload) -> Result<(Box<dyn Sandbox>, Named), Failure> {
        let limits = self.limits.limits();
        match self.kind {
            Kind::Process => {
                let native = Native::with(&limits)?;
                Ok((Box::new(native), self.claim(workload)?))
            }
            Kind::Microvm => {
                let mode = match self.microvm.mode {
                    None => microvm::Mode::Auto,
                    Some(Mode::Real16) => microvm::Mode::Real16,
                    Some(Mode::Long64) => microvm::Mode::Long64,
                    Some(Mode::User64) => microvm::Mode::User64,
                };
                let machine = MicroVm { limits, mode, ..MicroVm::default() };
                Ok((Box::new(machine), self.claim(workload)?))
            }
            Kind::Linux => {
                let veth = match self.container.net {
                    None | Some(Net::None) => false,
                    Some(Net::Veth) => true,
                    Some(Net::Host) => {
                        return Err(Failure::usage("a Linux guest cannot have the host's network")
                            .help("use --net veth, or --tap with a link of the host's"));
                    }
                };
                linux::warn_if_interpreted();
                let root = self.container.root.as_ref();
                let machine = self.linux.machine(limits, root, veth)?;
                Ok((Box::new(machine), self.claim(workload)?))
            }
            Kind::Container => {
                // The container writes its own entry, with its cgroup and its links in it.
                let name = self.name.clone().unwrap_or_else(names::make_up);
                let container = self.container.container(name.clone(), limits, self.limits.pids)?;
                Ok((Box::new(container), Named { name, own: None }))
            }
        }
    }

    /// Writes the run down, under a name of its own choice if none was given.
    fn claim(&self, workload: &Workload) -> Result<Named, Failure> {
        let ledger = Ledger::open()?;
        let entry = |name| Entry::new(name, self.kind.name(), workload.words());
        if let Some(name) = &self.name {
            let own = Some(ledger.claim(entry(name.clone()))?);
            return Ok(Named { name: name.clone(), own });
        }
        loop {
            let name = names::make_up();
            match ledger.claim(entry(name.clone())) {
                Err(LedgerError::NameInUse { .. }) => {}
                claimed => return Ok(Named { name, own: Some(claimed?) }),
            }
        }
    }
}

impl LimitArguments {
    fn limits(&self) -> Limits {
        Limits {
            memory_bytes: self.memory,
            cpu_quota: self.cpus,
            cpu_weight: self.cpu_weight,
            pids: match self.pids {
                Some(Pids::AtMost(number)) => Some(number),
                Some(Pids::Unlimited) | None => None,
            },
            vcpus: self.vcpus,
        }
    }
}

impl ContainerArguments {
    fn container(
        &self,
        name: String,
        limits: Limits,
        pids: Option<Pids>,
    ) -> Result<Container, Failure> {
        let network = match self.net {
            None | Some(Net::None) => Network::None,
            Some(Net::Host) => Network::Host,
            Some(Net::Veth) => Network::Veth,
        };
        let mut container = Container::default()
            .named(name)
            .limits(limits)
            .root(self.root()?)
            .namespaces(self.namespaces())
            .network(network)
            .init(!self.no_init);
        container.spec.inside.upper_bytes = self.upper_size;
        if pids == Some(Pids::Unlimited) {
            container.spec.budget.usual_pids = None;
        }
        Ok(container)
    }

    fn root(&self) -> Result<Root, Failure> {
        if let Some(directory) = &self.root {
            return Ok(Root::Directory(directory.clone()));
        }
        if self.overlay.is_none() && self.upper.is_none() {
            return Ok(Root::Host);
        }
        let lowers: Vec<PathBuf> = match &self.overlay {
            Some(list) => std::env::split_paths(list).collect(),
            None => vec!["/".into()],
        };
        if lowers.iter().any(|lower| lower.as_os_str().is_empty()) {
            return Err(Failure::usage("--overlay has an empty directory name in its list"));
        }
        let upper = self.upper.clone().map_or(Upper::ThrowAway, Upper::Kept);
        Ok(Root::Overlay { lowers, upper })
    }

    fn namespaces(&self) -> Namespaces {
        let usual = Namespaces::default();
        let is_on = |namespace, usual: container::Namespace| {
            container::Namespace::new_if(match self.namespaces.as_slice() {
                [] => usual.is_new() && !self.no_ns.contains(&namespace),
                just => just.contains(&namespace),
            })
        };
        Namespaces {
            mount: is_on(Namespace::Mount, usual.mount),
            uts: is_on(Namespace::Uts, usual.uts),
            ipc: is_on(Namespace::Ipc, usual.ipc),
            pid: is_on(Namespace::Pid, usual.pid),
            net: is_on(Namespace::Net, usual.net),
            user: is_on(Namespace::User, usual.user),
            cgroup: is_on(Namespace::Cgroup, usual.cgroup),
        }
    }
}

/// The outcome of a workload that was cut off: why, and what it had written. Without --json that
/// went out as it was written.
fn cut_off_as_json(
    error: &sandbox::Error,
    kind: Kind,
    name: &str,
    workload: &Workload,
) -> serde_json::Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let written = error.written().cloned().unwrap_or_default();
    json!({
        "sandbox": kind.name(),
        "name": name,
        "command": workload.words(),
        "error": failure::chain(error),
        "output": text(&written.output),
        "output_base64": base64::unless_text(&written.output),
        "errors": text(&written.errors),
        "errors_base64": base64::unless_text(&written.errors),
    })
}

/// The outcome of a workload.
pub fn as_json(
    outcome: &Outcome,
    kind: Kind,
    name: &str,
    workload: &Workload,
) -> serde_json::Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let microseconds = |time: Duration| time.as_nanos() as f64 / 1000.0;
    let milestones: serde_json::Map<String, serde_json::Value> = sandbox::Milestone::ALL
        .iter()
        .map(|&milestone| {
            let reached = outcome.timeline.since_start(milestone).map(microseconds);
            (milestone.name().to_owned(), json!(reached))
        })
        .collect();
    let steps: Vec<_> = outcome
        .story
        .steps
        .iter()
        .map(|step| {
            let began = step.began.saturating_sub(outcome.timeline.started_at());
            json!({
                "question": step.question,
                "call": step.call,
                "began_us": microseconds(began),
                "took_us": microseconds(step.took),
            })
        })
        .collect();
    let (code, signal) = match outcome.status {
        Status::Exited(code) => (Some(code), None),
        Status::Signaled(signal) => (None, Some(signal)),
    };
    json!({
        "sandbox": kind.name(),
        "name": name,
        "command": workload.words(),
        "status": { "code": code, "signal": signal },
        "machine_end": outcome.machine_end,
        "output": text(&outcome.output),
        "output_base64": base64::unless_text(&outcome.output),
        "errors": text(&outcome.errors),
        "errors_base64": base64::unless_text(&outcome.errors),
        "milestones_us": milestones,
        "usage": {
            "cpu_us": outcome.usage.cpu_time.map(microseconds),
            "peak_memory_bytes": outcome.usage.peak_memory_bytes,
            "crossings": outcome.usage.crossings,
            "crossings_in_kernel": outcome.usage.crossings_in_kernel,
        },
        "report": outcome.report,
        "story": steps,
    })
}
