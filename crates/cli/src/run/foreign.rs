//! Options that would do nothing to what was asked for.

use super::{Arguments, TraceKind};
use crate::{failure::Failure, kinds::Kind};

impl Arguments {
    /// Whether what it runs in leaves for the host in a way that can be counted.
    fn has_exits(&self) -> bool {
        matches!(self.kind, Kind::Microvm | Kind::Linux)
    }

    /// An option that would do nothing is a mistake worth telling.
    pub(super) fn refuse_foreign_options(&self) -> Result<(), Failure> {
        let root = [("--root", self.container.root.is_some())];
        let of_containers = [
            ("--overlay", !self.container.overlay.is_empty()),
            ("--upper", self.container.upper.is_some()),
            ("--upper-size", self.container.upper_size.is_some()),
            ("--storage-opt", self.container.storage_opt.is_some()),
            ("--no-ns", !self.container.no_ns.is_empty()),
            ("--init", self.container.init),
            ("--no-init", self.container.no_init),
            ("--namespaces", !self.container.namespaces.is_empty()),
            ("--shm-size", self.container.shm_size.is_some()),
            ("--domainname", self.container.domainname.is_some()),
            ("--pid", self.container.pid.is_some()),
            ("--ipc", self.container.ipc.is_some()),
            ("--uts", self.container.uts.is_some()),
            ("--cgroupns", self.container.cgroupns.is_some()),
        ];
        let of_systems = [
            ("--env", !self.environment.is_empty()),
            ("--env-file", !self.env_file.is_empty()),
            ("--workdir", self.workdir.is_some()),
        ];
        let of_microvms = [("--mode", self.microvm.mode.is_some())];
        type Options<'a> = &'a [(&'static str, bool)];
        let given = |owner: &'static str, options: Options<'_>| {
            options.iter().find(|(_, given)| *given).map(|(option, _)| (*option, owner))
        };
        let of_mounts = self.mounts.given();
        let of_power = || {
            let given = self.power.given().or_else(|| self.resources.given());
            given.map(|option| (option, "a container"))
        };
        let of_mounts = || given("a container", &of_mounts);
        let volumes = self.mounts.given_of_guests();
        let for_container =
            || given("a container", &of_containers).or_else(of_power).or_else(of_mounts);
        let for_either = || {
            let owner = "a container or a Linux guest";
            let network = || self.network.given().map(|option| (option, owner));
            given(owner, &root).or_else(|| given(owner, &volumes)).or_else(network)
        };
        let of_machines = [
            ("--stats", self.stats),
            ("--trace=exits", self.trace == Some(TraceKind::Exits)),
            ("--gdb", self.debugger.gdb.is_some()),
        ];
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
                let message = format!("{option} does not apply to a {kind}: it is for {owner}");
                Err(Failure::usage(message))
            }
            None => Ok(()),
        }
    }
}
