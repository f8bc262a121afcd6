//! Question 1: what separates it from the host? The container's answer: namespaces.
//! The microVM's answer is `microvm::machine`.
//!
//! One system call, `clone3(2)`, makes the process and its namespaces: each flag replaces one of
//! the kernel's tables that all processes share (mounts, host name, process ids ...) by one of its
//! own. There is no object "container" in the kernel; this set of tables is all there is.
//!
//! How the process is made, and what it shares with its launcher until it runs its program, is in
//! `child`.

use sandbox::Question::Boundary;

use crate::{Error, Spec, gate::Gate, plan::SyscallPlan, privileges, time_namespace};

pub use crate::spec::namespaces::{Clock, Namespace, Namespaces, TimeOffset};

impl Namespaces {
    /// All shared with the host.
    pub fn shared() -> Self {
        use Namespace::Shared;
        Self {
            mount: Shared,
            uts: Shared,
            ipc: Shared,
            pid: Shared,
            net: Shared,
            user: Shared,
            cgroup: Shared,
            time: Shared,
        }
    }

    /// All that clone3(2) makes, with their flags and names: those of cgroups and of time are made by the
    /// child.
    pub(crate) fn all(&self) -> [(&Namespace, i32, &'static str); 6] {
        [
            (&self.mount, libc::CLONE_NEWNS, "mount"),
            (&self.uts, libc::CLONE_NEWUTS, "uts"),
            (&self.ipc, libc::CLONE_NEWIPC, "ipc"),
            (&self.pid, libc::CLONE_NEWPID, "pid"),
            (&self.net, libc::CLONE_NEWNET, "net"),
            (&self.user, libc::CLONE_NEWUSER, "user"),
        ]
    }

    /// The flags for `clone3(2)`, without the cgroup namespace: its root is the cgroup of the
    /// process at that moment, so the child makes it after it has joined its cgroup.
    pub(crate) fn clone_flags(&self) -> i32 {
        let new = self.all().into_iter().filter(|(namespace, ..)| namespace.is_new());
        new.fold(0, |flags, (_, flag, _)| flags | flag)
    }

    /// The names of the new ones, for the trace.
    pub(crate) fn words(&self) -> String {
        let new = self.all().into_iter().filter(|(namespace, ..)| namespace.is_new());
        new.map(|(.., name)| name).collect::<Vec<&str>>().join(" ")
    }
}

/// The child's steps once it is in its cgroup: the cgroup namespace, host name and domain name, and
/// becoming root of its user namespace after the launcher has written the maps.
pub(crate) fn complete(
    plan: &mut SyscallPlan,
    spec: &Spec,
    namespaces: &Namespaces,
    gate: Option<&Gate>,
) -> Result<(), Error> {
    let boundary = &spec.boundary;
    if namespaces.cgroup.is_new() {
        let flag = libc::CLONE_NEWCGROUP as usize;
        plan.step(Boundary, "unshare cgroup", libc::SYS_unshare, [flag]);
    }
    let names = [
        ("sethostname", libc::SYS_sethostname, &boundary.hostname),
        ("setdomainname", libc::SYS_setdomainname, &boundary.domainname),
    ];
    for (call, number, name) in names {
        if let Some(name) = name.as_ref().filter(|_| namespaces.uts.is_new()) {
            let operand = plan.keep(name.as_bytes());
            plan.step(Boundary, format!("{call} {name}"), number, [operand, name.len()]);
        }
    }
    if namespaces.time.is_new() {
        time_namespace::make(plan, &boundary.time_offsets)?;
    }
    if let Some(gate) = gate {
        gate.pass(plan);
    }
    if namespaces.user != Namespace::Shared {
        privileges::become_first(plan, &spec.power);
    }
    Ok(())
}
