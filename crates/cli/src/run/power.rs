//! Question 4 on the command line of `isolab run`: with what power does it start?

use std::{fs::File, io::Read as _};

use clap::Args;
use container::{
    Root, Spec,
    devices::DeviceRule,
    privileges::{Capabilities, CapabilitySet, Rlimit},
    seccomp::{Profile, Seccomp},
    users,
};

use crate::{failure::Failure, units};

#[derive(Debug, Args)]
#[command(next_help_heading = "With what power a container starts")]
pub(super) struct PowerArguments {
    /// User and group to run as, also in a Linux guest; names are looked up in its own /etc/passwd and /etc/group
    #[arg(short = 'u', long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Additional group to join; may be repeated
    #[arg(long, value_name = "GROUP")]
    group_add: Vec<String>,
    /// Add a capability, or ALL; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cap_add: Vec<String>,
    /// Drop a capability, or ALL; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    cap_drop: Vec<String>,
    /// Give it all capabilities, system calls and devices, with nothing masked: root inside is root
    #[arg(long)]
    privileged: bool,
    /// seccomp=FILE (a profile in JSON) or seccomp=unconfined, no-new-privileges[=false],
    /// systempaths=unconfined; may be repeated
    #[arg(long, value_name = "OPTION")]
    security_opt: Vec<String>,
    /// Allow the use of devices by a rule, such as 'c 42:* rwm'; may be repeated
    #[arg(long, value_name = "RULE", value_parser = units::device_rule)]
    device_cgroup_rule: Vec<DeviceRule>,
    /// Set a resource limit of its processes, such as nofile=1024:4096; may be repeated
    #[arg(long, value_name = "NAME=SOFT[:HARD]", value_parser = units::ulimit)]
    ulimit: Vec<Rlimit>,
    /// Set a kernel parameter of one of its own namespaces; may be repeated
    #[arg(long, value_name = "NAME=VALUE", value_parser = units::setting)]
    sysctl: Vec<(String, String)>,
    /// Adjust its OOM score: how soon the kernel kills it when memory runs out, -1000 to 1000
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true,
        value_parser = clap::value_parser!(i32).range(-1000..=1000))]
    oom_score_adj: Option<i32>,
}

impl PowerArguments {
    /// Writes them into `spec`, whose root is there already: names are looked up in it. Without
    /// `--user`, the program runs as `user`.
    pub(super) fn apply(&self, spec: &mut Spec, user: Option<&str>) -> Result<(), Failure> {
        if self.privileged {
            spec.make_privileged().map_err(sandbox::Error::from)?;
        }
        self.become_user(spec, user)?;
        let kept = self.capabilities(spec.power.capabilities.bounding)?;
        spec.power.capabilities = Capabilities {
            bounding: kept,
            effective: kept,
            permitted: kept,
            ..spec.power.capabilities
        };
        self.device_cgroup_rule.iter().for_each(|rule| spec.budget.allow(*rule));
        spec.power.rlimits.extend_from_slice(&self.ulimit);
        spec.power.sysctl.extend_from_slice(&self.sysctl);
        spec.power.oom_score_adj = self.oom_score_adj;
        for option in &self.security_opt {
            secure(spec, option)?;
        }
        Ok(())
    }

    /// The user that `--user` names, and otherwise `user`, by the files of `root`.
    pub(super) fn find_user(
        &self,
        root: &Root,
        user: Option<&str>,
    ) -> Result<Option<users::Found>, Failure> {
        let user = self.user.as_deref().or(user);
        if user.is_none() && self.group_add.is_empty() {
            return Ok(None);
        }
        let words = user.unwrap_or("0");
        let found = users::find(root, words, &self.group_add).map_err(sandbox::Error::from)?;
        Ok(Some(found))
    }

