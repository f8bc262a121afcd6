//! A process in its own namespaces, cgroup and root, in code that can be read in class.
//!
//! | | Question | here | in the microVM |
//! |---|---|---|---|
//! | 1 | What separates it from the host? | [`namespaces`] | `microvm::machine` |
//! | 2 | What may it consume? | [`cgroup`] | `microvm::memory` |
//! | 3 | What does it find inside? | [`rootfs`] | `microvm::loader` |
//! | 4 | With what power does it start? | [`privileges`] | `microvm::vcpu` |
//! | 5 | How does it reach the host? | [`process`] and [`network`] | `microvm::exits` and `microvm::devices` |
//!
//! `Container::start` tells the whole story. What the child does between `clone3` and `execve` is
//! written down as a list of system calls first, in [`plan`].
#![warn(missing_docs)]

pub mod cgroup;
mod cgroup_layout;
mod cgroup_stat;
mod clean;
mod error;
mod exec;
mod host;
pub mod layer;
pub mod mounts;
pub mod namespaces;
pub mod netlink;
pub mod network;
pub mod overlay;
pub mod plan;
pub mod privileges;
pub mod process;
mod program;
pub mod rootfs;
mod running;
pub mod scheduling;
mod scratch;
pub mod seccomp;
mod sys;
mod terminal;
mod thrift;

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

use nix::unistd::Uid;
use sandbox::{
    Claim, Entry, Instance, Ledger, Limits, Mailbox, Milestone, Process, Program, Question,
    Resource, Sandbox, Story, Timeline, Workload,
};

pub use cgroup_stat::{CpuStat, CpuStatFile};
pub use clean::{clean, clean_those, remove_tree};
pub use error::Error;
pub use exec::{all_running, exec, find};
pub use host::{CgroupLayout, ControllerFacts, HostFacts, available, host};
pub use namespaces::Namespaces;
pub use network::Network;
pub use rootfs::{Root, Upper};
pub use scratch::Scratch;
pub use thrift::give_back_code;

use cgroup::{Cgroup, Place};
use error::{NAME, Result, call};
use namespaces::Gate;
use network::Veth;
use plan::Plan;
use process::Ends;
use rootfs::{Furniture, Surroundings};
use running::{Running, Walls};

/// Runs workloads in containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The name by which `isolab exec` and `isolab stop` know it.
    pub name: Option<String>,
    /// What it may consume. Without limits and without a name there is no cgroup.
    pub limits: Limits,
    /// What it finds inside.
    pub root: Root,
    /// Which of the host's tables it does not share.
    pub namespaces: Namespaces,
    /// What it sees of the network.
    pub network: Network,
    /// Whether a command runs as the child of a first process that buries orphans and passes
    /// signals on; otherwise the command is the first process itself. A built-in program always is.
    pub init: bool,
    /// The host name inside.
    pub hostname: String,
}

impl Default for Container {
    fn default() -> Self {
        Self {
            name: None,
            limits: Limits::default(),
            root: Root::default(),
            namespaces: Namespaces::default(),
            network: Network::default(),
            init: true,
            hostname: "isolab".into(),
        }
    }
}

impl Sandbox for Container {
    fn name(&self) -> &'static str {
        NAME
    }

    fn spawn(&self, workload: &Workload) -> Result<Box<dyn Instance>> {
        self.limits.check()?;
        if self.limits.vcpus.is_some() {
            return Err(sandbox::Error::Unsupported {
                sandbox: NAME,
                what: "have virtual CPUs of its own".into(),
                fix: "limit its CPU time with --cpus, or use --in microvm".into(),
            });
        }
        Ok(Box::new(self.start(workload)?))
    }
}

impl Container {
    /// The story of a container: five questions, numbered as in the table above.
    fn start(&self, workload: &Workload) -> Result<Running> {
        let mut story = Story::new(workload.trace);
        let mut timeline = Timeline::start();
        rootfs::check(&self.root)?;
        let namespaces = self.effective_namespaces();
        let init = self.init && matches!(workload.program, Program::Command(_));
        let ends = Ends::new(workload.stdio)?;
        let gate = Gate::new()?;
        let mailbox = mailbox(workload)?;

        // 2. First, before there is anyone to spend anything; and the ledger before that.
        let place = Place::find(&self.cgroup_name(), &self.limits, self.name.is_some())?;
        let veth = (self.network == Network::Veth).then(Veth::plan).transpose()?;
        let claim = self.claim(workload, &place, veth.as_ref())?;
        let words = place.words(&self.limits);
        let cgroup = story.step(Question::Budget, words, || place.create())?;

        // All that the child will do: 3, 4 and 5.
        let mut plan = Box::new(Plan::default());
        let needs_gate = namespaces.user || veth.is_some();
        self.check_memory(needs_gate)?;
        self.write_plan(
            &mut plan,
            workload,
            namespaces,
            &cgroup,
            needs_gate.then_some(&gate),
            &ends,
        )?;
        let inherited = match &mailbox {
            Some(mailbox) => Some(process::mailbox_end(mailbox)?),
            None if init => Some(namespaces::high(&gate.report())?),
            None => None,
        };
        self.write_end(&mut plan, workload, &ends, inherited.as_ref(), init)?;
        plan.finish(workload.trace);

        // 1. The child and its namespaces; it follows the plan at once.
        let clone = format!("clone3: a process with new {} namespaces", namespaces.words());
        let child = story.step(Question::Boundary, clone, || {
            namespaces::clone_into(namespaces, cgroup.clone_target(), plan, gate, needs_gate)
        })?;
        drop(inherited);
        let mut walls = Walls { child, cgroup, veth, claim };
        // 4 and 5, what only the launcher may do: id maps and links.
        if namespaces.user {
            let maps = || privileges::write_maps(walls.child.pid());
            story.step(Question::Power, "write uid_map and gid_map", maps)?;
        }
        if let Some(veth) = &walls.veth {
            let connect = || veth.connect(walls.child.pid());
            story.step(Question::WayOut, "create a pair of links", connect)?;
        }
        walls.child.open_gate()?;
        let ends = ends.of_the_launcher();
        let (progress, plan) = walls.child.wait_for_exec(init)?;
        timeline.reach_at(Milestone::Created, plan.began());
        timeline.reach(Milestone::Entered);
        story.steps.extend(plan.told());
        running::check_progress(progress, workload)?;
        walls.note_first()?;
        Ok(Running::new(walls, ends, mailbox, workload, init, (timeline, story))?)
    }

