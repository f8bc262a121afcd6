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
//! A container is described by a [`Spec`], plain data with a section for each question;
//! `Prepared::start` makes it, from the first step to the last. What the child does between `clone3`
//! and `execve` is prepared as a list of system calls, in [`plan`].
#![warn(missing_docs)]

mod around;
pub mod bridge;
mod capabilities;
pub mod cgroup;
mod cgroup_layout;
mod cgroup_stat;
mod cgroup_view;
mod child;
mod child_descriptors;
mod clean;
mod container;
mod copy_up;
pub mod descriptors;
mod detached;
mod detached_root;
mod device;
pub mod devices;
mod error;
mod exec;
mod foreign;
mod freeze;
mod gate;
pub mod hooks;
mod host;
mod host_devices;
mod host_root;
pub mod hosts;
mod idmapped;
mod inherited;
mod joined;
mod keyring;
pub mod layer;
mod layers;
mod life;
pub mod link;
mod links;
mod listener;
pub mod local_redirect;
mod lookup;
pub mod mount;
mod mount_calls;
pub mod mount_points;
pub mod mounts;
pub mod name_server;
pub mod namespaces;
mod nat;
pub mod net_namespace;
pub mod netlink;
pub mod network;
mod nftables;
pub mod observe;
mod oom_score;
pub mod overlay;
mod pidfd;
pub mod plan;
mod preserved;
pub mod privileges;
pub mod process;
mod program;
mod propagations;
mod reclaim;
mod remount;
pub mod rootfs;
mod running;
pub mod scheduling;
mod scratch;
pub mod seccomp;
pub mod spec;
mod state;
pub mod statistics;
mod subnet;
mod sys;
mod sysctl;
mod terminal;
mod time_namespace;
pub mod transfer;
mod undumpable;
pub mod users;

use std::{
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
};

use nix::unistd::Uid;
use sandbox::{Event, Mailbox, Milestone, Program, Question, Resource, Timeline, Trace};

pub use cgroup_stat::{CpuStat, CpuStatFile};
pub use clean::{clean, clean_those, free_resources, free_those, remove_tree};
pub use container::Container;
pub use detached_root::detached_root;
pub use error::Error;
pub use exec::{
    Command, LeftRunning, NamespacesOf, all_running, exec, find, namespaces_of, user_in,
};
pub use freeze::{freeze, is_frozen, thaw};
pub use host::{CgroupLayout, ControllerFacts, HostFacts, available, host};
pub use host_root::not_shown;
pub use joined::namespace_kind;
pub use life::{Created, State};
pub use lookup::without_steps_up;
pub use mount::Mount;
pub use namespaces::{Namespace, Namespaces};
pub use network::Network;
pub use reclaim::{SMAPS, drop_clean_pages, drop_clean_pages_with};
pub use rootfs::{Device, Root, Upper};
pub use scratch::Scratch;
pub use spec::Spec;
pub use sysctl::namespace_of_sysctl;

use around::Around;
use cgroup::CgroupPath;
use child_descriptors::ChildDescriptors;
use error::Result;
use gate::Gate;
use hosts::Files;
use idmapped::IdMappedMounts;
use joined::Joined;
use links::Links;
use listener::Listening;
use plan::SyscallPlan;
use preserved::Preserved;
use process::StdioEnds;
use program::First;
use propagations::Propagations;
use rootfs::Launcher;
use running::{Started, Walls};

/// A container that is about to be made: everything that will outlive its launcher has a name
/// already, so that the caller can record it first.
#[derive(Debug)]
pub struct Prepared<'a> {
    spec: &'a Spec,
    /// The namespaces of the spec, as far as the caller is allowed to make them.
    namespaces: Namespaces,
    cgroup: CgroupPath,
    links: Links,
    /// Whether a created container has a trace.
    is_traced: bool,
}

/// When the program begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Begin<'a> {
    /// Immediately, and it ends with the launcher.
    AtOnce,
    /// Immediately, and it keeps running when the launcher ends.
    Detached,
    /// When a byte can be read from this descriptor.
    OnByte(BorrowedFd<'a>),
}

impl<'a> Prepared<'a> {
    /// Checks the spec and the host; makes nothing.
    ///
    /// # Errors
    ///
    /// When the spec is contradictory, or this host cannot provide something that it asks for.
    pub fn new(spec: &'a Spec) -> Result<Self> {
        spec.check()?;
        let namespaces = spec.effective_namespaces(Uid::effective().is_root());
        let cgroup = CgroupPath::find(&spec.budget, First::of(&spec.way_out) == First::Init)?;
        let links = Links::plan(&spec.way_out)?;
        check_memory(spec, needs_gate(spec, &namespaces, &links))?;
        Ok(Self { spec, namespaces, cgroup, links, is_traced: false })
    }

