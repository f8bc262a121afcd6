//! `isolab run`: one program, in whatever walls were asked for.

mod applies;
mod arguments;
mod attach;
mod claim;
mod debugger;
mod detach;
mod disks;
mod docker;
mod guest_network;
mod image;
mod json;
mod limits;
mod metadata;
mod mounts;
mod network;
mod power;
mod walls;

use std::{io::IsTerminal as _, mem};

use container::Root;
use microvm::{
    LinuxVm, MicroVm,
    linux::{GuestRoot, GuestUser},
};
use sandbox::{Native, Outcome, Process, Program, Sandbox, Stdio, Workload};

pub use arguments::{Arguments, after_help, spell};
pub use json::as_json;

use crate::{
    ansi, cell::Cell, environment, exits, failure::Failure, kinds::Kind, linux, memory, names,
    output, program, relay::Relay, stderr, trace,
};
use arguments::{Mode, TraceKind};
use claim::Named;
use detach::Supervised;
use guest_network::{GuestNetwork, OpenWay};
use image::RunImage;
use json::cut_off_as_json;

/// Of an option that only `docker run` has, why.
pub fn refused_option(option: &str) -> Option<Failure> {
    let refused = Failure::usage(format!("isolab run does not take {option}"));
    docker::reason(option).map(|reason| refused.help(reason))
}

/// Runs it and gives its exit code.
pub fn run(arguments: &Arguments) -> Result<u8, Failure> {
    if arguments.image.image.is_some() {
        // Before anything is fetched for it.
        arguments.refuse_options_that_do_not_apply()?;
    }
    let name = arguments.name.as_deref();
    if arguments.detach.in_background() {
        // Fetched while somebody watches.
        arguments.image.prepare(false)?;
        return detach::start(name, arguments.terminal, arguments.interactive);
    }
    let supervised = arguments.detach.supervised(name, arguments.terminal)?;
    let image = arguments.image.prepare(supervised.is_some())?;
    let workload = arguments.workload(image.as_ref())?;
    arguments.attach.leave_others()?;
    let kind = arguments.kind;
    // From here on a signal is the workload's, even if there is none yet.
    let relay = Relay::listen(kind).map_err(Failure::at("set the signal handlers"))?;
    let (sandbox, claim) = arguments.sandbox(&workload, supervised.as_ref(), image.as_ref())?;
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
    let ansi = ansi::Ansi::of_errors();
    match arguments.trace {
        Some(TraceKind::Calls) => stderr::remark(&trace::page(&outcome, kind, &workload, ansi)),
        Some(TraceKind::Exits) => stderr::remark(&exits::list(&outcome, ansi)),
        None => {}
    }
    if arguments.stats {
        stderr::remark(&exits::sums(&outcome, ansi));
    }
    if arguments.json {
        output::print_json(&as_json(&outcome, kind, &name, &workload))?;
    }
    Ok(outcome.status.code())
}

/// Says how a guest ended its machine, for the program did not get to its own end.
pub fn remark_machine_end(outcome: &Outcome) {
    if let Some(end) = outcome.machine_end {
        stderr::remark(&format!("isolab: {end}\n"));
    }
}

impl Arguments {
    fn workload(&self, image: Option<&RunImage>) -> Result<Workload, Failure> {
        let program = self.program(image)?;
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
        self.refuse_options_that_do_not_apply()?;
        let stdio = match (self.terminal, self.json) {
            (true, _) => Stdio::Terminal,
            (false, true) => Stdio::CaptureOutput,
            (false, false) => Stdio::Inherit,
        };
        let mut workload = match program {
            Program::Builtin(builtin, arguments) => Workload::builtin(builtin, &arguments),
            Program::Command(words) => Workload::command(words),
        };
        let given = environment::variables(&self.environment, &self.env_file)?;
        workload.environment = image.map(RunImage::environment).unwrap_or_default();
        sandbox::environment::add(&mut workload.environment, &given);
        workload.directory = self.workdir.clone().or_else(|| image?.directory());
        workload.deadline = self.deadline;
        workload.every_exit = self.stats || self.trace == Some(TraceKind::Exits);
        workload.trace = self.trace.is_some() || workload.every_exit;
        Ok(workload.stdio(stdio))
    }

    fn guest_root_and_user(
        &self,
        image: Option<&RunImage>,
    ) -> Result<(Option<GuestRoot>, GuestUser), Failure> {
        let (root, files) = match (image, &self.container.root) {
            (Some(image), _) => {
                (Some(GuestRoot::Layers(image.lowers.clone())), self.container.over(&image.lowers))
            }
            (None, Some(path)) => {
                (Some(GuestRoot::Directory(path.clone())), Root::Directory(path.clone()))
            }
            (None, None) => (None, Root::Empty),
        };
        let found = self.power.find_user(&files, image.and_then(RunImage::user))?;
        let user = found.map(|found| found.user).unwrap_or_default();
        let groups = user.additional_gids;
        Ok((root, GuestUser { uid: user.uid, gid: user.gid, groups }))
    }

    fn program(&self, image: Option<&RunImage>) -> Result<Program, Failure> {
        let is_builtin = self.words.first().is_some_and(|word| program::is_builtin(word));
        if let Some(image) = image.filter(|_| !is_builtin) {
            return image.program(&self.words, self.entrypoint.as_deref());
        }
        match &self.entrypoint {
            Some(command) => {
                let words = std::iter::once(command).chain(&self.words);
                Ok(Program::Command(words.cloned().collect()))
            }
            None => program::program(&self.words, self.behind_dashes),
        }
    }

    fn sandbox(
        &self,
        workload: &Workload,
        supervised: Option<&Supervised>,
        image: Option<&RunImage>,
    ) -> Result<(Box<dyn Sandbox>, Named), Failure> {
        let limits = self.limits.limits();
        match self.kind {
            Kind::Process => {
                let native = Native::with(&limits)?;
                Ok((Box::new(native), self.claim(workload, supervised, &[], None)?))
            }
            Kind::Microvm => {
                let mode = match self.microvm.mode {
                    None => microvm::Mode::Auto,
                    Some(Mode::Real16) => microvm::Mode::Real16,
                    Some(Mode::Long64) => microvm::Mode::Long64,
                    Some(Mode::User64) => microvm::Mode::User64,
                };
                let named = self.claim(workload, supervised, &[], None)?;
                let debugger = self.debugger.listen()?;
                Ok((Box::new(MicroVm { limits, mode, debugger, ..MicroVm::default() }), named))
            }
            Kind::Linux => {
                let network = GuestNetwork::plan(&self.network, &self.linux)?;
                linux::warn_if_interpreted();
                let (root, user) = self.guest_root_and_user(image)?;
                let shares = self.mounts.shares()?;
                let machine = self.linux.machine(limits, root, network.link())?;
                let machine = LinuxVm { user, ..network.name(machine, &self.network)? };
                let mut named = self.claim(workload, supervised, &network.resources(), image)?;
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
                if let Some(image) = image {
                    container.spec.inside.root = self.container.over(&image.lowers);
                }
                self.power.apply(&mut container.spec, image.and_then(RunImage::user))?;
                self.mounts.apply(&mut container.spec)?;
                if let Some(image) = image {
                    image.add_volumes(&mut container.spec);
                }
                self.network.apply(&mut container)?;
                container.detached = supervised.map(|supervised| supervised.record.clone());
                container.metadata = self.metadata.metadata(image.map(RunImage::execution))?;
                Ok((Box::new(container), Named::new(name)))
            }
        }
    }
}