    /// The child's steps up to its root.
    fn write_plan(
        &self,
        plan: &mut Plan,
        workload: &Workload,
        namespaces: Namespaces,
        cgroup: &Cgroup,
        gate: Option<&Gate>,
        ends: &Ends,
    ) -> Result<()> {
        // What it allocates from here on is counted.
        cgroup.join(plan);
        if namespaces.cgroup {
            let flag = libc::CLONE_NEWCGROUP as usize;
            plan.step(Question::Boundary, "unshare cgroup", libc::SYS_unshare, [flag]);
        }
        if let Some(gate) = gate {
            gate.pass(plan);
        }
        if namespaces.user {
            privileges::become_root(plan);
        }
        if namespaces.uts {
            let name = plan.keep(self.hostname.as_bytes());
            let words = format!("sethostname {}", self.hostname);
            let arguments = [name, self.hostname.len()];
            plan.step(Question::Boundary, words, libc::SYS_sethostname, arguments);
        }
        let furniture = match (&workload.program, &self.root) {
            (Program::Builtin(..), Root::Host) => Furniture::Bare,
            _ => Furniture::Full,
        };
        if namespaces.net && furniture == Furniture::Full {
            network::raise_loopback(plan);
        }
        if namespaces.mount {
            let around = Surroundings {
                furniture,
                user_namespace: namespaces.user || privileges::in_user_namespace(),
                pid_namespace: namespaces.pid,
                terminal: ends.terminal(),
            };
            rootfs::enter(plan, &self.root, around)?;
        }
        Ok(())
    }

    /// The child's last steps: its streams, its privileges, its program.
    fn write_end(
        &self,
        plan: &mut Plan,
        workload: &Workload,
        ends: &Ends,
        inherited: Option<&std::os::fd::OwnedFd>,
        init: bool,
    ) -> Result<()> {
        let directory = workload.directory.as_deref().unwrap_or(Path::new("/"));
        rootfs::change_directory(plan, directory)?;
        ends.connect(plan, inherited.map(std::os::fd::AsFd::as_fd));
        privileges::drop_all(plan)?;
        process::reset_signals(plan);
        Ok(program::end_with(plan, workload, init)?)
    }

    /// A child that the launcher cannot sleep for must have memory enough to come to its program.
    fn check_memory(&self, gated: bool) -> Result<(), Error> {
        const ENOUGH: u64 = 4 << 20;
        match self.limits.memory_bytes {
            Some(bytes) if gated && bytes < ENOUGH => Err(Error::TooLittleMemory { bytes }),
            _ => Ok(()),
        }
    }

    fn effective_namespaces(&self) -> Namespaces {
        Namespaces {
            net: self.namespaces.net && self.network != Network::Host,
            user: self.namespaces.user || !Uid::effective().is_root(),
            ..self.namespaces
        }
    }

    /// `isolab-` and the name, or a number that this launcher gives out once.
    fn cgroup_name(&self) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        match &self.name {
            Some(name) => format!("isolab-{name}"),
            None => format!("isolab-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)),
        }
    }

    /// Writes down what would outlive the launcher. Nothing would of a container without a name and
    /// without a cgroup but its processes, and those end with the program.
    fn claim(
        &self,
        workload: &Workload,
        place: &Place,
        veth: Option<&Veth>,
    ) -> Result<Option<Claim>, Error> {
        let links = veth.map(|veth| Resource::Link(veth.name().to_owned()));
        let resources: Vec<Resource> = place.resources().chain(links).collect();
        if self.name.is_none() && resources.is_empty() {
            return Ok(None);
        }
        let name = match (&self.name, resources.first()) {
            (Some(name), _) => name.clone(),
            (None, Some(Resource::Cgroup(path))) => {
                path.file_name().unwrap_or_default().to_string_lossy().into_owned()
            }
            _ => self.cgroup_name(),
        };
        let entry = Entry { resources, ..Entry::new(name, NAME, workload.words()) };
        Ok(Some(Ledger::open()?.claim(entry)?))
    }
}

fn mailbox(workload: &Workload) -> Result<Option<Mailbox>, Error> {
    match workload.program {
        Program::Builtin(..) => {
            let mailbox = Mailbox::create().map_err(error::file("create the mailbox", "memfd"))?;
            Ok(Some(mailbox))
        }
        Program::Command(_) => Ok(None),
    }
}

/// The process with that number as the ledger knows it.
fn process_of(pid: i32) -> Result<Process, Error> {
    let gone = call(format!("look at process {pid}"));
    u32::try_from(pid).ok().and_then(Process::of).ok_or_else(|| gone(nix::errno::Errno::ESRCH))
}