    /// The same, with a [`Created::trace`] if `is_traced`.
    #[must_use]
    pub fn traced(self, is_traced: bool) -> Self {
        Self { is_traced, ..self }
    }

    /// What will outlive the launcher, in the order in which it is made.
    pub fn resources(&self) -> Vec<Resource> {
        self.cgroup.resources().chain(self.links.resources()).collect()
    }

    /// The story of a container: five questions, numbered as in the table above.
    fn start(self, begin: Begin<'_>, mut trace: Trace) -> Result<Started> {
        let Self { spec, namespaces, cgroup: path, links, .. } = self;
        let mut timeline = Timeline::start();
        inherited::lift_file_size().map_err(error::call("setrlimit of file sizes"))?;
        let joined = Joined::open(&namespaces)?;
        let has_devpts = namespaces.mount.is_new() && spec.inside.has_devpts();
        let stdio = StdioEnds::within(spec.way_out.stdio, has_devpts)?;
        let gate = Gate::new()?;
        let needs_gate = needs_gate(spec, &namespaces, &links);
        let gate_of_plan = needs_gate.then_some(&gate);
        let mailbox = mailbox(&spec.way_out.program)?;
        let first = First::of(&spec.way_out);
        let inherited = mailbox.as_ref().map(process::mailbox_end).transpose()?;
        let around = Around::of(&namespaces, spec);
        let id_mapped = IdMappedMounts::make(spec, &namespaces, around)?;
        let mut kept = kept(first, begin, inherited.as_ref().map(AsFd::as_fd), &gate, spec)?;
        let preserved = Preserved::copy(spec.way_out.preserved as usize)?;
        kept.mounts = id_mapped.descriptors();
        kept.preserved = preserved.descriptors();
        kept.terminal = stdio.socket();
        let listening = Listening::of(&spec.power)?;
        kept.listener = listening.as_ref().map(Listening::wait);

        // 2. First, before any process could use resources.
        let words = path.words();
        let cgroup = trace.record(Question::Budget, words, || path.create())?;

        // All that the child will do, from its cgroup to its program.
        let mut plan = Box::new(SyscallPlan::default());
        cgroup.join(&mut plan); // 2
        inherited::leave_out(&mut plan, namespaces.user.is_new()); // 4
        joined.enter(&mut plan); // 1
        namespaces::complete(&mut plan, spec, &namespaces, gate_of_plan)?; // 1
        stdio.connect(&mut plan, &kept); // 5
        network::set_up_inside(&mut plan, spec, &namespaces)?; // 5
        sysctl::set(&mut plan, &spec.power, &namespaces)?; // 4
        oom_score::set_own(&mut plan, spec.power.oom_score_adj, needs_gate)?; // 4
        let mut propagations = Propagations::default();
        if namespaces.mount.is_new() {
            let files = Files::of(spec, &namespaces, links.addresses())?;
            let (paths, numbers) = (id_mapped.paths(), id_mapped.numbers());
            let of_mounts = &*numbers;
            let around = Around { id_mapped: &paths, of_mounts, files: &files, ..around };
            let (terminal, own_cgroup) =
                (stdio.terminal()?, &*cgroup.shown(spec.inside.exact_attributes));
            let directory = &*spec.way_out.directory;
            let launcher = Launcher { terminal, own_cgroup, directory };
            propagations = rootfs::enter(&mut plan, &spec.inside, around, launcher)?; // 3
        }
        stdio.connect_inside(&mut plan, &spec.power.user, true)?; // 5
        propagations.set(&mut plan); // 3
        (kept.mounts, kept.terminal) = (Vec::new(), None);
        kept.close_others(&mut plan, "close what the child has opened"); // 5
        process::change_directory(&mut plan, &spec.way_out.directory)?; // 5
        program::look_for(&mut plan, &spec.way_out, begin)?; // 5
        preserved::hand_over(&mut plan, spec.way_out.preserved as usize, begin); // 5
        let new_user = namespaces.user.is_new();
        let listener = privileges::drop_all(&mut plan, &spec.power, new_user)?; // 4
        process::reset_signals(&mut plan, begin); // 5
        program::end_with(&mut plan, &spec.way_out, first, begin)?; // 5
        plan.finish(trace.enabled());

        // 1. The child and its namespaces; it follows the plan at once.
        let clone = format!("clone3: a process with new {} namespaces", namespaces.words());
        let child = trace.record(Question::Boundary, clone, || {
            let into = cgroup.clone_target();
            child::clone_into(&namespaces, &joined, into, plan, gate, needs_gate)
        })?;
        drop(inherited);
        let mut walls = Walls { child, cgroup, links };
        // 4 and 5, what only the launcher may do: id maps and links.
        if namespaces.user.is_new() {
            let maps = || privileges::write_id_maps(walls.child.pid(), spec.power.id_maps.as_ref());
            trace.record(Question::Power, "write uid_map and gid_map", maps)?;
        }
        walls.links.connect(walls.child.pid(), &mut trace)?;
        let shared = oom_score::give(walls.child.pid(), spec.power.oom_score_adj, needs_gate)?; // 4
        if spec.way_out.hooks.need_gate() {
            walls.child.wait_until_at_gate()?;
        }
        spec.way_out.hooks.at_create(walls.child.pid(), walls.child.pidfd())?;
        walls.child.open_gate()?;
        if let (Some(listening), Some(slot)) = (listening, listener) {
            let state = (&spec.way_out.hooks.state, "creating");
            listening.pass_on(&walls.child, slot, state)?;
        }
        let streams = stdio.of_the_launcher();
        let (progress, plan) = walls.child.wait_for_exec(first.always_reports(begin))?;
        drop(shared);
        timeline.reach_at(Milestone::Created, plan.began());
        timeline.reach(Milestone::Entered);
        trace.entries.extend(plan.trace_entries());
        if trace.enabled() && namespaces.mount.is_new() && spec.inside.root == Root::Host {
            record_hidden_mounts(&mut trace)?;
        }
        running::check_progress(progress, &spec.way_out.program)?;
        let init = first == First::Init;
        Ok(Started { walls, streams, mailbox, memory: None, init, timeline, trace })
    }
}

