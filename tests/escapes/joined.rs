//! A process inside that lies in wait for the one that `exec` brings in.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use crate::{
    everywhere::{callers, ready},
    host::Host,
    inside::{Attempt, Failed},
    launch::{Files, Launch, words},
};

pub const ATTEMPTS: &[(&str, Attempt)] = &[
    ("lie-in-wait", lie_in_wait),
    ("stay-a-moment", |_| {
        sleep(Duration::from_millis(2));
        Ok("done".into())
    }),
    ("stop", |_| Ok(fs::write("/tmp/stop", "").map(|()| "done".into())?)),
];

/// What a process has that another inside must not get by taking it over.
#[derive(PartialEq, Eq)]
struct Standing {
    namespaces: Vec<PathBuf>,
    power: Vec<String>,
}

/// Index of the user namespace among those of a [`Standing`].
const USER: usize = 0;

impl Standing {
    /// Whether it has no capability beyond those that every container has.
    fn is_of_a_container(&self) -> bool {
        let is_kept = |line: &String| match line.split_once(":\t") {
            Some((name, set)) if name.starts_with("Cap") => {
                u64::from_str_radix(set, 16).is_ok_and(|set| set & !crate::kernel::KEPT == 0)
            }
            _ => true,
        };
        self.power.iter().all(is_kept)
    }

    fn describe(&self) -> String {
        format!("{:?} {:?}", self.namespaces, self.power)
    }

    /// Of the process whose directory of /proc is open as `process`; it may end meanwhile.
    fn of(process: &str) -> Option<Self> {
        let namespaces = ["user", "pid", "mnt", "net", "ipc", "uts", "cgroup"];
        let link = |name| fs::read_link(format!("{process}/ns/{name}")).ok();
        let namespaces = namespaces.into_iter().map(link).collect::<Option<_>>()?;
        let status = fs::read_to_string(format!("{process}/status")).ok()?;
        let parts = ["CapEff", "CapPrm", "CapBnd", "NoNewPrivs", "Seccomp:"];
        let is_power = |line: &&str| parts.iter().any(|part| line.starts_with(part));
        let power = status.lines().filter(is_power).map(str::to_owned).collect();
        Some(Self { namespaces, power })
    }
}

/// Opens the memory of every process that it sees, as fast as it can, until it is told to stop.
fn lie_in_wait(words: &[String]) -> Result<String, Failed> {
    use std::os::fd::AsRawFd as _;
    let shares = words.first().is_some_and(|word| word == "shared");
    let own = Standing::of("/proc/self").ok_or("no standing of one's own")?;
    let (mut seen, mut gained) = (std::collections::BTreeSet::new(), Vec::new());
    while !Path::new("/tmp/stop").exists() {
        for entry in fs::read_dir("/proc")?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.parse::<u32>().is_err() || name == std::process::id().to_string() {
                continue;
            }
            // By a descriptor: its number may be another's in a moment.
            let Ok(process) = File::open(entry.path()) else { continue };
            seen.insert(name);
            let process = format!("/proc/self/fd/{}", process.as_raw_fd());
            let memory = File::options().read(true).write(true).open(format!("{process}/mem"));
            let Some(standing) = Standing::of(&process).filter(|_| memory.is_ok()) else {
                continue;
            };
            // In a pid namespace that all share there are other containers: of the same power, or of
            // power in a user namespace of their own, which is none over the host.
            let elsewhere = standing.namespaces[USER] != own.namespaces[USER];
            let is_other = shares && (elsewhere || standing.is_of_a_container());
            let gains = standing != own && !is_other;
            if gains {
                gained.push(standing.describe());
            }
        }
    }
    let description = gained.join(", ");
    Ok(format!("{} of {} seen gave more power {description}", gained.len(), seen.len()))
}

#[test]
fn who_takes_over_a_joining_process_gains_nothing() {
    if !ready() {
        return;
    }
    for who in callers() {
        for (share_pids, no_init) in [(false, false), (false, true), (true, false)] {
            let mut host = Host::watched();
            let files = Files::Directory(host.new_root("root"));
            let shared = if share_pids { "shared" } else { "own" };
            let launch = Launch::of(&host, files.clone(), &["lie-in-wait", shared]);
            let joins = Some(words(&host, &files, &["stay-a-moment"]));
            let launch = Launch { joins, rounds: 100, share_pids, no_init, ..launch };
            let answer = launch.run_as(who, &host);
            let description = answer.describe();
            let counted = description.strip_suffix(" seen gave more power");
            let counted = counted.and_then(|counted| counted.strip_prefix("0 of "));
            // It has seen most of those that joined.
            let seen = counted.and_then(|seen| seen.parse().ok()).unwrap_or(0);
            assert!(seen > 20, "{who:?} {share_pids} {no_init}: {description}");
            host.is_unchanged("a process that lies in wait");
        }
    }
}