    fn become_user(&self, spec: &mut Spec, user: Option<&str>) -> Result<(), Failure> {
        let Some(found) = self.find_user(&spec.inside.root, user)? else { return Ok(()) };
        if let Some(home) = found.home {
            let home = [("HOME".into(), home.into())];
            sandbox::environment::add(&mut spec.way_out.environment, &home);
        }
        spec.power.user = found.user;
        Ok(())
    }

    /// The usual capabilities with those that were added and dropped.
    fn capabilities(&self, usual: CapabilitySet) -> Result<CapabilitySet, Failure> {
        usual.changed(&self.cap_add, &self.cap_drop).map_err(|name| {
            Failure::usage(format!("unknown capability {name:?}")).help(
                "capabilities(7) lists them: CAP_NET_ADMIN, in any case, with or without CAP_",
            )
        })
    }
}

/// The profile in `file`, for the capabilities of `spec`.
fn profile(file: &str, spec: &Spec) -> Result<Profile, Failure> {
    /// A byte more than is taken.
    const MOST: u64 = (1 << 20) + 1;
    let mut text = Vec::new();
    let read = |opened: File| opened.take(MOST).read_to_end(&mut text);
    let what = format!("read the seccomp profile {file:?}");
    File::open(file).and_then(read).map_err(Failure::at(what))?;
    let profile = Profile::from_docker(&text, spec.power.capabilities.bounding);
    Ok(profile.map_err(sandbox::Error::from)?)
}

/// One `--security-opt`, with `=` or the older `:` in it.
fn secure(spec: &mut Spec, option: &str) -> Result<(), Failure> {
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    match (name, value) {
        ("seccomp", "unconfined") => spec.power.seccomp = Seccomp::Unconfined,
        ("seccomp", "" | "default" | "builtin") => spec.power.seccomp = Seccomp::Default,
        ("seccomp", file) => spec.power.seccomp = Seccomp::Profile(profile(file, spec)?),
        ("no-new-privileges", "" | "true") => spec.power.no_new_privileges = true,
        ("no-new-privileges", "false") => spec.power.no_new_privileges = false,
        ("systempaths", "unconfined") | ("unmask", "ALL" | "all") => spec.unmask(),
        // Isolab confines by neither of the two.
        ("label", "disable") | ("apparmor", "unconfined") => {}
        ("label" | "apparmor", _) => {
            let module = if name == "label" { "SELinux" } else { "AppArmor" };
            let message =
                format!("--security-opt {option}: isolab does not support {module} policies");
            return Err(Failure::refused(message)
                .help("it isolates by namespaces, capabilities, seccomp and cgroups"));
        }
        _ => {
            return Err(Failure::usage(format!("unknown --security-opt {option:?}")).help(
                "seccomp=FILE, seccomp=unconfined, no-new-privileges[=false], systempaths=unconfined",
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(add: &[&str], drop: &[&str]) -> CapabilitySet {
        let words = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let arguments = PowerArguments {
            user: None,
            group_add: Vec::new(),
            cap_add: words(add),
            cap_drop: words(drop),
            privileged: false,
            security_opt: Vec::new(),
            device_cgroup_rule: Vec::new(),
            ulimit: Vec::new(),
            sysctl: Vec::new(),
            oom_score_adj: None,
        };
        arguments.capabilities(CapabilitySet::of(["chown", "kill"]).unwrap()).unwrap()
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_docker_does() {
        let set = |names: &[&str]| CapabilitySet::of(names.iter().copied()).unwrap();
        assert_eq!(with(&[], &[]), set(&["chown", "kill"]));
        assert_eq!(with(&["CAP_NET_RAW"], &["kill"]), set(&["chown", "net_raw"]));
        assert_eq!(with(&["net_raw"], &["ALL"]), set(&["net_raw"]));
        assert_eq!(with(&[], &["all"]), CapabilitySet::NONE);
        assert_eq!(with(&["all"], &["kill"]).0, !set(&["kill"]).0);
        assert!(CapabilitySet::NONE.changed(&["flying".into()], &[]).is_err());
    }
}