/// Names the mounts of the host that the container does not have.
fn record_hidden_mounts(trace: &mut Trace) -> Result<(), Error> {
    let list = |(path, kind): &(PathBuf, String)| format!("{} ({kind})", path.display());
    let all: Vec<String> = not_shown()?.iter().map(list).collect();
    if !all.is_empty() {
        let words = format!("not shown, but with -v SOURCE:DESTINATION: {}", all.join(", "));
        trace.record(Question::Inside, Event::note(words), || Ok::<_, Error>(()))?;
    }
    Ok(())
}

/// Whether the launcher has something to do while the child waits.
fn needs_gate(spec: &Spec, namespaces: &Namespaces, links: &Links) -> bool {
    namespaces.user.is_new()
        || links.are_any()
        || spec.way_out.hooks.need_gate()
        || spec.power.filter.listener.is_some()
}

/// If the launcher cannot sleep while the child starts (CLONE_VFORK), the memory limit must be large
/// enough for the start.
fn check_memory(spec: &Spec, gated: bool) -> Result<(), Error> {
    const ENOUGH: u64 = 4 << 20;
    match spec.budget.limits.memory_bytes {
        Some(bytes) if gated && bytes < ENOUGH => Err(Error::TooLittleMemory { bytes }),
        _ => Ok(()),
    }
}

/// What the child keeps of the launcher's descriptors.
fn kept<'a>(
    first: First,
    begin: Begin<'a>,
    mailbox: Option<BorrowedFd<'a>>,
    gate: &'a Gate,
    spec: &Spec,
) -> Result<ChildDescriptors<'a>, Error> {
    let report = Some(gate.report());
    let (inherited, report) = if first.reports() { (report, None) } else { (mailbox, report) };
    let start = match begin {
        Begin::AtOnce | Begin::Detached => None,
        Begin::OnByte(start) => Some(start),
    };
    let program = Some(first.image(&spec.way_out.program)?);
    Ok(ChildDescriptors { inherited, program, report, start, ..ChildDescriptors::default() })
}

/// The memory that a built-in program shares with its launcher.
fn mailbox(program: &Program) -> Result<Option<Mailbox>, Error> {
    match program {
        Program::Builtin(..) => {
            let mailbox = Mailbox::create().map_err(error::file("create the mailbox", "memfd"))?;
            Ok(Some(mailbox))
        }
        Program::Command(_) => Ok(None),
    }
}
